"""Encodes values as messages.

An empty map or list is passed as None, because Protocol Buffers is slow even for an empty map or
list.
"""

from __future__ import annotations

import time
from functools import lru_cache

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec.structs import replace

from generic_provider.v1 import resources_pb2 as pb

from ..domain.catalogue import Catalogues
from ..domain.platform.image import (
    PlatformImage,
    ProvisionedItem,
    ProvisionedService,
    missing_goods,
)
from ..domain.platform.plan import provisioned
from ..domain.resets.records import run_id
from ..domain.subscription.aggregate import Aggregate, Link
from ..domain.subscription.differences import Difference, differences
from ..domain.subscription.records import SubscriptionRecord, action_id
from ..domain.subscription.request_records import RequestRecord, request_number
from ..domain.values import (
    SECOND,
    Account,
    Address,
    Instant,
    Item,
    SubscribedService,
    Subscription,
    Usage,
)


def now() -> Instant:
    return Instant(time.time_ns() // 1_000)


@lru_cache(1_000)
def timestamp(instant: Instant | None) -> Timestamp | None:
    """Returns a Timestamp.

    The result is cached, because many messages of a transaction have the same time: copy it into
    messages, and never change it.
    """
    if instant is None:
        return None
    return Timestamp(seconds=instant // SECOND, nanos=instant % SECOND * 1_000)


@lru_cache(1_000)
def duration(span: int | None) -> Duration | None:
    if span is None:
        return None
    return Duration(seconds=span // SECOND, nanos=span % SECOND * 1_000)


def subscription(
    record: SubscriptionRecord,
    catalogues: Catalogues,
    *,
    full_at: Instant | None = None,
    former: bool = False,
) -> pb.Subscription:
    """Encodes a subscription.

    `full_at`: the time for which differences and confirmed states are computed; if it is None, the
    message contains none.
    """
    desired = record.aggregate.desired
    services = (*desired.services, *desired.former) if former else desired.services
    return pb.Subscription(
        number=desired.number,
        type=desired.type,
        state=pb.SubscriptionState.ValueType(desired.state),
        until=timestamp(desired.until),
        holder=account(desired.holder),
        address=address(desired.address),
        items=[item(each, catalogues) for each in desired.items] or None,
        services=[_on_subscription(each, desired, catalogues) for each in services] or None,
        usages=[usage(each) for each in desired.usages if each.end_time > (full_at or now())],
        provider_links=[
            _link(link, record.aggregate, catalogues, full_at=full_at)
            for link in record.aggregate.links
        ],
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        revision=record.revision,
    )


def account(holder: Account) -> pb.Account:
    return pb.Account(
        number=holder.number,
        name=holder.name,
        email=holder.email,
        phone=holder.phone,
        parameters=holder.parameters or None,
    )


def address(place: Address) -> pb.Address:
    return pb.Address(
        lines=place.lines or None,
        city=place.city,
        postal_code=place.postal_code,
        country=place.country,
        parameters=place.parameters or None,
    )


def item(each: Item, catalogues: Catalogues) -> pb.InstalledItem:
    return pb.InstalledItem(
        provider=each.provider,
        distributor=each.distributor,
        serial_number=each.serial_number,
        goods_type=each.goods_type,
        provider_goods_type=catalogues[each.provider].goods.get(each.goods_type, ""),
        parameters=each.parameters or None,
    )


def subscribed_service(each: SubscribedService) -> pb.SubscribedService:
    return pb.SubscribedService(
        provider=each.provider,
        distributor=each.distributor,
        service=each.service,
        state=pb.ServiceState.ValueType(each.state),
        term_end=timestamp(each.term_end),
    )


def _on_subscription(
    each: SubscribedService, state: Subscription, catalogues: Catalogues
) -> pb.SubscribedService:
    message = subscribed_service(each)
    if each.on and (missing := missing_goods(state, each, catalogues[each.provider])):
        message.missing_goods_types.extend(missing)
    return message


def usage(each: Usage) -> pb.Usage:
    return pb.Usage(
        reference=each.reference,
        provider=each.provider,
        distributor=each.distributor,
        service=each.service,
        quantity=each.quantity,
        start_time=timestamp(each.start_time),
        end_time=timestamp(each.end_time),
        create_time=timestamp(each.create_time),
        parameters=each.parameters or None,
    )


def _link(
    link: Link, aggregate: Aggregate, catalogues: Catalogues, *, full_at: Instant | None
) -> pb.ProviderLink:
    message = pb.ProviderLink(
        provider=link.provider,
        account_number=link.account_number,
        sync_state=pb.SyncState.ValueType(link.sync_state),
        repair_rejected=link.refused_correction or bool(link.withheld),
    )
    if error := link.last_error:
        last = pb.ProviderLink.LastError(
            request=request_number(error.request),
            error_code=error.error_code,
            error_description=error.error_description,
            time=timestamp(error.time),
        )
        message.last_error.CopyFrom(last)
    if full_at is not None:
        catalogue = catalogues[link.provider]
        found = differences(
            link, aggregate.desired, catalogue=catalogue, now=full_at, names_pending=True
        )
        message.differences.extend(map(difference, found))
        message.confirmed.CopyFrom(target(link.confirmed, link.provider, catalogues))
    return message


def difference(each: Difference) -> pb.Difference:
    return pb.Difference(
        kind=pb.DifferenceKind.ValueType(each.kind),
        distributor=each.distributor,
        service=each.service,
        provider_service_id=each.provider_service_id,
        serial_number=each.serial_number,
        text=each.text,
    )


def target(held: PlatformImage, code: str, catalogues: Catalogues) -> pb.PlatformTarget:
    """Encodes a target.

    The items of its services have no parameters, because the list of items contains them.
    """
    catalogue = catalogues[code]
    bare = replace(held, items=tuple([replace(item, parameters={}) for item in held.items]))
    services = [provisioned(each, bare, catalogue) for each in held.entitlements]
    return pb.PlatformTarget(
        items=[_provisioned_item(each, code) for each in held.items],
        services=[_provisioned_service(each, code) for each in services],
        holder=account(held.holder) if held.holder else None,
        address=address(held.address) if held.address else None,
    )


def request(record: RequestRecord) -> pb.ProvisioningRequest:
    asked, code = record.request, record.provider
    return pb.ProvisioningRequest(
        number=request_number(record.number),
        type=pb.RequestType.ValueType(record.type),
        state=pb.RequestState.ValueType(record.state),
        origin=pb.RequestOrigin.ValueType(record.origin),
        provider=code,
        subscription=record.subscription,
        account_number=record.account_number,
        action=action_id(record.action),
        reset_run=run_id(record.reset_run),
        reference=record.reference,
        performed_by=record.performed_by,
        address=address(asked.address) if asked.address else None,
        account=account(asked.holder) if asked.holder else None,
        service=_provisioned_service(asked.service, code) if asked.service else None,
        installed_item=_provisioned_item(asked.item, code) if asked.item else None,
        services=[_provisioned_service(each, code) for each in asked.services] or None,
        installed_items=[_provisioned_item(each, code) for each in asked.items] or None,
        usage=usage(asked.usage) if asked.usage else None,
        schedule_time=timestamp(record.schedule_time),
        create_time=timestamp(record.create_time),
        settle_time=timestamp(record.settle_time),
        error_code=record.error_code,
        error_description=record.error_description,
        reference_number=record.reference_number,
        delivery_attempts=record.attempts,
        last_adapter=record.last_adapter,
        last_delivery_time=timestamp(record.last_delivery_time),
        next_delivery_time=timestamp(record.next_delivery_time),
        waiting_for=pb.WaitingFor.ValueType(record.waiting_for or 0),
    )


def _provisioned_service(each: ProvisionedService, code: str) -> pb.ProvisionedService:
    return pb.ProvisionedService(
        service=each.service,
        provider_service_id=each.provider_service_id,
        distributor=each.distributor,
        kind=pb.ServiceKind.ValueType(each.kind),
        items=[_provisioned_item(one, code) for one in each.items] or None,
        term_end=timestamp(each.term_end),
        parameters=each.parameters or None,
    )


def _provisioned_item(each: ProvisionedItem, code: str) -> pb.InstalledItem:
    return pb.InstalledItem(
        provider=code,
        distributor=each.distributor,
        serial_number=each.serial_number,
        goods_type=each.goods_type,
        provider_goods_type=each.provider_goods_type,
        parameters=each.parameters or None,
    )
