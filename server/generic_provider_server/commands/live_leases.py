"""Extends and ends live leases, and separates leases from a process that stops."""

from __future__ import annotations

from ..domain.lane import Lane, disown, extend
from ..domain.lease import Lease, LeaseEnd, streams_of
from ..domain.refusals import unavailable
from ..domain.values import Value
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .end_leases import Progress


class LeaseState(Value, frozen=True):
    """Tells whether a lease is live.

    `remaining`: the microseconds until the lease ends; 0 if the lease has ended.
    """

    live: bool
    remaining: int = 0


class Extend(Value, frozen=True, kw_only=True):
    """Extends leases. `server`: this process, to which the leases belong from now on.

    `duration`: microseconds from now; None means the duration that the lease got at its hand-over
    or at its last extension.
    """

    leases: tuple[Lease | None, ...]
    server: str
    duration: int | None = None

    def needs(self) -> Needs:
        return _needs(self.leases)

    def run(self, transaction: Transaction) -> tuple[LeaseState, ...]:
        if not transaction.is_alive:
            raise unavailable("written")
        transaction.notice.heard.update(streams_of(self.leases))
        return tuple([self._extend(transaction, lease) for lease in self.leases])

    def _extend(self, transaction: Transaction, lease: Lease | None) -> LeaseState:
        lane = live_lane(transaction, lease)
        if lane is None:
            return LeaseState(live=False)
        most = transaction.catalogues[lane.provider].provider.delivery_settings.max_lease_time
        change = extend(
            lane,
            server=self.server,
            duration=self.duration,
            most=most,
            steady=transaction.steady,
            now=transaction.now,
        )
        transaction.put_lane(change)
        return LeaseState(live=True, remaining=change.lane.lease_until - transaction.steady)


class Release(Value, frozen=True, kw_only=True):
    """Releases leases. If `stop` is true, the streams of these leases get no more requests."""

    leases: tuple[Lease | None, ...]
    stop: bool = False

    def needs(self) -> Needs:
        return _needs(self.leases)

    def run(self, transaction: Transaction) -> tuple[LeaseState, ...]:
        """Returns for each lease whether the lease was live until now."""
        streams = streams_of(self.leases)
        transaction.notice.heard.update(streams)
        if self.stop:
            transaction.notice.stopped.update(streams)
        states = []
        for lease in self.leases:
            lane = live_lane(transaction, lease)
            if lane is not None:
                transaction.end_lease(lane, LeaseEnd.RELEASED)
            states.append(LeaseState(live=lane is not None))
        return tuple(states)


class Withdraw(Value, frozen=True, kw_only=True):
    """Ends leases that the server has not sent. No adapter can have applied the requests of such a
    lease.
    """

    leases: tuple[Lease, ...]

    def needs(self) -> Needs:
        return _needs(self.leases)

    def run(self, transaction: Transaction) -> None:
        for lease in self.leases:
            lane = live_lane(transaction, lease)
            if lane is not None:
                transaction.end_lease(lane, LeaseEnd.NOT_SENT)


class Disown(Value, frozen=True, kw_only=True):
    """Separates the leases from a server that has drained: afterwards the leases belong to no
    process, and stay live until they run out.
    """

    server: str

    def needs(self) -> Needs:
        return Needs(searches=True, duty="leases")

    def run(self, transaction: Transaction) -> Progress:
        found = transaction.search.leased_by_server(self.server)
        free = transaction.load_free(found)
        for number in transaction.one_by_one(free):
            for lane in list(transaction.loaded[number].lanes.values()):
                if lane.is_leased and lane.server == self.server:
                    transaction.put_lane(
                        disown(lane, steady=transaction.steady, now=transaction.now)
                    )
        return Progress(found=len(found), done=len(free))


def live_lane(transaction: Transaction, lease: Lease | None) -> Lane | None:
    """Returns the lane if `lease` is its live lease, otherwise None."""
    if lease is None:
        return None
    lane = transaction.lane(lease.provider, lease.subscription)
    return lane if lane.is_on(lease) else None


def _needs(leases: tuple[Lease | None, ...]) -> Needs:
    return Needs(
        subscriptions=frozenset(lease.subscription for lease in leases if lease), for_adapter=True
    )
