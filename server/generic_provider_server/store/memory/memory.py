"""Keeps in memory the values that a process needs between transactions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...domain.values import Instant
from .own_life import Life
from .providers import Providers
from .scan_start import ScanStarts
from .set_aside import SetAsides
from .subscriptions import RecentSubscriptions


@dataclass(slots=True)
class Memory:
    """The values that a process keeps between transactions.

    `server`: the id of this process. `shared`: true if other processes may use the same database.
    `clock` and `steady_clock` return nanoseconds since 1970; `steady_clock` advances evenly.
    `last`: the time of the last transaction. Only the writer's thread changes the values, with
    three exceptions: the thread of the sign of life changes `life`; any thread may record ready
    lanes in `scan_starts`; readers may replace `providers` as a whole. Any thread may read the
    clocks, `life`, `set_asides` and `providers`, and may ask `scan_starts` whether a provider has
    no ready lane.
    """

    server: str
    shared: bool
    clock: Callable[[], int]
    steady_clock: Callable[[], int]
    life: Life = field(default_factory=Life)
    providers: Providers = Providers({}, {})
    subscriptions: RecentSubscriptions = field(default_factory=RecentSubscriptions)
    scan_starts: ScanStarts = field(default_factory=ScanStarts)
    set_asides: SetAsides = field(default_factory=SetAsides)
    last: Instant = Instant(0)

    def now(self) -> Instant:
        return Instant(self.clock() // 1_000)

    def steady(self) -> Instant:
        """Returns the time of the steady clock, with which the durations of leases are measured."""
        return Instant(self.steady_clock() // 1_000)

    def tick(self) -> Instant:
        """Returns the time of a new transaction, which is later than the time of the previous
        transaction.
        """
        self.last = Instant(max(self.now(), self.last + 1))
        return self.last

    def forget(self) -> None:
        """Drops all values that a failed transaction may have recorded."""
        self.subscriptions.forget()
        self.scan_starts.forget()
