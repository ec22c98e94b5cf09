"""Publishes the streams of this process, and ends the leases of silent processes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import structlog

from ..commands.end_leases import end_of_other_servers, end_of_silent
from ..commands.live_leases import Disown
from ..commands.servers import Forget
from ..domain.refusals import Refused
from ..domain.values import SECOND, Value
from ..store.store import Store
from .periodic_step import Loop
from .streams import AdapterStream
from .until_none_is_found import until_none_is_found

log = structlog.get_logger()


class Connected(Value, frozen=True, kw_only=True):
    """The description of a stream that a process publishes for the other processes. Times are
    seconds since 1970 by the database's clock.
    """

    id: str
    provider: str
    adapter: str
    version: str
    peer: str
    max_in_flight: int
    in_flight: int
    connect_time: float
    last_heard_time: float


def connected(stream: AdapterStream) -> Connected:
    return Connected(
        id=stream.id,
        provider=stream.provider,
        adapter=stream.adapter,
        version=stream.version,
        peer=stream.peer,
        max_in_flight=stream.max_in_flight,
        in_flight=stream.credit.in_flight,
        connect_time=stream.connect_time,
        last_heard_time=stream.last_heard_time,
    )


class Presence:
    """Coordinates this process with the other processes on its database.

    Within the `with` block of `announced`, this process publishes its streams. When another process
    is silent, this process ends the leases of the silent process as soon as these leases have run
    out by the clock of every process.
    """

    def __init__(self, store: Store, streams: Callable[[], list[Connected]]) -> None:
        self._store = store
        self._streams = streams
        self._loop = Loop("presence", self.attend, seconds=store.waits.beat)

    @asynccontextmanager
    async def announced(self) -> AsyncIterator[None]:
        if self._store.shared:
            self._loop.start()
        else:
            await until_none_is_found(self._store, end_of_other_servers(self._store.server))
        try:
            yield
        finally:
            await self._loop.stop()
            await self._sign_off()

    async def attend(self) -> None:
        """Publishes the current streams of this process, and ends the leases of silent
        processes.
        """
        life = self._store.sign_of_life
        if life is None:
            return
        life.document = msgspec.json.encode(self._streams())
        for server, sign in life.others.gone(at=time.monotonic()).items():
            log.warning("server_gone", server=server)
            await self._store.do(Forget(server=server, sign=sign))
        for server in await self._store.read(lambda queries: queries.lease_owners()):
            last, silent = life.others.last_of(server, at=time.monotonic())
            longest = int((silent - self._store.waits.grace) * SECOND)
            if longest > 0 and server != self._store.server:
                ending = end_of_silent(server, sign=last, longest=longest)
                # the next step tries subscriptions again that another session has locked, because a
                # person may keep such a lock for hours
                while (await self._store.do(ending)).done:
                    pass

    async def connected(self) -> list[Connected]:
        """Returns the streams of all processes."""
        if not self._store.shared:
            return self._streams()
        documents = await self._store.read(lambda queries: queries.servers())
        elsewhere = [
            stream
            for server, document in documents
            if server != self._store.server
            for stream in msgspec.json.decode(document, type=list[Connected])
        ]
        return [*self._streams(), *elsewhere]

    async def _sign_off(self) -> None:
        """Separates the leases from this process, so that the leases belong to no process. The
        leases stay live until they run out.

        If the database cannot be reached, the leases still belong to this process. Other processes
        end these leases after the leases have run out.
        """
        try:
            await until_none_is_found(self._store, Disown(server=self._store.server))
        except Refused as refused:
            log.warning("leases_not_disowned", message=refused.message)
