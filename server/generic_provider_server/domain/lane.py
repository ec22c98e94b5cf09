"""The hand-overs of a subscription's requests at one provider."""

from __future__ import annotations

from .lease import Lease
from .values import Instant, Value


class Lane(Value, frozen=True, kw_only=True):
    """The hand-overs of one subscription's requests at one provider.

    `count` requests at the head of the queue are on the lease until `lease_until`; 0: no lease.
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
