"""Ends leases: all that a stream or a server has, or all that ran out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..domain.lane import Lane
from ..domain.lease import LeaseEnd
from ..domain.values import Instant
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .claim import MOST_AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class EndLeases:
    """Ends the leases for which `broken` is true, and those that ran out, which end when their
    subscriptions are loaded.

    `find` returns at most `MOST_AT_ONCE` subscriptions. The functions below create the command.
    """

    find: Callable[[Transaction], list[str]]
    broken: Callable[[Lane], bool] = lambda _: False

    def needs(self) -> Needs:
        return Needs(searches=True, for_adapter=True, duty="leases")

    def run(self, transaction: Transaction) -> int:
        """Returns the number of subscriptions found. Call it again until it returns 0."""
        found = self.find(transaction)
        for number in transaction.one_by_one(transaction.load_free(found)):
            for lane in list(transaction.lanes[number].values()):
                if lane.is_leased and self.broken(lane):
                    transaction.end_lease(lane, LeaseEnd.STREAM_BROKE)
        return len(found)


def end_of_overdue(now: Instant, *, since: Instant) -> EndLeases:
    """Ends the leases that ran out between `since` and `now`."""
    return EndLeases(
        find=lambda transaction: transaction.ran_out(since=since, until=now, most=MOST_AT_ONCE)
    )


def end_of_stream(provider: str, stream: str) -> EndLeases:
    """Ends the leases of a stream that broke."""
    return EndLeases(
        find=lambda transaction: transaction.leased_to_stream(provider, stream, most=MOST_AT_ONCE),
        broken=lambda lane: lane.stream == stream,
    )


def end_of_server(server: str) -> EndLeases:
    """Ends the leases of a server that died."""
    return EndLeases(
        find=lambda transaction: transaction.leased_by_server(server, most=MOST_AT_ONCE),
        broken=lambda lane: lane.server == server,
    )


def end_of_other_servers(server: str) -> EndLeases:
    """Ends the leases of all other servers. Use it only if no other server can run."""
    return EndLeases(
        find=lambda transaction: transaction.leased_by_other_servers(server, most=MOST_AT_ONCE),
        broken=lambda lane: lane.server not in ("", server),
    )
