"""Runs an adapter from its first stream to its last answer."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from datetime import timedelta

from generic_provider._answers import Answers
from generic_provider._connection import Target
from generic_provider._lanes import HeldLease, Lanes
from generic_provider._pulse import Pulse
from generic_provider._routines import Routines
from generic_provider._streams import Hooks, Stream, Streams, TokenOnStream
from generic_provider.async_client import AsyncClient
from generic_provider.errors import ProvisioningError
from generic_provider.outcomes import PlatformDown
from generic_provider.stats import Stats
from generic_provider.v1.provisioning_service_pb2 import (
    StreamPendingRequestsRequest,
    SubscriptionRequests,
)

log = logging.getLogger("generic_provider")
_MOST_TOKENS = 1000
_FLUSH_SECONDS = 10.0
_SHORTEST_PAUSE = 0.1
"""The smallest number of seconds between two extensions. Without this limit, extensions would
follow each other ever faster when a lease approaches `max_lease_time`, because for such a lease the
server grants less and less time.
"""


class Session:
    def __init__(
        self,
        request: StreamPendingRequestsRequest,
        *,
        target: Target,
        client: AsyncClient,
        routines: Routines,
        hooks: Hooks,
        stats: Stats,
        pool: Executor,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._client = client
        self._tasks = tasks
        self._lease_duration: timedelta = request.lease_duration.ToTimedelta()
        self._answers = Answers(client, request.provider)
        self._pulse = Pulse()
        self._lanes = Lanes(
            routines,
            self._answers,
            tasks=tasks,
            pool=pool,
            max_in_flight=request.max_in_flight,
            stats=stats,
            pulse=self._pulse,
            platform_down=self._platform_down,
            give_back=lambda token: self._start(self._give_back(token)),
        )
        self._streams = Streams(
            target, request, receiver=self, hooks=hooks, stats=stats, tasks=tasks
        )
        self._extend_at = math.inf
        self._extend_sooner = asyncio.Event()
        self._stopping = False
        self._platform_up = asyncio.Event()
        self._platform_up.set()
        self._down_until = 0.0
        self._background: list[asyncio.Task[None]] = []

    async def run(self, stop: asyncio.Event) -> None:
        connecting = self._tasks.create_task(self._streams.stay_connected())
        self._start(self._answers.run())
        self._start(self._extend())
        self._start(self._pulse.run())
        await stop.wait()
        self._stopping = True
        connecting.cancel()
        await self._finish()
        for task in self._background:
            task.cancel()

    def receive(self, given: SubscriptionRequests, *, source: Stream, sent: float) -> None:
        lease = HeldLease(given, source=source, sent=sent)
        if self._stopping or not self._platform_up.is_set():
            self._start(self._release([lease.handed]))
        elif lease.is_late():
            log.warning("the lease of %s came too late: it is given back", lease.subscription)
            self._start(self._release([lease.handed]))
            source.left.set()  # the estimate of the server's time may be wrong: open a new stream
        else:
            self._lanes.take(lease)
            self._extend_within(lease.duration / 3)

    def cut(self, source: Stream) -> None:
        self._lanes.cut(source)

    async def ready(self) -> None:
        await self._platform_up.wait()

    def _platform_down(self, down: PlatformDown) -> None:
        pause = down.retry_after
        seconds = pause.total_seconds() if isinstance(pause, timedelta) else pause
        until = asyncio.get_running_loop().time() + seconds
        self._down_until = max(self._down_until, until)
        ended = self._lanes.end(self._lanes.running())
        if self._platform_up.is_set():
            why = f"the platform is down: {down.text or 'no reason was given'}"
            log.warning("%s; all requests are given back for %g s", why, seconds)
            self._platform_up.clear()
            self._start(self._rest(ended))

    async def _rest(self, ended: Sequence[TokenOnStream]) -> None:
        await self._flush(_FLUSH_SECONDS)
        await self._leave(ended)
        time = asyncio.get_running_loop().time
        while (seconds := self._down_until - time()) > 0:  # noqa: ASYNC110 - the end may change
            await asyncio.sleep(seconds)
        self._platform_up.set()

    def _extend_within(self, seconds: float) -> None:
        at = asyncio.get_running_loop().time() + max(seconds, _SHORTEST_PAUSE)
        if at < self._extend_at:
            self._extend_at = at
            self._extend_sooner.set()

    async def _extension_due(self) -> None:
        while (wait := self._extend_at - asyncio.get_running_loop().time()) > 0:
            self._extend_sooner.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if wait == math.inf else wait):
                    await self._extend_sooner.wait()

    async def _extend(self) -> None:
        """Extends all leases again and again. After an extension, waits for a third of the shortest
        duration that the server has granted to a lease.
        """
        while True:
            await self._extension_due()
            leases, now = self._lanes.running(), time.monotonic()
            self._extend_at = math.inf
            if leases:
                self._extend_within(min(lease.duration for lease in leases) / 3)
            for start in range(0, len(leases), _MOST_TOKENS):
                await self._extend_some(leases[start : start + _MOST_TOKENS], since=now)

    async def _extend_some(self, leases: Sequence[HeldLease], *, since: float) -> None:
        try:
            results = await self._client.extend_leases(
                [lease.token for lease in leases], lease_duration=self._lease_duration
            )
        except ProvisioningError as error:
            log.warning("%d leases could not be extended: %s", len(leases), error)
            return
        for lease, result in zip(leases, results, strict=True):
            if result.live:
                lease.extend(result.lease_duration.ToTimedelta(), since=since)
                self._extend_within(lease.duration / 3)
            else:
                lease.end(given_back=True)

    async def _finish(self) -> None:
        """Releases the leases of which no request has begun. Finishes and answers the requests that
        have begun, and releases their leases.
        """
        await self._release(self._lanes.stop())
        rest = await self._lanes.finished()
        # after the lease duration, the leases have run out, and answers would be too late
        await self._flush(self._lease_duration.total_seconds())
        await self._leave(rest)

    async def _leave(self, leases: Sequence[TokenOnStream]) -> None:
        await self._release(leases)
        await self._release(self._streams.unstopped())
        await self._streams.end()

    async def _flush(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._answers.flushed()

    async def _give_back(self, token: str) -> None:
        """Sends the answers that are ready, then releases a lease of which no further request may
        begin.
        """
        await self._flush(_FLUSH_SECONDS)
        try:
            await self._client.release_leases([token])
        except ProvisioningError as error:
            log.warning("a lease was not released and will run out: %s", error)

    async def _release(self, leases: Sequence[TokenOnStream]) -> None:
        """Releases the leases, and stops the streams on which they were given."""
        for start in range(0, len(leases), _MOST_TOKENS):
            some = leases[start : start + _MOST_TOKENS]
            for _, stream in some:
                stream.stopped = True
            try:
                await self._client.release_leases([token for token, _ in some], stop=True)
            except ProvisioningError as error:
                log.warning("%d leases were not released and will run out: %s", len(some), error)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self._tasks.create_task(work)
        self._background.append(task)
        task.add_done_callback(self._background.remove)
