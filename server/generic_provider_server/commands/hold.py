"""Extends and releases live leases, which it finds by their tokens."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.lane import Lane, disown, extend
from ..domain.lease import Lease, LeaseEnd, streams_of
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .claim import MOST_AT_ONCE


@dataclass(frozen=True, slots=True)
class LeaseState:
    """`remaining`: microseconds for which the lease is still live; 0 if it has ended."""

    live: bool
    remaining: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend:
    """`duration`: microseconds from now; None = as at the hand-over or the last extension."""

    leases: tuple[Lease | None, ...]
    duration: int | None = None

    def needs(self) -> Needs:
        return _needs(self.leases)

    def run(self, work: Transaction) -> tuple[LeaseState, ...]:
        work.notice.heard.update(streams_of(self.leases))
        return tuple([self._extend(work, lease) for lease in self.leases])

    def _extend(self, work: Transaction, lease: Lease | None) -> LeaseState:
        lane = live_lane(work, lease)
        if lane is None:
            return LeaseState(live=False)
        most = work.catalogues[lane.provider].provider.delivery_settings.max_lease_time
        change = extend(lane, now=work.now, duration=self.duration, most=most)
        work.put_lane(change)
        return LeaseState(live=True, remaining=change.lane.lease_until - work.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """`stop`: the streams of these leases get nothing more."""

    leases: tuple[Lease | None, ...]
    stop: bool = False

    def needs(self) -> Needs:
        return _needs(self.leases)

    def run(self, work: Transaction) -> tuple[LeaseState, ...]:
        """Returns for each lease whether it was live until now."""
        streams = streams_of(self.leases)
        work.notice.heard.update(streams)
        if self.stop:
            work.notice.stopped.update(streams)
        states = []
        for lease in self.leases:
            lane = live_lane(work, lease)
            if lane is not None:
                work.end_lease(lane, LeaseEnd.RELEASED)
            states.append(LeaseState(live=lane is not None))
        return tuple(states)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disown:
    """Gives up the leases of a server that drained: they stay live until they run out."""

    server: str

    def needs(self) -> Needs:
        return Needs(late=True, duty="leases")

    def run(self, work: Transaction) -> int:
        """Returns the number of subscriptions found. Call it again until it returns 0."""
        found = work.leased_by_server(self.server, most=MOST_AT_ONCE)
        for number in work.one_by_one(work.load_free(found)):
            for lane in list(work.lanes[number].values()):
                if lane.server == self.server:
                    work.put_lane(disown(lane))
        return len(found)


def live_lane(work: Transaction, lease: Lease | None) -> Lane | None:
    """The lane, if exactly this lease is live on it."""
    if lease is None:
        return None
    lane = work.lane(lease.provider, lease.subscription)
    return lane if lane.is_on(lease) else None


def _needs(leases: tuple[Lease | None, ...]) -> Needs:
    return Needs(subscriptions=frozenset(lease.subscription for lease in leases if lease))
