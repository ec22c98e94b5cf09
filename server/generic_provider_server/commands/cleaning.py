"""Removes rows that are too old: events, entries of the audit trail, entries of reset runs."""

from __future__ import annotations

from ..domain.values import Instant, Value
from ..store.write.loaded import SEARCHES, Needs
from ..store.write.transaction import Transaction

MOST_DROPPED = 500
MOST_EVENT_ROWS = 100


class DropEvents(Value, frozen=True, kw_only=True):
    """Removes the rows of events that are older than `before`, oldest first, but at most
    MOST_EVENT_ROWS rows.
    """

    before: Instant

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> None:
        transaction.drop_events(before=self.before, most=MOST_EVENT_ROWS)


class DropAudit(Value, frozen=True, kw_only=True):
    """Removes the entries of the audit trail that are older than `before`, oldest first, but at
    most MOST_DROPPED entries.
    """

    before: Instant

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> None:
        transaction.drop_audit(before=self.before, most=MOST_DROPPED)


class DropEntries(Value, frozen=True, kw_only=True):
    """Removes the first MOST_DROPPED entries of a reset run that ended long ago. A run that has
    ended never changes again, so the command does not read the run.
    """

    run_number: int

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> None:
        transaction.resets.drop_entries(self.run_number, most=MOST_DROPPED)
