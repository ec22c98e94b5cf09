"""Ends the leases of a stream or a server, and the leases that ran out."""

from __future__ import annotations

from collections.abc import Callable

from ..domain.lane import Lane, disown_dead
from ..domain.lease import LeaseEnd
from ..domain.values import Instant, Value
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from ..store.write.work_queries import WorkQueries


class Progress(Value, frozen=True):
    """The result of a command that changes a limited number of subscriptions.

    `found`: the number of subscriptions that the command found. `done`: the number of found
    subscriptions that no other process had locked. Run the command again until `found` is 0.
    """

    found: int
    done: int


class EndLeases(Value, frozen=True, kw_only=True):
    """Ends the leases for which `broken` returns True. `cause`: the reason why these leases end.

    Leases that ran out end too, because the store ends such leases when it loads their
    subscription. `find` returns at most `MOST_FOUND` subscriptions. `unless` is called when the
    subscriptions are locked; if `unless` returns True, the command ends no lease. The functions
    below create the command.
    """

    find: Callable[[WorkQueries], list[str]]
    broken: Callable[[Lane], bool] = lambda _: False
    cause: LeaseEnd = LeaseEnd.STREAM_BROKE
    unless: Callable[[Transaction], bool] = lambda _: False

    def needs(self) -> Needs:
        return Needs(searches=True, for_adapter=True, duty="leases")

    def run(self, transaction: Transaction) -> Progress:
        found = self.find(transaction.search)
        free = transaction.load_free(found)
        if self.unless(transaction):
            return Progress(found=0, done=0)
        for number in transaction.one_by_one(free):
            for lane in list(transaction.loaded[number].lanes.values()):
                if lane.is_leased and self.broken(lane):
                    self._end(transaction, lane)
        return Progress(found=len(found), done=len(free))

    def _end(self, transaction: Transaction, lane: Lane) -> None:
        """Ends the lease. A lease that a call of PullPendingRequests got from a server that has
        died does not end at once: the lease stays live until it has certainly run out.
        """
        if lane.stream or self.cause is not LeaseEnd.STREAM_BROKE:
            transaction.end_lease(lane, self.cause)
        else:
            transaction.put_lane(disown_dead(lane, now=transaction.now))


def end_of_overdue(*, since: Instant) -> EndLeases:
    """Returns the command that ends leases which ran out after `since`: leases of this process, and
    leases that belong to no process.
    """
    return EndLeases(find=lambda search: search.ran_out(since=since))


def end_of_stream(provider: str, stream: str) -> EndLeases:
    """Returns the command that ends the leases of a stream that has ended."""
    return EndLeases(
        find=lambda search: search.leased_to_stream(provider, stream),
        broken=lambda lane: lane.stream == stream,
    )


def end_of_silent(server: str, *, sign: int | None, longest: int) -> EndLeases:
    """Returns the command that ends the leases of a silent server, but only leases with a duration
    of at most `longest` microseconds. The code that calls this function chooses `longest` so that
    these leases have run out by the clock of every process.

    `sign`: the last sign of life of the server, as this process knows it. If the database contains
    another sign of life, the command ends no lease, because the server may have given new leases. A
    server writes its sign of life before it gives leases, so a process that sees a new lease also
    sees the new sign of life.
    """
    return EndLeases(
        find=lambda search: search.leased_by_server(server, longest=longest),
        broken=lambda lane: lane.server == server and lane.lease_duration <= longest,
        cause=LeaseEnd.RAN_OUT,
        unless=lambda transaction: transaction.sign_of(server) != sign,
    )


def end_of_other_servers(server: str) -> EndLeases:
    """Returns the command that ends the leases of all other servers. Call this function only if no
    other server can be running.
    """
    return EndLeases(
        find=lambda search: search.leased_by_other_servers(server),
        broken=lambda lane: lane.server not in ("", server),
    )
