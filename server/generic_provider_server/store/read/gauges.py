"""Contains the queries for the gauges of the metrics.

The cost of these queries depends on pending requests, due work and links out of sync, not on the
number of stored rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from peewee import SQL, Field, fn

from ...domain.lane import LaneState
from ...domain.resets.records import RunState
from ...domain.subscription.request_records import WaitingFor
from ...domain.values import SECOND, Instant, Value
from ..database.models import (
    ActionRow,
    LaneRow,
    LinkRow,
    RequestRow,
    ResetDefinitionRow,
    ResetRunRow,
    SubscriptionRow,
)
from .base import BaseQueries

MOST_RUNS = 1_000
"""The gauges count the states of this number of the newest reset runs, and of all older open runs.
"""
OPEN_RUNS = SQL("state = 2"), SQL("held_since IS NOT NULL")
"""The conditions of the partial indexes of RUNNING and HELD runs."""

FIRST_UNIT = """
SELECT provider, COUNT(*) AS requests FROM request WHERE state = 1 AND unit = (
    SELECT head_unit FROM lane WHERE status = 0
    AND lane.provider = request.provider AND lane.subscription = request.subscription
) GROUP BY provider"""
"""Counts the pending requests in the first unit of each ready lane: adapters could take these
requests now.
"""


class ProviderGauges(Value, frozen=True, kw_only=True):
    """The pending requests of a provider, in numbers.

    Times are in seconds. `next_expiry`: the time until the oldest request expires, negative if the
    request should have expired already. If no request is pending, `next_expiry` is the time after
    which a new request would expire.
    """

    effective: bool
    waiting: dict[WaitingFor, int]
    oldest_age: float
    next_expiry: float
    out_of_sync: int


class Gauges(Value, frozen=True, kw_only=True):
    """The gauges of the metrics. `lags`: for each duty, the seconds since the most overdue work of
    the duty was due.

    `unsettled_actions`: the number of actions with pending requests.
    """

    providers: dict[str, ProviderGauges]
    unsettled_actions: int
    lags: dict[str, float]
    reset_runs: dict[RunState, int]


class _Lanes:
    """Sums and earliest times of all lanes of a provider."""

    def __init__(self) -> None:
        self.waiting: Counter[WaitingFor] = Counter()
        self.oldest: Instant | None = None
        self.oldest_unleased: Instant | None = None
        self.retry: Instant | None = None


class GaugeQueries(BaseQueries):
    def gauges(self, server: str) -> Gauges:
        """Returns the gauges. `server`: this process. Only leases of this process can count as
        late.
        """
        now = self._memory.now()
        lanes = self._lanes()
        out_of_sync = self._out_of_sync()
        catalogues = self._memory.providers.catalogues
        providers, overdue = {}, Instant(0)
        for code, catalogue in catalogues.items():
            window = catalogue.provider.delivery_settings.pending_window
            found = lanes[code]
            oldest = now if found.oldest is None else found.oldest
            providers[code] = ProviderGauges(
                effective=catalogue.effective,
                waiting={each: found.waiting[each] for each in WaitingFor},
                oldest_age=max(0, now - oldest) / SECOND,
                next_expiry=(oldest + window - now) / SECOND,
                out_of_sync=out_of_sync[code],
            )
            if found.oldest_unleased is not None:
                overdue = Instant(max(overdue, now - window - found.oldest_unleased))
        retries = [each.retry for each in lanes.values() if each.retry is not None]
        return Gauges(
            providers=providers,
            unsettled_actions=self._unsettled_actions(),
            lags={
                "leases": self._late_leases(server),
                "retries": _late(min(retries, default=None), now),
                "expiry": overdue / SECOND,
                **self._late_by_index(now),
            },
            reset_runs=self._reset_runs(),
        )

    def _lanes(self) -> defaultdict[str, _Lanes]:
        query = LaneRow.select(
            LaneRow.provider,
            LaneRow.status,
            fn.COUNT(LaneRow.subscription).alias("lanes"),
            fn.SUM(LaneRow.pending).alias("pending"),
            fn.SUM(LaneRow.count).alias("leased"),
            fn.MIN(LaneRow.head_create_time).alias("oldest"),
            fn.MIN(LaneRow.ready_time).alias("retry"),
        ).group_by(LaneRow.provider, LaneRow.status)
        rows = self._rows(query)
        several = any(r.status == LaneState.READY and r.pending > r.lanes for r in rows)
        first = self._first_units() if several else None
        lanes: defaultdict[str, _Lanes] = defaultdict(_Lanes)
        for row in rows:
            ready = row.lanes if first is None else first[row.provider]
            self._add(lanes[row.provider], row, ready=ready)
        return lanes

    def _add(self, lanes: _Lanes, row: Any, *, ready: int) -> None:
        """Adds the lanes of one state, and counts the reasons why the requests of these lanes wait.
        `BaseQueries._shown` determines the reason of a single request by the same rules.
        """
        lanes.oldest = _first(lanes.oldest, row.oldest)
        head, waits_for = {
            LaneState.LEASED: (row.leased, WaitingFor.ANSWER),
            LaneState.DELAYED: (row.lanes, WaitingFor.RETRY),
            LaneState.READY: (ready, WaitingFor.ADAPTER),
        }[LaneState(row.status)]
        if row.status != LaneState.LEASED:
            lanes.oldest_unleased = _first(lanes.oldest_unleased, row.oldest)
        if row.status == LaneState.DELAYED:
            lanes.retry = row.retry
        catalogue = self._memory.providers.catalogues.get(row.provider)
        effective = catalogue is not None and catalogue.effective
        if not effective and row.status != LaneState.LEASED:
            head, waits_for = row.pending, WaitingFor.PROVIDER
        head = min(head, row.pending)
        lanes.waiting[waits_for] += head
        behind = WaitingFor.EARLIER_REQUEST if effective else WaitingFor.PROVIDER
        lanes.waiting[behind] += row.pending - head

    def _first_units(self) -> Counter[str]:
        return Counter({row.provider: row.requests for row in self._select(FIRST_UNIT)})

    def _out_of_sync(self) -> Counter[str]:
        query = LinkRow.select(LinkRow.provider, fn.COUNT(LinkRow.subscription).alias("links"))
        found = self._rows(query.where(SQL("sync_state = 3")).group_by(LinkRow.provider))
        return Counter({row.provider: row.links for row in found})

    def _unsettled_actions(self) -> int:
        query = RequestRow.select(fn.COUNT(fn.DISTINCT(RequestRow.action)))
        return int(self._rows(query.where(SQL("state = 1"), RequestRow.action > 0))[0][0])

    def _late_leases(self, server: str) -> float:
        query = LaneRow.select(fn.MIN(LaneRow.lease_until))
        (found,) = self._rows(query.where(SQL("status = 1"), LaneRow.server == server))
        return _late(found[0], self._memory.steady())

    def _late_by_index(self, now: Instant) -> dict[str, float]:
        columns: dict[str, Field] = {
            "ends": SubscriptionRow.due_time,
            "scheduled": ActionRow.due_time,
            "resets": ResetDefinitionRow.next_run_time,
        }
        return {duty: _late(self._first_in(column), now) for duty, column in columns.items()}

    def _first_in(self, column: Field) -> int | None:
        query = column.model.select(fn.MIN(column)).where(SQL(f"{column.name} IS NOT NULL"))
        found: int | None = self._rows(query)[0][0]
        return found

    def _reset_runs(self) -> dict[RunState, int]:
        newest = self._rows(ResetRunRow.select(fn.MAX(ResetRunRow.id)))[0][0] or 0
        query = ResetRunRow.select(ResetRunRow.state, fn.COUNT(ResetRunRow.id).alias("runs"))
        older = ResetRunRow.id <= newest - MOST_RUNS
        conditions = [[~older], *[[older, state] for state in OPEN_RUNS]]
        found = Counter[int]()
        for each in conditions:
            rows = self._rows(query.where(*each).group_by(ResetRunRow.state))
            found.update({row.state: row.runs for row in rows})
        return {state: found[state] for state in RunState}


def _first(*times: Instant | None) -> Instant | None:
    return min([each for each in times if each is not None], default=None)


def _late(due: int | None, now: int) -> float:
    return 0.0 if due is None else max(0, now - due) / SECOND
