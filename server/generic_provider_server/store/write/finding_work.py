"""Finds the subscriptions that a command has to process."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...domain.lane import GRACE
from ...domain.values import Instant
from ..database import statements as sql
from .cleaning import Cleaning
from .loaded import Needs

LONGEST_LEASE = 2**62


class FindingWork(Cleaning):
    """Finds subscriptions. The command then locks and loads them with `load_free`.

    Each query returns at most `most` subscriptions, without those that are set aside from the
    command's duty. `processed`: the subscriptions that the command has processed so far; if the
    command fails, the last subscription is the cause.
    """

    processed: Sequence[str] = ()
    _set_aside: frozenset[str] = frozenset()

    def begin(self, needs: Needs) -> None:
        """Prepares for a command. The writer calls it before each command."""
        self.repeated = False
        if needs.duty or needs.searches:
            self.processed = list(needs.subscriptions)
            self._set_aside = self._memory.set_asides.subscriptions(needs.duty, now=self.now)

    def one_by_one(self, numbers: Iterable[str]) -> Iterator[str]:
        """Yields the subscriptions, and records which subscription is being processed."""
        self.processed = processed = list[str]()
        for number in numbers:
            processed.append(number)
            yield number

    def ready(self, provider: str, *, bulk: int, most: int) -> list[str]:
        """Returns the subscriptions with ready requests, the oldest first."""
        with self._memory.scan_starts.scan(provider, bulk) as scan:
            found = self._select(sql.READY, provider, bulk, scan.start, most=most)
            scan.found = found[0].ready_since if found else None
        return [row.subscription for row in found]

    def ran_out(self, *, since: Instant, most: int) -> list[str]:
        """Returns the subscriptions with leases that ran out after `since` and that this process
        must end: its own leases, and leases that belong to no process.
        """
        limits = since - GRACE, self.server, self.steady, self.now - GRACE
        return self._found(sql.RAN_OUT, *limits, most=most)

    def note_empty(self, provider: str) -> None:
        """Records that the provider has no ready lane, unless a subscription is set aside."""
        self.notice.ready.pop(provider, None)
        if not self._set_aside:
            self._memory.scan_starts.note_empty(provider)

    def made_ready(self) -> dict[str, list[str]]:
        """Returns the subscriptions whose requests may become ready with this transaction, the
        oldest first. Leaves out providers that have other ready lanes.
        """
        found = defaultdict[str, list[tuple[Instant, int, str]]](list)
        for provider, number in self._changed_lanes:
            queue = self.existing(number).aggregate.queue(provider)
            if queue and self._memory.scan_starts.is_empty(provider):
                found[provider].append((queue[0].schedule_time, queue[0].number, number))
        return {code: [number for *_, number in sorted(each)] for code, each in found.items()}

    def leased_to_stream(self, provider: str, stream: str, *, most: int) -> list[str]:
        return self._found(sql.LEASED_TO_STREAM, provider, stream, most=most)

    def leased_by_server(
        self, server: str, *, most: int, longest: int = LONGEST_LEASE
    ) -> list[str]:
        """Returns the subscriptions with leases of the server.

        `longest`: the greatest duration of these leases, in microseconds.
        """
        return self._found(sql.LEASED_BY_SERVER, server, longest, most=most)

    def leased_by_other_servers(self, server: str, *, most: int) -> list[str]:
        return self._found(sql.LEASED_BY_OTHER_SERVERS, server, most=most)

    def overdue(self, provider: str, *, limit: int, most: int) -> list[str]:
        """Returns the subscriptions without a lease whose first request was created before
        `limit`.
        """
        ready = [
            number
            for bulk in (0, 1)
            for number in self._found(sql.OVERDUE, provider, bulk, limit, limit, most=most)
        ]
        return ready + self._found(sql.OVERDUE_DELAYED, provider, limit, most=most)

    def end_delays(self) -> int:
        """Sets the state of lanes whose delay has ended to READY.

        Returns the number of providers with such lanes.
        """
        oldest = dict(self._tables.select(sql.DELAYS_OVER, (self.now,)))
        if oldest:
            self._tables.run(sql.END_DELAYS, (self.now,))
            for provider, since in oldest.items():
                self.notice.add_ready(provider, since)
        return len(oldest)

    def uses(self, provider: str) -> dict[str, int]:
        """Returns the number of subscriptions that name each part of the provider."""
        uses = Counter(dict(self._tables.select(sql.USES, (provider,))))
        uses.update({thing: n for (code, thing), n in self._uses.items() if code == provider})
        return uses

    def sign_of(self, server: str) -> int | None:
        """Returns the stored sign of life of the server; None if the server has no row."""
        found = self._tables.select(sql.SIGN, (server,))
        return found[0].seen_time if found else None

    def _found(self, statement: str, *parameters: object, most: int) -> list[str]:
        return [row.subscription for row in self._select(statement, *parameters, most=most)]

    def _select(self, statement: str, *parameters: object, most: int) -> list[Any]:
        aside = self._set_aside
        found = self._tables.select(statement, (*parameters, most + len(aside)))
        return [row for row in found if row.subscription not in aside][:most] if aside else found
