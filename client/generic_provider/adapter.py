"""Connects a server of Generic Provider with one platform."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from generic_provider._arguments import plain
from generic_provider._connection import Target, Tls
from generic_provider._routines import Routines
from generic_provider._session import Session
from generic_provider._streams import Hooks
from generic_provider._values import code, span, text, timedelta_of
from generic_provider.async_client import AsyncClient
from generic_provider.enums import RequestType
from generic_provider.outcomes import Routine, TargetRoutine
from generic_provider.stats import Stats
from generic_provider.v1.provisioning_service_pb2 import StreamPendingRequestsRequest

R = TypeVar("R", bound=Routine)
T = TypeVar("T", bound=TargetRoutine)
OnConnect = TypeVar("OnConnect", bound=Callable[[], object])
OnDisconnect = TypeVar("OnDisconnect", bound=Callable[[str], object])
_MOST_THREADS = 200
_MOST_IN_FLIGHT = 10_000
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(hours=1)


class Adapter:
    """Takes a provider's pending requests, runs the registered routines for them, and answers the
    requests.

    Requests of one subscription run one after the other; requests of different subscriptions run in
    parallel. Each request is handed over at least once, so routines must be idempotent, with the
    request's number as the key.

    When a routine returns, its request is accepted. The routine returns None, the platform's
    account number, or `Accepted`. A routine raises `Reject` to reject the request. After
    `RetryLater` or any other exception, the request is handed over again later. After
    `PlatformDown`, all unanswered requests are given back. Coroutine functions run on the event
    loop, plain functions run in threads.
    """

    def __init__(
        self,
        address: str,
        *,
        provider: str,
        name: str,
        max_in_flight: int = 100,
        lease_duration: timedelta = timedelta(seconds=30),
        version: str = "",
        token: str | None = None,
        tls: Tls = None,
    ) -> None:
        """Creates an adapter. `name` identifies the adapter to operators. `max_in_flight`: the
        greatest number of unanswered requests. If the process dies, its requests are handed over
        again after `lease_duration` at the latest.

        Leases are extended while a routine runs. TLS is used unless the address belongs to this
        machine; `tls` overrides this default.
        """
        if not isinstance(max_in_flight, int):
            raise TypeError(f"max_in_flight must be an integer, not {max_in_flight!r}")
        if not 1 <= max_in_flight <= _MOST_IN_FLIGHT:
            limits = f"from 1 to {_MOST_IN_FLIGHT}"
            raise ValueError(f"max_in_flight must be {limits}, not {max_in_flight}")
        if not _SHORTEST <= timedelta_of("lease_duration", lease_duration) <= _LONGEST:
            limits = f"from {_SHORTEST} to {_LONGEST}"
            raise ValueError(f"lease_duration must be {limits}, not {lease_duration}")
        self._target = Target(address, token=token, tls=tls)
        self._request = StreamPendingRequestsRequest(
            provider=code("provider", provider),
            adapter=code("name", name),
            version=text("version", version or ""),
            max_in_flight=max_in_flight,
            lease_duration=span("lease_duration", lease_duration),
        )
        self._routines = Routines()
        self._hooks = Hooks()
        self._stop = asyncio.Event()
        self.stats = Stats()

    def on(self, *types: RequestType.ValueType | str) -> Callable[[R], R]:
        """Registers a routine for these types: members of RequestType, or their names."""
        chosen = [RequestType.of(each) for each in types]
        if not chosen:
            raise ValueError("on() needs the types of the requests that the routine applies")

        def register(routine: R) -> R:
            for each in chosen:
                if each in self._routines.by_type:
                    raise ValueError(f"{RequestType.name_of(each)} has its routine already")
                self._routines.by_type[each] = routine
            return routine

        return register

    def otherwise(self, routine: R) -> R:
        """Registers the routine for all request types that have no other routine and that this
        version of the client knows.

        If the routine returns, the request is accepted.
        """
        self._only_one_for_the_rest()
        self._routines.rest = routine
        return routine

    def target(self, routine: T) -> T:
        """Registers a routine that applies several requests of a subscription together: it writes
        the target to the platform, which is the contents that the platform should hold after all
        these requests. The routine is for all request types that have no other routine, except
        ADD_UDR and CANCEL_UDR: these need routines of their own, because a target contains no usage
        records.

        If the routine returns, all requests of its Work are accepted. `Reject` rejects the first
        request, and the other requests are handed over again with a new target.
        """
        self._only_one_for_the_rest()
        self._routines.target = routine
        self._request.include_target = True
        return routine

    def on_connect(self, hook: OnConnect) -> OnConnect:
        """Registers a function that is called on the event loop each time a stream gets its first
        message.
        """
        self._hooks.on_connect.append(plain(hook))
        return hook

    def on_disconnect(self, hook: OnDisconnect) -> OnDisconnect:
        """Registers a function that is called on the event loop each time a stream has ended. Its
        argument is the reason as a text.
        """
        self._hooks.on_disconnect.append(plain(hook))
        return hook

    def run(self) -> None:
        """Serves until SIGTERM or Ctrl-C. A second signal ends the process at once, even if
        requests that have begun are not done.
        """
        asyncio.run(self._serve_until_signal())

    async def serve(self) -> None:
        """Serves until `stop` is called. If the task is cancelled, requests that have begun are
        handed over again.
        """
        threads = min(self._request.max_in_flight, _MOST_THREADS)
        pool = ThreadPoolExecutor(threads, thread_name_prefix=self._request.adapter)
        client = AsyncClient(
            self._target.address,
            token=self._target.token,
            tls=self._target.tls,
            timeout=timedelta(seconds=10),
        )
        try:
            async with client, asyncio.TaskGroup() as tasks:
                session = Session(
                    self._request,
                    target=self._target,
                    client=client,
                    routines=self._routines,
                    hooks=self._hooks,
                    stats=self.stats,
                    pool=pool,
                    tasks=tasks,
                )
                await session.run(self._stop)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """Stops serving: no further request begins. `serve` returns when all requests that have
        begun are answered.

        From another thread, call `stop` through `loop.call_soon_threadsafe`.
        """
        self._stop.set()

    async def _serve_until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)

        def stop() -> None:
            for number in signals:
                loop.remove_signal_handler(number)
            # after a KeyboardInterrupt, Python would wait for routines that run in threads
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            self.stop()

        for number in signals:
            loop.add_signal_handler(number, stop)
        try:
            await self.serve()
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _only_one_for_the_rest(self) -> None:
        if self._routines.rest or self._routines.target:
            raise ValueError("all other types have a routine already")
