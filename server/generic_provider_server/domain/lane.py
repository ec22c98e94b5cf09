"""The hand-overs of a subscription's requests at one provider."""

from __future__ import annotations

from collections.abc import Iterable

from .lease import Lease
from .subscription.aggregate import Pending
from .values import Instant, Value

UNANSWERED = -1
"""Stands for the number of a hand-over that ended without an answer."""


class Lane(Value, frozen=True, kw_only=True):
    """The hand-overs of one subscription's requests at one provider.

    `count` requests, those of `unit` from `first` to `last` that are still pending, are on the
    lease until `lease_until`; 0: no lease.
    `handover` numbers the leases; `server` is the process that gave the lease, empty after a drain.
    """

    provider: str
    subscription: str
    handover: int = 0
    count: int = 0
    unit: int = 0
    first: int = 0
    last: int = 0
    stream: str = ""
    server: str = ""
    adapter: str = ""
    lease_start: Instant = Instant(0)
    lease_until: Instant = Instant(0)
    lease_duration: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.provider, self.subscription

    @property
    def lease(self) -> Lease:
        return Lease(
            self.provider,
            self.subscription,
            self.handover,
            self.unit,
            self.first,
            self.last,
            self.stream,
        )

    def leased(self, queue: Iterable[Pending]) -> frozenset[int]:
        """The numbers of the requests of the queue that are on the live lease."""
        if not self.count:
            return frozenset()
        return frozenset([p.number for p in queue if self.covers(p)])

    def covers(self, pending: Pending) -> bool:
        """Tells whether the last lease, live or ended, was given for the request."""
        return pending.unit == self.unit and self.first <= pending.index <= self.last
