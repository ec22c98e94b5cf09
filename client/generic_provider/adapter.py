"""An adapter between a Generic Provider and one platform."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from generic_provider._connection import Target, Tls
from generic_provider._routines import Routines
from generic_provider._session import Session
from generic_provider._streams import Hooks, plain
from generic_provider._values import span
from generic_provider.client import AsyncClient
from generic_provider.enums import RequestType
from generic_provider.outcomes import Routine, TargetRoutine
from generic_provider.stats import Stats
from generic_provider.v1.provisioning_service_pb2 import StreamPendingRequestsRequest

R = TypeVar("R", bound=Routine)
T = TypeVar("T", bound=TargetRoutine)
OnConnect = TypeVar("OnConnect", bound=Callable[[], object])
OnDisconnect = TypeVar("OnDisconnect", bound=Callable[[str], object])
_MOST_THREADS = 200


class Adapter:
    """Takes a provider's pending requests, has them done by the routines given to it, answers.

    Requests of one subscription are done one after the other, others beside them.
    Each is handed over at least once: routines are idempotent, and the request's number is the key.

    A routine accepts by returning: nothing, the platform's account number, or `Accepted`. It
    refuses with `Reject`; `RetryLater` and every other exception give the request back for later;
    `PlatformDown` gives everything back. Coroutine functions run on the event loop, plain ones in
    threads.
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
        """A process that dies holds its requests for `lease_duration`; it is extended during work.

        TLS is used unless the address is of this machine; `tls` decides otherwise.
        """
        self._target = Target(address, token=token, tls=tls)
        self._request = StreamPendingRequestsRequest(
            provider=provider,
            adapter=name,
            version=version,
            max_in_flight=max_in_flight,
            lease_duration=span("lease_duration", lease_duration),
        )
        self._routines = Routines()
        self._hooks = Hooks()
        self._stop = asyncio.Event()
        self.stats = Stats()

    def on(self, *types: RequestType.ValueType | str) -> Callable[[R], R]:
        """Does requests of these types: members of RequestType, or their names."""
        chosen = [RequestType.of(each) for each in types]
        if not chosen:
            raise ValueError("on takes the types of requests that the routine does")

        def register(routine: R) -> R:
            for each in chosen:
                if each in self._routines.by_type:
                    raise ValueError(f"{RequestType.name_of(each)} has its routine already")
                self._routines.by_type[each] = routine
            return routine

        return register

    def otherwise(self, routine: R) -> R:
        """Does requests of all other types that this version knows; returning accepts them."""
        self._only_one_for_the_rest()
        self._routines.rest = routine
        return routine

    def target(self, routine: T) -> T:
        """Does requests of all other types, as many as come in a row, by what they lead to.

        Returning accepts all of them; `Reject` refuses the first, and the others come again with
        the target that is left. A target says nothing of usage: ADD_UDR and CANCEL_UDR need a
        routine of their own.
        """
        self._only_one_for_the_rest()
        self._routines.target = routine
        self._request.include_target = True
        return routine

    def on_connect(self, hook: OnConnect) -> OnConnect:
        """Called on the event loop when a stream has been heard for the first time."""
        self._hooks.on_connect.append(plain(hook))
        return hook

    def on_disconnect(self, hook: OnDisconnect) -> OnDisconnect:
        """Called on the event loop with the reason for which a stream has ended."""
        self._hooks.on_disconnect.append(plain(hook))
        return hook

    def run(self) -> None:
        """Serves until SIGTERM or Ctrl-C; a second one does not wait for what is in work."""
        asyncio.run(self._serve_until_signal())

    async def serve(self) -> None:
        """Serves until `stop`; cancelling it leaves what is in work to be handed over again."""
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
        """Start nothing more; `serve` returns when what has begun is done and answered.

        From other threads by `loop.call_soon_threadsafe`.
        """
        self._stop.set()

    async def _serve_until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)

        def stop() -> None:
            for number in signals:
                loop.remove_signal_handler(number)
            self.stop()

        for number in signals:
            loop.add_signal_handler(number, stop)
        await self.serve()

    def _only_one_for_the_rest(self) -> None:
        if self._routines.rest or self._routines.target:
            raise ValueError("the rest has its routine already")
