"""Helps to test adapters without a server, and CRMs without a platform.

`run(adapter, request("ACTIVATE_SERVICE"))` returns the answer of an adapter's routine, without a
server. `FakePlatform` takes the place of a platform and its adapter at a test server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, TypedDict, Unpack

from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider._arguments import named
from generic_provider._fake_platform import FakePlatform, Subscriber
from generic_provider._routines import Routines
from generic_provider.adapter import Adapter
from generic_provider.enums import RequestOrigin, RequestState, RequestType, ServiceKind
from generic_provider.outcomes import PlatformDown, Routine, Work
from generic_provider.v1.provisioning_service_pb2 import ProvisioningResponse
from generic_provider.v1.resources_pb2 import (
    Account,
    Address,
    InstalledItem,
    PlatformTarget,
    ProvisionedService,
    ProvisioningRequest,
    Usage,
)

__all__ = ["FakePlatform", "Subscriber", "request", "run", "run_async"]
_USAGE = (RequestType.ADD_UDR, RequestType.CANCEL_UDR)
_PROVIDER = "P"
_CARD = InstalledItem(
    provider=_PROVIDER,
    distributor="MAIN",
    goods_type="SMARTCARD",
    provider_goods_type="CARD",
    serial_number="0012345678",
)
_SERVICE = ProvisionedService(
    service="SPORT",
    provider_service_id="1001",
    distributor="MAIN",
    kind=ServiceKind.TERMED,
    items=[_CARD],
)
_MADE_UP: dict[str, Any] = {
    "account": Account(number="C-1", name="Jaan Tamm", email="jaan@example.com"),
    "address": Address(lines=["Pikk 1"], city="Tallinn", postal_code="10123", country="EE"),
    "service": _SERVICE,
    "services": [_SERVICE],
    "installed_item": _CARD,
    "installed_items": [_CARD],
    "usage": Usage(
        reference="U-1",
        provider=_PROVIDER,
        distributor="MAIN",
        quantity=1,
        start_time=Timestamp(seconds=1_893_456_000),
        end_time=Timestamp(seconds=1_893_542_400),
    ),
}
_CARRIED: dict[int, tuple[str, ...]] = {
    RequestType.BECOME_SUBSCRIBER: ("account", "address", "services", "installed_items"),
    RequestType.ACTIVATE_SERVICE: ("service",),
    RequestType.DEACTIVATE_SERVICE: ("service",),
    RequestType.ADD_INSTALLED_ITEM: ("installed_item",),
    RequestType.REMOVE_INSTALLED_ITEM: ("installed_item",),
    RequestType.ACTIVATE_SUBSCRIBER: ("services",),
    RequestType.DEACTIVATE_SUBSCRIBER: ("services",),
    RequestType.UPDATE_SUBSCRIBER: ("account", "address"),
    RequestType.UPDATE_ADDRESS: ("address",),
    RequestType.ADD_UDR: ("service", "usage"),
    RequestType.CANCEL_UDR: ("service", "usage"),
}
_numbers = count(1)


class Parts(TypedDict, total=False):
    """The fields of a request that `request` can fill."""

    account: Account
    address: Address
    service: ProvisionedService
    services: Iterable[ProvisionedService]
    installed_item: InstalledItem
    installed_items: Iterable[InstalledItem]
    usage: Usage


@named
def request(
    type: RequestType.ValueType | str,  # noqa: A002 - the protos define this name
    *,
    number: str = "",
    subscription: str = "S0000000001",
    account_number: str | None = None,
    **parts: Unpack[Parts],
) -> ProvisioningRequest:
    """Returns a request as a server sends it. If the type of the request needs a part that is not
    given, the part is invented.

    Each request has a new number, unless `number` is given.
    """
    chosen = RequestType.of(type)
    known = "" if chosen == RequestType.BECOME_SUBSCRIBER else f"A-{subscription}"
    carried: dict[str, Any] = {name: _MADE_UP[name] for name in _CARRIED[chosen]}
    made = ProvisioningRequest(
        number=number or f"R{next(_numbers):010}",
        type=chosen,
        state=RequestState.PENDING,
        origin=RequestOrigin.ACTION,
        provider=_PROVIDER,
        subscription=subscription,
        account_number=known if account_number is None else account_number,
        delivery_attempts=1,
        **{**carried, **parts},
    )
    made.create_time.GetCurrentTime()
    made.schedule_time.CopyFrom(made.create_time)
    if chosen in _USAGE and "service" not in parts:
        made.service.kind = ServiceKind.USAGE
    if chosen in _USAGE and "usage" not in parts:
        made.usage.service = made.service.service
        made.usage.distributor = made.service.distributor
        made.usage.create_time.CopyFrom(made.create_time)
    return made


def run(
    adapter: Adapter | Routine,
    request: ProvisioningRequest,
    *,
    target: PlatformTarget | None = None,
) -> ProvisioningResponse:
    """Runs the adapter's routine for the request, and returns the answer that a server would get.

    `adapter`: an Adapter, or a routine itself. Raises PlatformDown if the routine raises it.
    `target` is for a routine that was registered by `adapter.target`. If an event loop is already
    running, await `run_async` instead.
    """
    return asyncio.run(run_async(adapter, request, target=target))


async def run_async(
    adapter: Adapter | Routine,
    request: ProvisioningRequest,
    *,
    target: PlatformTarget | None = None,
) -> ProvisioningResponse:
    """Does the same as `run`, on the event loop of the test."""
    work = Work(request.subscription, request.account_number, [request], target or PlatformTarget())
    with ThreadPoolExecutor(1) as pool:
        answer = await _routines(adapter).answer(work, pool)
    if isinstance(answer, PlatformDown):
        raise answer
    answer.request = request.number
    return answer


def _routines(adapter: Adapter | Routine) -> Routines:
    if isinstance(adapter, Adapter):
        return adapter._routines  # noqa: SLF001 - of this package
    routines = Routines()
    routines.rest = adapter
    return routines
