"""Records that this process is alive and which streams it has, and finds
processes that are dead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import structlog

from ..commands.end_leases import end_of_other_servers, end_of_server
from ..commands.hold import Disown
from ..commands.servers import Beat, Forget
from ..domain.refusals import Refused
from ..domain.values import Value
from ..store.store import Store
from .loop import Loop
from .streams import AdapterStream

BEAT_SECONDS = 2.0

log = structlog.get_logger()


class Connected(Value, frozen=True, kw_only=True):
    """A stream in the form that processes share. Times are seconds since 1970."""

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
    """This process among those that share the database.

    Within the block `announced` the others know that it is alive; when one of them dies, its leases
    are ended.
    """

    def __init__(self, store: Store, streams: Callable[[], list[Connected]]) -> None:
        self._store = store
        self._streams = streams
        self._loop = Loop("presence", self.beat, seconds=BEAT_SECONDS)

    @asynccontextmanager
    async def announced(self) -> AsyncIterator[None]:
        if self._store.shared:
            await self.beat()
            self._loop.start()
        else:
            while await self._store.do(end_of_other_servers(self._store.server)):
                pass
        try:
            yield
        finally:
            await self._loop.stop()
            await self._sign_off()

    async def beat(self) -> None:
        """Writes that this process is alive, and ends the leases of those that are dead."""
        beat = Beat(server=self._store.server, document=msgspec.json.encode(self._streams()))
        for server in await self._store.do(beat):
            log.warning("server_gone", server=server)
            while await self._store.do(end_of_server(server)):
                pass
            await self._store.do(Forget(server=server))

    async def connected(self) -> list[Connected]:
        """The streams of every process."""
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
        """The leases stay live until they run out; if the database is away, others end them."""
        server = self._store.server
        try:
            while await self._store.do(Disown(server=server)):
                pass
            if self._store.shared:
                await self._store.do(Forget(server=server))
        except Refused as refused:
            log.warning("leases_not_disowned", message=refused.message)
