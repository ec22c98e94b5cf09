"""Contains the queries that find subscriptions with ready, overdue or leased requests."""

from __future__ import annotations

from typing import Any

from ...domain.lane import GRACE
from ...domain.values import Instant
from ..database.engine import Tables
from ..database.statements import HAS_RUN_OUT, SKIP_LOCKED
from ..memory.memory import Memory
from ..notices.notice import Notice

LONGEST_LEASE = 2**62
MOST_FOUND = 500
"""The greatest number of subscriptions that a statement finds; `ready` has a limit of its own."""

READY = (
    "SELECT subscription, ready_since FROM lane WHERE provider = ? AND bulk = ? AND status = 0 "
    f"AND ready_since >= ? ORDER BY ready_since, head LIMIT ?{SKIP_LOCKED}"
)
RAN_OUT = f"SELECT subscription FROM lane WHERE {HAS_RUN_OUT} ORDER BY lease_until LIMIT ?"
LEASED_TO_STREAM = (
    "SELECT subscription FROM lane WHERE provider = ? AND status = 1 AND stream = ? LIMIT ?"
)
LEASED_BY_SERVER = (
    "SELECT subscription FROM lane WHERE status = 1 AND server = ? AND lease_duration <= ? LIMIT ?"
)
LEASED_BY_OTHER_SERVERS = (
    "SELECT subscription FROM lane WHERE status = 1 AND server NOT IN ('', ?) LIMIT ?"
)
OVERDUE = (
    "SELECT subscription FROM lane WHERE provider = ? AND bulk = ? AND status = 0 "
    "AND ready_since <= ? AND head_create_time <= ? ORDER BY ready_since, head LIMIT ?"
)
OVERDUE_DELAYED = (
    "SELECT subscription FROM lane WHERE provider = ? AND status = 2 AND head_create_time <= ? "
    "LIMIT ?"
)


class WorkQueries:
    """Finds subscriptions, which the command must then lock and load with `load_free`.

    The queries leave out the subscriptions in `set_aside`, which are set aside from the duty of the
    command.
    """

    def __init__(
        self, tables: Tables, memory: Memory, notice: Notice, *, now: Instant, steady: Instant
    ) -> None:
        self.set_aside: frozenset[str] = frozenset()
        self._tables = tables
        self._memory = memory
        self._notice = notice
        self._now = now
        self._steady = steady

    def ready(self, provider: str, *, bulk: int, most: int) -> list[str]:
        """Returns at most `most` subscriptions with ready requests, in the order of `ready_since`.
        `bulk`: 1 for bulk lanes, 0 for live lanes.
        """
        with self._memory.scan_starts.scan(provider, bulk) as scan:
            # the running transaction may have made lanes ready that precede the start of the scan
            start = min(scan.start, self._notice.ready.get(provider, scan.start))
            found = self._select(READY, provider, bulk, start, most=most)
            scan.found = found[0].ready_since if found else None
        return [row.subscription for row in found]

    def ran_out(self, *, since: Instant) -> list[str]:
        """Returns the subscriptions with leases that ran out after `since` and that this process
        must end: its own leases, and leases that belong to no process.
        """
        limits = since - GRACE, self._memory.server, self._steady, self._now - GRACE
        return self._found(RAN_OUT, *limits)

    def note_empty(self, provider: str) -> None:
        """Records that the provider has no ready lane, unless a subscription is set aside."""
        self._notice.ready.pop(provider, None)
        if not self.set_aside:
            self._memory.scan_starts.note_empty(provider)

    def leased_to_stream(self, provider: str, stream: str) -> list[str]:
        return self._found(LEASED_TO_STREAM, provider, stream)

    def leased_by_server(self, server: str, *, longest: int = LONGEST_LEASE) -> list[str]:
        """Returns the subscriptions with leases of the server that last at most `longest`
        microseconds.
        """
        return self._found(LEASED_BY_SERVER, server, longest)

    def leased_by_other_servers(self, server: str) -> list[str]:
        return self._found(LEASED_BY_OTHER_SERVERS, server)

    def overdue(self, provider: str, *, limit: int) -> list[str]:
        """Returns the subscriptions that have no live lease and whose first pending request was
        created at `limit` or earlier. First come the subscriptions with ready live lanes, then
        those with ready bulk lanes, then those with delayed lanes.
        """
        live, bulk = (self._found(OVERDUE, provider, each, limit, limit) for each in (0, 1))
        return [*live, *bulk, *self._found(OVERDUE_DELAYED, provider, limit)]

    def _found(self, statement: str, *parameters: object) -> list[str]:
        return [row.subscription for row in self._select(statement, *parameters, most=MOST_FOUND)]

    def _select(self, statement: str, *parameters: object, most: int) -> list[Any]:
        aside = self.set_aside
        found = self._tables.select(statement, (*parameters, most + len(aside)))
        return [row for row in found if row.subscription not in aside][:most] if aside else found
