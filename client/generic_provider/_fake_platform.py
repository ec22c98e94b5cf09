"""A fake platform for tests, with its adapter."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from generic_provider._connection import Tls
from generic_provider.adapter import Adapter
from generic_provider.enums import RequestType
from generic_provider.outcomes import Accepted, Reject
from generic_provider.v1.resources_pb2 import (
    Account,
    Address,
    InstalledItem,
    ProvisionedService,
    ProvisioningRequest,
)

_CONNECT_SECONDS = 10.0
_REMOVING = (
    RequestType.DEACTIVATE_SERVICE,
    RequestType.DEACTIVATE_SUBSCRIBER,
    RequestType.REMOVE_INSTALLED_ITEM,
    RequestType.CANCEL_UDR,
)


@dataclass(slots=True)
class Subscriber:
    """The contents of a fake platform for one subscription."""

    account_number: str
    account: Account = field(default_factory=Account)
    address: Address = field(default_factory=Address)
    items: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of distributor and serial number."""
    services: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of distributor and the platform's id of the service."""
    usages: set[str] = field(default_factory=set)
    """The references of the usage records."""


@dataclass(slots=True)
class _Fault:
    error: Exception
    type: int | None
    service: str
    times: float


class FakePlatform:
    """A platform in memory that applies and records requests, and fails on demand.

    The platform rejects changes of an unknown subscriber, except removals. A repeated request
    changes nothing.
    """

    def __init__(self) -> None:
        self.subscribers: dict[str, Subscriber] = {}
        """The subscribers by the number of their subscription."""
        self.requests: list[ProvisioningRequest] = []
        """The requests that were applied, in order."""
        self._answers: dict[str, Accepted] = {}
        self._faults: list[_Fault] = []

    def fail(
        self,
        error: Exception,
        *,
        type: RequestType.ValueType | str | None = None,  # noqa: A002 - the protos define this name
        service: str = "",
        times: float = float("inf"),
    ) -> None:
        """Make the next `times` requests of this type and service fail with the error, for example
        a Reject.

        `service` is the CRM's code of the service. Without `type`, requests of every type fail;
        without `service`, requests for every service. Without `times`, all such requests fail.
        """
        chosen = None if type is None else RequestType.of(type)
        self._faults.append(_Fault(error, chosen, service, times))

    async def do(self, request: ProvisioningRequest) -> Accepted:
        """Applies a request of any type. The adapter uses this method as its routine."""
        if request.number not in self._answers:
            self._fail(request)
            self._answers[request.number] = self._done(request)
            self.requests.append(request)
        return self._answers[request.number]

    def adapter(
        self,
        address: str,
        *,
        provider: str,
        name: str = "fake-platform",
        token: str | None = None,
        tls: Tls = None,
    ) -> Adapter:
        """Returns an adapter of this platform, for tests that run on an event loop."""
        adapter = Adapter(address, provider=provider, name=name, token=token, tls=tls)
        adapter.on(*RequestType.values())(self.do)
        return adapter

    @contextmanager
    def serving(
        self, address: str, *, provider: str, token: str | None = None, tls: Tls = None
    ) -> Iterator[Self]:
        """Serves the provider's requests in a thread while the `with` block runs. Raises
        TimeoutError if no server that knows the provider is reached within 10 seconds.
        """
        adapter = self.adapter(address, provider=provider, token=token, tls=tls)
        connected = threading.Event()
        adapter.on_connect(connected.set)
        running: Future[asyncio.AbstractEventLoop] = Future()

        async def serve() -> None:
            running.set_result(asyncio.get_running_loop())
            await adapter.serve()

        with ThreadPoolExecutor(1) as pool:
            served = pool.submit(lambda: asyncio.run(serve()))
            loop = running.result()
            try:
                if not connected.wait(_CONNECT_SECONDS):
                    raise TimeoutError(f"no server at {address} that knows provider {provider}")
                yield self
            finally:
                loop.call_soon_threadsafe(adapter.stop)
                served.result()

    def _fail(self, request: ProvisioningRequest) -> None:
        services = {request.service.service, *(each.service for each in request.services)}
        for fault in self._faults:
            meant = fault.type in (None, request.type) and fault.service in ("", *services)
            if meant and fault.times > 0:
                fault.times -= 1
                # Otherwise each failure would add its lines to the traceback of the earlier ones.
                raise fault.error.with_traceback(None)

    def _done(self, request: ProvisioningRequest) -> Accepted:
        number = request.subscription
        held = self.subscribers.get(number)
        if request.type == RequestType.BECOME_SUBSCRIBER:
            self.subscribers[number] = Subscriber(
                account_number=f"A-{number}",
                account=request.account,
                address=request.address,
                items=_items(request.installed_items),
                services=_services(request.services),
                usages=held.usages if held else set(),
            )
            return Accepted(account_number=f"A-{number}")
        if held is None and request.type in _REMOVING:
            return Accepted()
        if held is None:
            raise Reject("UNKNOWN_SUBSCRIBER", f"there is no subscriber {number}")
        _change(held, request)
        return Accepted()


def _change(held: Subscriber, request: ProvisioningRequest) -> None:
    services = _services([request.service, *request.services])
    match request.type:
        case RequestType.ACTIVATE_SERVICE | RequestType.ACTIVATE_SUBSCRIBER:
            held.services |= services
        case RequestType.DEACTIVATE_SERVICE | RequestType.DEACTIVATE_SUBSCRIBER:
            held.services -= _found(held.services, services)
        case RequestType.ADD_INSTALLED_ITEM:
            held.items |= _items([request.installed_item])
        case RequestType.REMOVE_INSTALLED_ITEM:
            held.items -= _found(held.items, _items([request.installed_item]))
        case RequestType.UPDATE_SUBSCRIBER:
            held.account, held.address = request.account, request.address
        case RequestType.UPDATE_ADDRESS:
            held.address = request.address
        case RequestType.ADD_UDR:
            held.usages.add(request.usage.reference)
        case _:
            held.usages.discard(request.usage.reference)


def _found(held: set[tuple[str, str]], named: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Returns the named elements that the platform holds. A name without a viewing point finds the
    element at every viewing point.
    """
    anywhere = {name for point, name in named if not point}
    return {(point, name) for point, name in held if (point, name) in named or name in anywhere}


def _items(items: Iterable[InstalledItem]) -> set[tuple[str, str]]:
    return {(each.distributor, each.serial_number) for each in items}


def _services(services: Iterable[ProvisionedService]) -> set[tuple[str, str]]:
    return {
        (each.distributor, each.provider_service_id)
        for each in services
        if each.provider_service_id
    }
