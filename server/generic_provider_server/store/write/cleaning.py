"""Removes old rows within a transaction: events, entries of the audit trail, silent servers."""

from __future__ import annotations

from itertools import takewhile

from ...domain.values import Instant
from ..database import statements as sql
from .changes import Changes


class Cleaning(Changes):
    """Removes rows that no command loads."""

    def drop_events(self, *, before: Instant, most: int) -> None:
        """Removes at most `most` rows of events that are older than `before`, the oldest first."""
        rows = self._tables.select(sql.OLDEST_EVENTS, (most,))
        old = [row.number for row in takewhile(lambda row: row.time < before, rows)]
        if old:
            self._tables.run(sql.DROP_EVENTS, (old[-1],))

    def drop_audit(self, *, before: Instant, most: int) -> None:
        """Removes at most `most` entries of the audit trail that are older than `before`, the
        oldest first.
        """
        old = self._tables.select(sql.OLDEST_AUDIT, (before, most))
        self._tables.write(sql.DROP_AUDIT, [{"time": each.time, "call": each.call} for each in old])

    def forget_server(self, server: str, *, sign: int) -> None:
        """Removes the server's row, unless the server has written another sign of life."""
        self._tables.run(sql.FORGET_SERVER, (server, sign))
