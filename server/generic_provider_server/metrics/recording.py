"""Records the figures of one server process for Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import IntEnum
from importlib.metadata import version

from prometheus_client import ProcessCollector

from ..domain.subscription.records import ActionState
from ..domain.values import SECOND, RequestState
from ..domain.verdicts import ResponseCode
from ..services.periodic_step import Loop
from ..services.presence import Connected, Presence
from ..services.watching import Watching
from ..store.notices.notice import Notice
from ..store.notices.tally import (
    ACTIONS,
    ANSWERS,
    CREATED,
    LOSSES,
    LOST,
    REFUSED,
    ROLLBACKS,
    SETTLED,
)
from ..store.read.gauges import Gauges
from ..store.store import Store
from . import families as f
from .figures import Figures, Key

READ_SECONDS = 5.0
"""The seconds between two readings of the gauges from the database."""

SHARE, LONGEST_PAUSE = 100, 55.0
"""If the shorter of the last two readings of the gauges took s seconds, the next pause is SHARE · s
seconds longer than usual, but at most LONGEST_PAUSE seconds longer. So the readings take only a
small share of the time.
"""

STALE_SECONDS = 120.0
"""The seconds after which the gauges of the last reading are not shown any more."""

FINAL = frozenset(RequestState) - {RequestState.PENDING}
FAILURES = ("INTERNAL", "UNAVAILABLE")
OUTCOMES = (REFUSED, *[state.name for state in ActionState])


class Recording:
    """The figures of this process. Use the object only on the event loop; any thread may call
    `figures`.

    `loop`: reads the gauges from the database.
    """

    def __init__(self, store: Store, presence: Presence, watching: Watching) -> None:
        self._store = store
        self._presence = presence
        self._watching = watching
        self._figures = Figures()
        self._stored: dict[Key, float] = {}
        self._read_at = 0.0
        self._took = 0.0
        self._reached = True
        self._keys: dict[tuple[object, ...], Key] = {}
        self._process = ProcessCollector(registry=None)
        self.loop = Loop("metrics", self._read, seconds=READ_SECONDS)
        self._figures.add((f.REFUSED,), 0)
        self._figures.gauges[f.BUILD, version("generic-provider")] = 1
        store.listeners.committed.append(self._count)
        store.listeners.reached.append(self._reach)

    def figures(self) -> Figures:
        """Returns a copy of the current figures."""
        copy = self._figures.copy()
        if time.monotonic() - self._read_at < STALE_SECONDS:
            copy.gauges.update(self._stored)
        watchers, behind = self._watching.watchers()
        copy.gauges[f.WATCHERS,] = watchers
        copy.gauges[f.WATCHER_LAG,] = behind
        copy.gauges[f.REACHABLE,] = self._reached
        for metric in self._process.collect():
            for sample in metric.samples:
                kind = copy.counts if metric.type == "counter" else copy.gauges
                kind[sample.name,] = sample.value
        return copy

    def observe(self, method: str, code: str, seconds: float) -> None:
        """Counts a call that has ended. The first call of a method sets the counters of the
        method's failures to 0, so that Prometheus detects the first failure as an increase.
        """
        if (f.RPC, method, code) not in self._figures.histograms:
            for failure in FAILURES:
                self._figures.observe((f.RPC, method, failure))
        self._figures.observe((f.RPC, method, code), seconds)

    def refused_credentials(self, _: str) -> None:
        """Counts a call with wrong credentials or without credentials."""
        self._figures.add((f.REFUSED,))

    def _count(self, notice: Notice) -> None:
        tally = notice.tally
        if not tally.commands:
            return  # the commands ran in another process, which counts them itself
        self._figures.observe((f.COMMIT,), tally.seconds)
        self._figures.observe((f.GROUP,), tally.commands)
        for counted, count in tally.counts.items():
            self._figures.add(self._keys.get(counted) or self._key(counted), count)
        for key, spans in tally.spans.items():
            # another process, whose clock was ahead, may have created the requests; a sum that
            # decreases would look like a restart
            self._figures.observe(key, *[max(0, span) / SECOND for span in spans])

    def _key(self, counted: tuple[object, ...]) -> Key:
        """Converts a key of the tally to a key of the figures: members of enumerations become their
        names, other values become texts. Sets related counters to 0, so that Prometheus detects
        their first count as an increase.
        """
        key = self._keys[counted] = tuple(
            [each.name if isinstance(each, IntEnum) else str(each) for each in counted]
        )
        match key:
            case (str(name), provider, kind, origin) if name == CREATED:
                self._begin(*[(SETTLED, provider, kind, each.name, origin) for each in FINAL])
            case (str(name), kind, _) if name == ACTIONS:
                self._begin(*[(ACTIONS, kind, outcome) for outcome in OUTCOMES])
        return key

    def _begin(self, *keys: Key) -> None:
        for key in keys:
            self._figures.counts.setdefault(key, 0)

    def _reach(self, reached: bool) -> None:  # noqa: FBT001 - a listener of the store
        self._reached = reached

    async def _read(self) -> None:
        began = time.monotonic()
        server = self._store.server
        gauges = await self._store.read(lambda queries: queries.gauges(server))
        took = time.monotonic() - began
        connected = await self._presence.connected()
        self._stored = dict(_shown(gauges, connected))
        self._read_at = time.monotonic()
        for code in gauges.providers:
            self._begin(*[(LOST, code, cause.name) for cause in LOSSES])
            self._begin(*[(ANSWERS, code, verdict.name) for verdict in ResponseCode])
            self._begin(*[(ROLLBACKS, code, extent) for extent in ("ACTION", "PART")])
        # The first reading takes long, because it opens a connection. So the pause follows the
        # shorter of the last two readings.
        usual, self._took = min(took, self._took), took
        await asyncio.sleep(min(SHARE * usual, LONGEST_PAUSE))


def _shown(gauges: Gauges, connected: list[Connected]) -> Iterator[tuple[Key, float]]:
    adapters = Counter(each.provider for each in connected)
    used = _used(connected)
    for code, found in gauges.providers.items():
        for waiting_for, requests in found.waiting.items():
            yield (f.PENDING, code, waiting_for.name), requests
        yield (f.OLDEST, code), found.oldest_age
        yield (f.EXPIRY, code), found.next_expiry
        yield (f.OUT_OF_SYNC, code), found.out_of_sync
        yield (f.EFFECTIVE, code), found.effective
        yield (f.ADAPTERS, code), adapters[code]
        yield (f.CREDIT, code), used.get(code, 0.0)
    yield (f.UNSETTLED,), gauges.unsettled_actions
    for duty, seconds in gauges.lags.items():
        yield (f.LAG, duty), seconds
    for state, runs in gauges.reset_runs.items():
        yield (f.RUNS, state.name), runs


def _used(connected: list[Connected]) -> Mapping[str, float]:
    """Returns for each provider the used share of the credit of its streams."""
    used: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for each in connected:
        used[each.provider] += each.in_flight
        most[each.provider] += each.max_in_flight
    return {provider: used[provider] / most[provider] for provider in most}
