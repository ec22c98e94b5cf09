"""Lists the duties of the clock, each with its period."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from ..commands.cleaning import DropAudit, DropEntries, DropEvents
from ..commands.due import EndDelays, ExpireOverdue, PerformDue
from ..commands.end_leases import EndLeases, end_of_overdue
from ..domain.archive import DAY
from ..domain.audit import DAYS_OF_AUDIT
from ..domain.resets.records import DAYS_OF_ENTRIES
from ..domain.subscription.events import DAYS_OF_EVENTS
from ..domain.values import SECOND, Instant
from ..store.memory.full_scan import FullScan
from ..store.read.duties import MOST_DUE
from ..store.read.queries import Queries
from ..store.write.command import Command

TICK = 0.25
FULL_SCAN_SECONDS = 5.0
"""The seconds between two searches for leases that ran out long ago.

The search is rare, because the search is slow during a long transaction in PostgreSQL: during such
a transaction the index keeps the entries of leases that have ended, and the search reads these
entries too.
"""

ENTRIES_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Work that the service repeats by itself.

    The clock calls `due`, runs the commands that `due` returns, pauses for `seconds`, and begins
    again. Every process has every duty, so another process may have done the work first. Therefore
    each command locks its rows, and checks again whether the change is due. A command changes a
    bounded number of rows. `due` returns at most MOST_DUE commands. If `due` returns MOST_DUE
    commands, and not all of these commands fail, the clock calls `due` again immediately.
    """

    name: str
    due: Callable[[Queries], Iterable[Command[object]]]
    seconds: float = TICK


def duties(
    server: str,
    *,
    days_of_entries: int = DAYS_OF_ENTRIES,
    days_of_events: int = DAYS_OF_EVENTS,
    days_of_audit: int = DAYS_OF_AUDIT,
) -> tuple[Duty, ...]:
    """Returns all duties. `server`: this process. The duty `leases` ends only leases of this
    process, and leases that belong to no process.
    """
    return (
        Duty(name="leases", due=RanOut(server).due),
        Duty(name="retries", due=_retries),
        Duty(name="expiry", due=_expiry),
        Duty(name="ends", due=_ends),
        Duty(name="scheduled", due=_scheduled),
        Duty(name="entries", due=partial(_entries, days=days_of_entries), seconds=ENTRIES_SECONDS),
        Duty(name="events", due=partial(_events, days=days_of_events)),
        Duty(name="audit", due=partial(_audit, days=days_of_audit)),
    )


def is_mass(commands: Sequence[Command[object]]) -> bool:
    """Tells whether at least MOST_DUE changes of subscriptions were due within one TICK.

    Returns False if the due times of MOST_DUE changes span a TICK or more. Changes with such due
    times have accumulated while the process was stopped or slow. Accumulated changes must not run
    one by one, because further changes will soon be due.
    """
    times = [each.due_time for each in commands if isinstance(each, PerformDue)]
    return len(times) >= MOST_DUE and times[-1] - times[0] < TICK * SECOND


class RanOut:
    """Ends leases that ran out. Keeps the time of the last search that found no such lease. The
    next search finds only leases that ran out after the kept time, unless the next search is a full
    scan.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._since = Instant(0)
        self._full_scan = FullScan(FULL_SCAN_SECONDS)

    def due(self, queries: Queries) -> Iterable[EndLeases]:
        with self._full_scan.turn() as everything:
            since = Instant(0) if everything else self._since
            now = queries.steady()
            if queries.leases_ran_out(self._server, since=since):
                return [end_of_overdue(since=since)]
        self._since = now
        return []


def _retries(queries: Queries) -> Iterable[EndDelays]:
    return [EndDelays()] if queries.delays_are_over() else []


def _expiry(queries: Queries) -> Iterable[ExpireOverdue]:
    return [ExpireOverdue(provider=code) for code in queries.providers_with_overdue()]


def _entries(queries: Queries, *, days: int) -> Iterable[DropEntries]:
    old = queries.runs_with_old_entries(age=days * DAY)
    return [DropEntries(run_number=number) for number in old]


def _events(queries: Queries, *, days: int) -> Iterable[DropEvents]:
    before = Instant(queries.now() - days * DAY)
    return [DropEvents(before=before)] if queries.events_are_old(before=before) else []


def _audit(queries: Queries, *, days: int) -> Iterable[DropAudit]:
    before = Instant(queries.now() - days * DAY)
    return [DropAudit(before=before)] if queries.audit_is_old(before=before) else []


def _ends(queries: Queries) -> Iterable[PerformDue]:
    due = queries.subscriptions_due().items()
    return [PerformDue(subscription=number, duty="ends", due_time=time) for number, time in due]


def _scheduled(queries: Queries) -> Iterable[PerformDue]:
    due = queries.subscriptions_with_scheduled().items()
    return [
        PerformDue(subscription=number, duty="scheduled", due_time=time) for number, time in due
    ]
