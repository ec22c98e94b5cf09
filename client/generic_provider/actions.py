# ruff: noqa: N802 - each constructor has the name of its message
"""What a CRM can ask for: constructors of the generated action messages, from plain values.

A service is `(distributor, service)`, `(provider, distributor, service)` or `service(...)`; an item
`(distributor, goods_type, serial_number)`, `(provider, distributor, goods_type, serial_number)` or
an `InstalledItem`. Datetimes need a time zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias
from uuid import uuid4

from generic_provider._values import instant
from generic_provider.v1 import subscription_service_pb2 as v1
from generic_provider.v1.resources_pb2 import Account, Address, InstalledItem, SubscriptionState
from generic_provider.v1.subscription_service_pb2 import (
    PerformActionRequest,
    Priority,
    ServiceSelection,
)

# These have nothing to convert.
Activate = v1.Activate
CancelUsage = v1.CancelUsage
ChangeDistribution = v1.ChangeDistribution
ChangeLocation = v1.ChangeLocation
ChangeSubscriber = v1.ChangeSubscriber
Deactivate = v1.Deactivate
EndResting = v1.EndResting
EndShortTermActivation = v1.EndShortTermActivation
EndShortTermDeactivation = v1.EndShortTermDeactivation
ExistingAccount = v1.ExistingAccount
Regret = v1.Regret
RemoveItems = v1.RemoveItems
Terminate = v1.Terminate
Move = ChangeDistribution.Move
ServiceLike: TypeAlias = ServiceSelection | tuple[str, str] | tuple[str, str, str]
ItemLike: TypeAlias = InstalledItem | tuple[str, str, str] | tuple[str, str, str, str]
Action: TypeAlias = (
    v1.BecomeSubscriber
    | v1.Activate
    | v1.Deactivate
    | v1.Rest
    | v1.EndResting
    | v1.ShortTermActivate
    | v1.EndShortTermActivation
    | v1.ShortTermDeactivate
    | v1.EndShortTermDeactivation
    | v1.Terminate
    | v1.Regret
    | v1.AddServices
    | v1.StartServices
    | v1.StopServices
    | v1.RemoveServices
    | v1.ChangeTerms
    | v1.SwapService
    | v1.AddItems
    | v1.RemoveItems
    | v1.SwapItem
    | v1.ChangeDistribution
    | v1.ChangeLocation
    | v1.ChangeSubscriber
    | v1.AddUsage
    | v1.CancelUsage
    | v1.Replace
)

_FIELDS = {
    field.message_type: field.name
    for field in PerformActionRequest.DESCRIPTOR.oneofs_by_name["action"].fields
}


def request(
    action: Action,
    *,
    subscription: str = "",
    request_id: str = "",
    reference: str = "",
    performed_by: str = "",
    expected_revision: int | None = None,
    priority: Priority.ValueType = v1.PRIORITY_UNSPECIFIED,
    validate_only: bool = False,
) -> PerformActionRequest:
    """A whole request, as `batch_perform` takes it; a `request_id` is made up if none is given."""
    chosen: dict[str, Any] = {_FIELDS[action.DESCRIPTOR]: action}
    return PerformActionRequest(
        subscription=subscription,
        request_id=request_id or str(uuid4()),
        reference=reference,
        performed_by=performed_by,
        expected_revision=expected_revision,
        priority=priority,
        validate_only=validate_only,
        **chosen,
    )


def service(
    distributor: str, service: str, *, provider: str = "", term_end: datetime | None = None
) -> ServiceSelection:
    return ServiceSelection(
        provider=provider,
        distributor=distributor,
        service=service,
        term_end=instant("term_end", term_end),
    )


def item(
    distributor: str,
    goods_type: str,
    serial_number: str,
    *,
    provider: str = "",
    parameters: Mapping[str, str] | None = None,
) -> InstalledItem:
    return InstalledItem(
        provider=provider,
        distributor=distributor,
        goods_type=goods_type,
        serial_number=serial_number,
        parameters=parameters,
    )


def BecomeSubscriber(
    *,
    type: str,  # noqa: A002 - the contract names it
    provider: str = "",
    holder: Account | None = None,
    address: Address | None = None,
    items: Iterable[ItemLike] = (),
    services: Iterable[ServiceLike] = (),
    draft: bool = False,
    existing: Iterable[ExistingAccount] = (),
) -> v1.BecomeSubscriber:
    return v1.BecomeSubscriber(
        type=type,
        provider=provider,
        holder=holder,
        address=address,
        items=map(_item, items),
        services=map(_service, services),
        draft=draft,
        existing=existing,
    )


def Rest(*, until: datetime) -> v1.Rest:
    return v1.Rest(until=instant("until", until))


def ShortTermActivate(*, until: datetime) -> v1.ShortTermActivate:
    return v1.ShortTermActivate(until=instant("until", until))


def ShortTermDeactivate(*, until: datetime) -> v1.ShortTermDeactivate:
    return v1.ShortTermDeactivate(until=instant("until", until))


def AddServices(*, services: Iterable[ServiceLike]) -> v1.AddServices:
    return v1.AddServices(services=map(_service, services))


def StartServices(*, services: Iterable[ServiceLike]) -> v1.StartServices:
    return v1.StartServices(services=map(_service, services))


def StopServices(*, services: Iterable[ServiceLike]) -> v1.StopServices:
    return v1.StopServices(services=map(_service, services))


def RemoveServices(*, services: Iterable[ServiceLike]) -> v1.RemoveServices:
    return v1.RemoveServices(services=map(_service, services))


def ChangeTerms(*, services: Iterable[ServiceLike]) -> v1.ChangeTerms:
    """A service without `term_end` never ends."""
    return v1.ChangeTerms(services=map(_service, services))


def SwapService(
    *,
    distributor: str,
    old_service: str,
    new_service: str,
    provider: str = "",
    term_end: datetime | None = None,
) -> v1.SwapService:
    return v1.SwapService(
        provider=provider,
        distributor=distributor,
        old_service=old_service,
        new_service=new_service,
        term_end=instant("term_end", term_end),
    )


def AddItems(*, items: Iterable[ItemLike]) -> v1.AddItems:
    return v1.AddItems(items=map(_item, items))


def SwapItem(*, old_serial_number: str, new_item: ItemLike, goods_type: str = "") -> v1.SwapItem:
    """`goods_type` is that of the old item; empty = whatever it is."""
    return v1.SwapItem(
        old_serial_number=old_serial_number, goods_type=goods_type, new_item=_item(new_item)
    )


def AddUsage(
    *,
    service: str,
    reference: str,
    start_time: datetime,
    end_time: datetime,
    quantity: int = 1,
    provider: str = "",
    distributor: str = "",
    parameters: Mapping[str, str] | None = None,
) -> v1.AddUsage:
    return v1.AddUsage(
        provider=provider,
        distributor=distributor,
        service=service,
        quantity=quantity,
        start_time=instant("start_time", start_time),
        end_time=instant("end_time", end_time),
        reference=reference,
        parameters=parameters,
    )


def Replace(
    *,
    state: SubscriptionState.ValueType,
    type: str,  # noqa: A002 - the contract names it
    until: datetime | None = None,
    holder: Account | None = None,
    address: Address | None = None,
    items: Iterable[ItemLike] = (),
    services: Iterable[ServiceLike] = (),
) -> v1.Replace:
    return v1.Replace(
        state=state,
        until=instant("until", until),
        type=type,
        holder=holder,
        address=address,
        items=map(_item, items),
        services=map(_service, services),
    )


def _service(given: ServiceLike) -> ServiceSelection:
    match given:
        case ServiceSelection():
            return given
        case (distributor, name):
            return service(distributor, name)
        case (provider, distributor, name):
            return service(distributor, name, provider=provider)
    raise ValueError(f"not a service: {given!r}")


def _item(given: ItemLike) -> InstalledItem:
    match given:
        case InstalledItem():
            return given
        case (distributor, goods_type, serial_number):
            return item(distributor, goods_type, serial_number)
        case (provider, distributor, goods_type, serial_number):
            return item(distributor, goods_type, serial_number, provider=provider)
    raise ValueError(f"not an item: {given!r}")
