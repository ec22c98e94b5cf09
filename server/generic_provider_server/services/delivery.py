"""Distributes ready requests among the streams, and counts the credit of the streams."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import structlog

from ..commands.claim import Claim, Demand, Handed
from ..domain.catalogue import catalogue_of
from ..domain.refusals import Reason, Refused
from ..domain.values import SECOND, Instant
from ..store.notices.notice import Notice
from ..store.store import Store
from ..store.write.transaction import Transaction
from .credit import NOTHING
from .streams import AdapterStream, Cut, Drain
from .withdrawals import RETRY_SECONDS, Withdrawals

POLL_SECONDS = 1.0
"""The seconds between two queries for lanes that no notice names: lanes that other processes have
made ready, if a notification is lost, and lanes of subscriptions that were set aside.
"""

log = structlog.get_logger()


class Delivery:
    """Hands ready requests over to the streams with unused credit. Use this object only on the
    event loop, unless a method says otherwise.
    """

    def __init__(self, store: Store) -> None:
        self.streams: dict[str, AdapterStream] = {}
        self._store = store
        self._ready: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._dispatchers: dict[str, asyncio.Task[None]] = {}
        self._turns: defaultdict[str, int] = defaultdict(int)
        self._draining = ""
        self._withdrawals = Withdrawals(store)
        store.listeners.before_commit.append(self.hand_over)
        store.listeners.at_once.append(self.count)
        store.listeners.committed.append(self.serve_after)
        store.listeners.missed.append(self.cut)

    def hand_over(self, transaction: Transaction) -> None:
        """When a transaction makes requests ready, gives leases on these requests to streams with
        unused credit, so that no claim has to find the requests later. The function leaves out
        providers with other ready requests, because those requests became ready earlier. The
        writer's thread calls this function before the changes are written.
        """
        if self._draining:
            return
        for provider, subscriptions in transaction.made_ready().items():
            streams = self._waiting(provider, transaction.notice)
            if streams:
                claim = self._claim_of(provider, tuple([stream.demand() for stream in streams]))
                # the leases are recorded one by one, so that the leases that were given before a
                # failure are known
                for stream_id, handed in claim.hand_over(transaction, subscriptions):
                    transaction.notice.handed_over[stream_id].append(handed)

    def count(self, notice: Notice) -> None:
        """Counts the credit that a commit used and freed. Any thread may call this function."""
        for stream_id in {*notice.freed, *notice.heard}:
            stream = self.streams.get(stream_id)
            if stream is not None:
                stream.credit.count(notice)

    def serve_after(self, notice: Notice) -> None:
        """Passes on the leases that were given before a commit, and stops the streams that the
        commit stopped. Then starts claims at the providers at which a lane became ready or the
        credit of a stream changed.
        """
        ready = set(notice.ready)
        self._pass_on(notice.handed_over)
        self.stop_streams(notice.stopped)
        for stream_id in {*notice.freed, *notice.heard}:
            stream = self.streams.get(stream_id)
            if stream is None:
                continue
            if stream_id in notice.heard:
                stream.last_heard_time = self._store.now() / SECOND
            stream.end_if_done()
            ready.add(stream.provider)
        self._serve_soon(ready)

    def _pass_on(self, shares: Mapping[str, Sequence[Handed]]) -> None:
        """Passes leases on to their streams. Withdraws the leases of streams that ended or must
        stop.
        """
        unwanted: list[Handed] = []
        for stream_id, handed in shares.items():
            stream = self.streams.get(stream_id)
            if stream is None or stream.stopping or self._draining:
                unwanted += handed
            elif handed:
                stream.events.put_nowait(tuple(handed))
        self._withdrawals.begin(unwanted)

    def stop_streams(self, streams: Iterable[str]) -> None:
        """Stops all hand-overs on these streams.

        Each stream ends when its last lease has ended.
        """
        for stream_id in streams:
            stream = self.streams.get(stream_id)
            if stream is not None:
                stream.stopping = True
                stream.end_if_done()

    @contextmanager
    def stream(self, stream: AdapterStream) -> Iterator[AdapterStream]:
        """Serves the stream while the `with` block runs. When the stream ends, its leases end too.
        But if the server drains, only the leases that were not sent end.
        """
        self._refuse_while_draining()
        catalogue_of(self._store.catalogues, stream.provider)
        stream.connect_time = stream.last_heard_time = self._store.now() / SECOND
        self.streams[stream.id] = stream
        if stream.provider not in self._dispatchers:
            task = asyncio.create_task(self._dispatch(stream.provider))
            self._dispatchers[stream.provider] = task
        self._serve_soon({stream.provider})
        facts = {"provider": stream.provider, "adapter": stream.adapter, "peer": stream.peer}
        log.info("adapter_connected", **facts, max_in_flight=stream.max_in_flight)
        try:
            yield stream
        finally:
            del self.streams[stream.id]
            log.info("adapter_gone", **facts, in_flight=stream.credit.in_flight)
            if self._draining:
                self.withdraw(stream.take_unsent())
            else:
                self._withdrawals.end_leases(stream)

    async def pull(self, provider: str, demand: Demand, *, wait: float) -> tuple[Handed, ...]:
        """Hands over requests that are ready, or that become ready within `wait` seconds."""
        deadline = time.monotonic() + wait
        with self._listening(provider) as ready:
            while True:
                self._refuse_while_draining()
                ready.clear()
                handed = self.still_good(await self._pull(provider, demand), self._store.steady())
                left = deadline - time.monotonic()
                if handed or left <= 0:
                    return handed
                await self._wait(ready, most=left)

    async def _pull(self, provider: str, demand: Demand) -> tuple[Handed, ...]:
        """Claims requests for a pull. If the pull is cancelled during the claim, withdraws the
        claimed leases, because nobody will send these leases.
        """
        claiming = asyncio.create_task(self._claim(provider, (demand,)))
        try:
            (claimed,) = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            claiming.add_done_callback(self._withdraw_claimed)
            raise
        return claimed

    def _withdraw_claimed(self, claiming: asyncio.Task[tuple[tuple[Handed, ...], ...]]) -> None:
        if not claiming.cancelled() and claiming.exception() is None:
            for claimed in claiming.result():
                self.withdraw(claimed)

    def withdraw(self, handed: Sequence[Handed]) -> None:
        """Ends leases that were given but will not be sent."""
        self._withdrawals.begin(handed)

    def still_good(self, handed: Sequence[Handed], now: Instant) -> tuple[Handed, ...]:
        """Returns the leases that may be sent now, and withdraws the other leases.

        A lease may be sent if at least half of its duration remains, and only while the last sign
        of life of this process is fresh.
        """
        alive = self._store.is_alive()
        good, late = list[Handed](), list[Handed]()
        for each in handed:
            is_good = alive and 2 * each.lane.left(now) >= each.lane.lease_duration
            (good if is_good else late).append(each)
        if late:
            log.warning("leases_withdrawn", leases=len(late))
            self._withdrawals.begin(late)
        return tuple(good)

    def cut(self) -> None:
        """Ends every stream, because this process does not know the state of the leases any more.
        The adapters connect again.
        """
        self._withdrawals.begin_doubt()
        for stream in self.streams.values():
            stream.stopping = True
            stream.events.put_nowait(Cut())

    async def drain(self, reason: str) -> None:
        """Sends `drain` on every stream, and stops all hand-overs. The leases stay live."""
        self._draining = reason
        self._serve_soon(set(self._ready))
        await asyncio.gather(*self._dispatchers.values())
        await self._withdrawals.finish()
        for stream in list(self.streams.values()):
            stream.events.put_nowait(Drain(reason))

    def _refuse_while_draining(self) -> None:
        if self._draining:
            raise Refused(Reason.DRAINING, self._draining)

    def _serve_soon(self, providers: set[str]) -> None:
        for provider in providers:
            for ready in self._ready.get(provider, ()):
                ready.set()

    @contextmanager
    def _listening(self, provider: str) -> Iterator[asyncio.Event]:
        ready = asyncio.Event()
        self._ready[provider].add(ready)
        try:
            yield ready
        finally:
            self._ready[provider].discard(ready)

    async def _dispatch(self, provider: str) -> None:
        with self._listening(provider) as ready:
            ready.set()
            while not self._draining:
                try:
                    await self._wait(ready)
                    ready.clear()
                    while await self._serve(provider):
                        pass
                except Refused as refused:
                    log.debug("not_handed_over", provider=provider, message=refused.message)
                    await self._pause(ready)
                except Exception:
                    log.exception("not_handed_over", provider=provider)
                    await self._pause(ready)

    async def _pause(self, ready: asyncio.Event) -> None:
        await asyncio.sleep(RETRY_SECONDS)
        ready.set()

    async def _wait(self, ready: asyncio.Event, *, most: float = math.inf) -> None:
        """Waits until a commit has made requests ready or freed credit, but at most `most` seconds.

        If lanes may become ready without a notice, waits for at most POLL_SECONDS.
        """
        wait = min(most, POLL_SECONDS if self._store.must_poll else math.inf)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if wait == math.inf else wait):
                await ready.wait()

    async def _serve(self, provider: str) -> bool:
        """Claims requests once for all streams with unused credit.

        Returns whether more requests may be ready. Withdraws the leases of a stream that was
        stopped or has ended in the meantime.
        """
        if self._store.nothing_is_ready(provider):
            return False
        waiting = self._waiting(provider)
        if self._draining or not waiting:
            return False
        with _claiming(waiting):
            demands = tuple([stream.demand() for stream in waiting])
            shares = await self._claim(provider, demands)
            self._pass_on({s.id: share for s, share in zip(waiting, shares, strict=True)})
        return any(shares)

    def _waiting(self, provider: str, committing: Notice = NOTHING) -> list[AdapterStream]:
        """Returns the streams with unused credit. After each claim another stream is the first.

        Any thread may call this function. `committing`: the notice of the running transaction.
        """
        everyone = list(self.streams.values())
        waiting = [s for s in everyone if s.provider == provider and s.wants_more(committing)]
        turn = self._turns[provider] % len(waiting) if waiting else 0
        return waiting[turn:] + waiting[:turn]

    async def _claim(
        self, provider: str, demands: tuple[Demand, ...]
    ) -> tuple[tuple[Handed, ...], ...]:
        return await self._store.do(self._claim_of(provider, demands))

    def _claim_of(self, provider: str, demands: tuple[Demand, ...]) -> Claim:
        self._turns[provider] += 1
        server, turn = self._store.server, self._turns[provider]
        return Claim(provider=provider, server=server, demands=demands, turn=turn)


@contextmanager
def _claiming(streams: Iterable[AdapterStream]) -> Iterator[None]:
    for stream in streams:
        stream.claimed.clear()
    try:
        yield
    finally:
        for stream in streams:
            stream.claimed.set()
            stream.end_if_done()
