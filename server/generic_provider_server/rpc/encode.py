"""Encodes values as messages.

A function with the parameter `into` fills that message; if `into` is None, the function fills and
returns a new message. A caller passes a field of its own message as `into`, because a message that
is passed to a constructor is copied, and copying takes as long as encoding. For speed, fields that
are often empty are not set if they are empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from generic_provider.v1 import resources_pb2 as pb

from ..domain.catalogue import Catalogues
from ..domain.platform.image import PlatformImage, ProvisionedItem, missing_goods
from ..domain.platform.plan import provisioned
from ..domain.platform.request import ProvisionedService, Request
from ..domain.resets.records import run_id
from ..domain.subscription.aggregate import Aggregate, Link
from ..domain.subscription.differences import Difference, differences
from ..domain.subscription.records import SubscriptionRecord, action_id
from ..domain.subscription.request_records import RequestRecord, request_number
from ..domain.values import Instant, Subscription
from .encode_parts import account, address, item, subscribed_service, time_of, usage
from .paging import MOST_BYTES, first_page

MOST_MISSING_BYTES = 256 * 1024
"""If the missing goods types of a subscription need more than this number of bytes, each further
service names only the first goods type that it lacks.
"""


def subscription(
    record: SubscriptionRecord,
    catalogues: Catalogues,
    *,
    now: Instant,
    full: bool = False,
    former: bool = False,
    into: pb.Subscription | None = None,
) -> pb.Subscription:
    """Encodes a subscription.

    `now`: the time of the database's clock, by which usage records end. `full`: true if the message
    also contains the differences and the confirmed images. `former`: true if the message also
    contains the former services.
    """
    message, aggregate = into or pb.Subscription(), record.aggregate
    desired = aggregate.desired
    message.number = desired.number
    message.type = desired.type
    message.state = pb.SubscriptionState.ValueType(desired.state)
    message.revision = record.revision
    account(desired.holder, message.holder)
    address(desired.address, message.address)
    for each in desired.items:
        item(each, catalogues, message.items.add())
    _put_services(desired, catalogues, message, former=former)
    for used in desired.usages:
        if used.end_time > now:
            usage(used, message.usages.add())
    for link in aggregate.links:
        _link(link, message.provider_links.add())
    if desired.until is not None:
        message.until.CopyFrom(time_of(desired.until))
    message.create_time.CopyFrom(time_of(record.create_time))
    message.update_time.CopyFrom(time_of(record.update_time))
    if full:
        _put_comparison(aggregate, catalogues, message, now=now)
    return message


def _put_services(
    state: Subscription, catalogues: Catalogues, into: pb.Subscription, *, former: bool
) -> None:
    room = MOST_MISSING_BYTES
    for service in (*state.services, *state.former) if former else state.services:
        shown = into.services.add()
        subscribed_service(service, shown)
        if service.on and (lacking := missing_goods(state, service, catalogues[service.provider])):
            room -= _put_missing(lacking, shown, room=room)


def _put_missing(lacking: Sequence[str], into: pb.SubscribedService, *, room: int) -> int:
    """Puts the goods types that a service lacks into the message, but only the first goods type if
    all of them together need more than `room` bytes. Returns the number of bytes that all of them
    need.
    """
    size = sum([len(goods_type.encode()) + 2 for goods_type in lacking])
    into.missing_goods_types.extend(lacking if size <= room else lacking[:1])
    return size


def _link(link: Link, into: pb.ProviderLink) -> None:
    into.provider = link.provider
    into.account_number = link.account_number
    into.sync_state = pb.SyncState.ValueType(link.sync_state)
    into.repair_rejected = link.refused_correction or bool(link.withheld)
    if error := link.last_error:
        into.last_error.request = request_number(error.request)
        into.last_error.error_code = error.error_code
        into.last_error.error_description = error.error_description
        into.last_error.time.CopyFrom(time_of(error.time))


def _put_comparison(
    aggregate: Aggregate, catalogues: Catalogues, into: pb.Subscription, *, now: Instant
) -> None:
    """Puts the differences and the confirmed images of all links into the message, as far as the
    message has room for them.
    """
    links = list(zip(aggregate.links, into.provider_links, strict=True))
    for link, shown in links:
        found = differences(
            link,
            aggregate.desired,
            catalogue=catalogues[link.provider],
            now=now,
            names_pending=True,
        )
        shown.differences.extend(first_differences(found, beside=into.ByteSize()))
    for link, shown in links:
        target(link.confirmed, link.provider, catalogues, shown.confirmed)
        if into.ByteSize() > MOST_BYTES:
            shown.ClearField("confirmed")


def first_differences(found: Iterable[Difference], *, beside: int = 0) -> list[pb.Difference]:
    """Returns as many of the first differences as fit into one message. `beside`: the size in bytes
    of the other parts of the message.
    """
    return first_page(
        (
            pb.Difference(
                kind=pb.DifferenceKind.ValueType(each.kind),
                distributor=each.distributor,
                service=each.service,
                provider_service_id=each.provider_service_id,
                serial_number=each.serial_number,
                text=each.text,
            )
            for each in found
        ),
        beside=beside,
    )


def target(held: PlatformImage, code: str, catalogues: Catalogues, into: pb.PlatformTarget) -> None:
    """Encodes the image of a platform. The items in the services are encoded without parameters,
    because the field `items` contains the same items with their parameters.
    """
    into.SetInParent()  # this sets the field even if the target is empty
    catalogue = catalogues[code]
    bare = replace(held, items=tuple([replace(each, parameters={}) for each in held.items]))
    for held_item in held.items:
        _provisioned_item(held_item, code, into.items.add())
    for service in provisioned(held.entitlements, bare, catalogue):
        _provisioned_service(service, code, into.services.add())
    if held.holder:
        account(held.holder, into.holder)
    if held.address:
        address(held.address, into.address)


def request(
    record: RequestRecord, into: pb.ProvisioningRequest | None = None
) -> pb.ProvisioningRequest:
    message = into or pb.ProvisioningRequest()
    message.number = request_number(record.number)
    message.type = pb.RequestType.ValueType(record.type)
    message.state = pb.RequestState.ValueType(record.state)
    message.origin = pb.RequestOrigin.ValueType(record.origin)
    message.provider = record.provider
    message.subscription = record.subscription
    message.account_number = record.account_number
    if record.action:
        message.action = action_id(record.action)
    if record.reset_run:
        message.reset_run = run_id(record.reset_run)
    if record.reference:
        message.reference = record.reference
    if record.performed_by:
        message.performed_by = record.performed_by
    message.schedule_time.CopyFrom(time_of(record.schedule_time))
    message.create_time.CopyFrom(time_of(record.create_time))
    _put_contents(record.request, record.provider, message)
    _put_progress(record, message)
    return message


def _put_contents(asked: Request, code: str, into: pb.ProvisioningRequest) -> None:
    if asked.service:
        _provisioned_service(asked.service, code, into.service)
    if asked.item:
        _provisioned_item(asked.item, code, into.installed_item)
    for service in asked.services:
        _provisioned_service(service, code, into.services.add())
    for asked_item in asked.items:
        _provisioned_item(asked_item, code, into.installed_items.add())
    if asked.holder:
        account(asked.holder, into.account)
    if asked.address:
        address(asked.address, into.address)
    if asked.usage:
        usage(asked.usage, into.usage)


def _put_progress(record: RequestRecord, into: pb.ProvisioningRequest) -> None:
    """Puts the answer and the facts about the delivery into the message."""
    if record.settle_time is not None:
        into.settle_time.CopyFrom(time_of(record.settle_time))
    if record.error_code:
        into.error_code = record.error_code
    if record.error_description:
        into.error_description = record.error_description
    if record.reference_number:
        into.reference_number = record.reference_number
    if record.attempts:
        into.delivery_attempts = record.attempts
    if record.last_adapter:
        into.last_adapter = record.last_adapter
    if record.last_delivery_time is not None:
        into.last_delivery_time.CopyFrom(time_of(record.last_delivery_time))
    if record.next_delivery_time is not None:
        into.next_delivery_time.CopyFrom(time_of(record.next_delivery_time))
    if record.waiting_for:
        into.waiting_for = pb.WaitingFor.ValueType(record.waiting_for)


def _provisioned_service(each: ProvisionedService, code: str, into: pb.ProvisionedService) -> None:
    into.service = each.service
    into.provider_service_id = each.provider_service_id
    into.distributor = each.distributor
    into.kind = pb.ServiceKind.ValueType(each.kind)
    for used_item in each.items:
        _provisioned_item(used_item, code, into.items.add())
    if each.term_end is not None:
        into.term_end.CopyFrom(time_of(each.term_end))
    if each.parameters:
        into.parameters.update(each.parameters)


def _provisioned_item(each: ProvisionedItem, code: str, into: pb.InstalledItem) -> None:
    into.provider = code
    into.distributor = each.distributor
    into.serial_number = each.serial_number
    into.goods_type = each.goods_type
    into.provider_goods_type = each.provider_goods_type
    if each.parameters:
        into.parameters.update(each.parameters)
