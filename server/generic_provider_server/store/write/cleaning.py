"""Removes old rows within a transaction: events, entries of the audit trail and of reset runs, and
the rows of server processes that give no sign of life.
"""

from __future__ import annotations

from itertools import takewhile

from ...domain.values import Instant
from ..database import statements as sql
from ..database.engine import Tables


class Cleaning:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def drop_events(self, *, before: Instant, most: int) -> None:
        """Removes at most `most` rows of events that are older than `before`, beginning with the
        oldest row.
        """
        rows = self._tables.select(sql.OLDEST_EVENTS, (most,))
        old = [row.number for row in takewhile(lambda row: row.time < before, rows)]
        if old:
            self._tables.run(sql.DROP_EVENTS, (old[-1],))

    def drop_audit(self, *, before: Instant, most: int) -> None:
        """Removes at most `most` entries of the audit trail that are older than `before`, beginning
        with the oldest entry.
        """
        old = self._tables.select(sql.OLDEST_AUDIT, (before, most))
        self._tables.write(sql.DROP_AUDIT, [{"time": each.time, "call": each.call} for each in old])

    def drop_reset_entries(self, run: int, *, most: int) -> None:
        """Removes the first entries of the run, at most `most`."""
        found = self._tables.select(sql.FIRST_ENTRIES, (run, most))
        first = [{"run": row.run, "subscription": row.subscription} for row in found]
        self._tables.write(sql.DROP_ENTRIES, first)

    def forget_server(self, server: str, *, sign: int) -> None:
        """Removes the row of the server process, unless the process has written a sign of life
        after `sign`.
        """
        self._tables.run(sql.FORGET_SERVER, (server, sign))
