"""Finds the reset runs that are moved into an archive, with their entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import MsgspecError, Raw
from peewee import SQL, Tuple

from ...domain.archive import ArchiveRecord
from ...domain.resets.records import EntryOutcome, RunRecord, run_id
from ...domain.values import RequestState
from ..archives.lines import Content, EntryLine, RunLine, moment
from ..database.documents import aggregate_of
from ..database.models import RequestRow, ResetEntryRow, ResetRunRow, SubscriptionRow
from ..database.reset_rows import run_of_row
from .base import BaseQueries

MOST_ROWS = 500


class PageStart(NamedTuple):
    """A place in the order of rows: after the row with this number. If `subscription` is set, the
    row is a reset run, and the place is after the run's entry for this subscription.
    """

    number: int
    subscription: str = ""


START = PageStart(0)


class Page(NamedTuple):
    """A page of lines.

    `end`: the place at which the next page begins; None after the last page.
    """

    lines: Sequence[Content]
    end: PageStart | None


class ArchivableRuns(BaseQueries):
    def _run_page(self, archive: ArchiveRecord, *, place: PageStart) -> Page:
        """If `place` is within a run, returns the next entries of that run. Otherwise returns the
        run after `place`, with its first entries.
        """
        lines: list[Content] = []
        if not place.subscription:
            row = self._next_run(archive, after=place.number)
            if row is None:
                return Page((), None)
            lines, place = [_run_line(row)], PageStart(row.id)
        table = ResetEntryRow
        query = table.select().where(
            table.run == place.number, table.subscription > place.subscription
        )
        entries = self._rows(query.order_by(table.subscription).limit(MOST_ROWS))
        lines += map(_entry_line, entries)
        more = len(entries) == MOST_ROWS
        return Page(lines, PageStart(place.number, entries[-1].subscription if more else ""))

    def _next_run(self, archive: ArchiveRecord, *, after: int) -> Any:
        """Returns the row of the first run after `after` that may be archived, or None."""
        for row in self._runs_after(after):
            run = run_of_row(row)
            if run.start_time >= archive.created_before:
                return None
            if archive.provider in ("", row.provider) and self._is_over(run, archive):
                return row
        return None

    def _runs_after(self, number: int) -> Iterator[Any]:
        """Yields the rows of runs in the order of the run ids, which is the order in which the runs
        began.
        """
        while True:
            query = ResetRunRow.select().where(ResetRunRow.id > number)
            rows = self._rows(query.order_by(ResetRunRow.id).limit(MOST_ROWS))
            yield from rows
            if len(rows) < MOST_ROWS:
                return
            number = rows[-1].id

    def _is_over(self, run: RunRecord, archive: ArchiveRecord) -> bool:
        """Tells whether the run and its requests ended before the limits of the archive. Returns
        False as long as the last error of a link names a request of the run.
        """
        before = min(archive.created_before, archive.final_before)
        if run.end_time is None or run.end_time >= before:
            return False
        young = RequestRow.select(RequestRow.number).where(
            RequestRow.reset_run == run.id,
            SQL("reset_run <> 0"),
            (RequestRow.settle_time.is_null()) | (RequestRow.settle_time >= archive.final_before),
        )
        return not self._rows(young.limit(1)) and not self._caused_last_error(run)

    def _caused_last_error(self, run: RunRecord) -> bool:
        """Tells whether the last error of a link names a request of the run. Reads the rejected
        requests page by page, because a platform may have rejected a million requests of the run.
        """
        table, state, after = RequestRow, int(RequestState.REJECTED), 0
        # If the run and the state had conditions of their own, SQLite would read the whole table in
        # the order of the numbers, and not use the index with these columns.
        place = Tuple(table.reset_run, table.state, table.number)
        rejected = table.select(table.number, table.subscription, table.state).where(
            SQL("reset_run <> 0"), place < (run.id, state + 1, 0)
        )
        rejected = rejected.order_by(table.reset_run, table.state, table.number).limit(MOST_ROWS)
        while page := self._rows(rejected.where(place > (run.id, state, after))):
            if not self._last_errors(page).isdisjoint(row.number for row in page):
                return True
            after = page[-1].number
        return False

    def _last_errors(self, requests: Iterable[Any]) -> set[int]:
        """Returns the numbers of the requests that the last error of a link names. Only links of
        subscriptions with a rejected request among `requests` are examined. If such a subscription
        cannot be read, the result contains all rejected requests of the subscription, because each
        of these requests may be the last error.
        """
        rejected = defaultdict[str, set[int]](set)
        for row in requests:
            if row.state == RequestState.REJECTED:
                rejected[row.subscription].add(row.number)
        found: set[int] = set()
        names = sorted(rejected)
        for start in range(0, len(names), MOST_ROWS):
            chunk = names[start : start + MOST_ROWS]
            query = SubscriptionRow.select().where(SubscriptionRow.number.in_(chunk))
            for row in self._rows(query):
                try:
                    links = aggregate_of(bytes(row.document)).links
                except MsgspecError:
                    found |= rejected[row.number]
                else:
                    found |= {link.last_error.request for link in links if link.last_error}
        return found


def _run_line(row: Any) -> RunLine:
    run = run_of_row(row)
    return RunLine(
        id=run_id(run.id),
        provider=row.provider,
        state=run.state.name,
        start_time=moment(run.start_time),
        end_time=moment(run.end_time or 0),
        performed_by=run.who.performed_by,
        contents=Raw(bytes(row.document)),
    )


def _entry_line(row: Any) -> EntryLine:
    return EntryLine(
        reset_run=run_id(row.run),
        subscription=row.subscription,
        outcome=EntryOutcome(row.outcome).name,
        contents=Raw(bytes(row.document)),
    )
