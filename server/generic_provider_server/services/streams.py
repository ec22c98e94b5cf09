"""What a server knows of one adapter's stream, and what it says on it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from ..commands.claim import Demand, Handed


@dataclass(frozen=True, slots=True)
class Drain:
    """The server ends the stream; the leases given on it live on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The server has lost sight of the stream's leases, and ends both."""


Event = tuple[Handed, ...] | Drain | Cut | None
"""None: the stream ends because all is done."""


@dataclass(slots=True, kw_only=True, eq=False)
class Stream:
    """One adapter's stream. `in_flight`: requests on its live leases; `ran_out`: on leases that
    ran out since its last sign of life, which count as well."""

    id: str
    provider: str
    adapter: str
    version: str
    peer: str
    max_in_flight: int
    lease_duration: int
    include_target: bool
    connect_time: float = field(default_factory=time.time)
    last_heard_time: float = field(default_factory=time.time)
    in_flight: int = 0
    ran_out: int = 0
    stopping: bool = False
    claimed: asyncio.Event = field(default_factory=asyncio.Event)
    """Unset while a claim for it is under way: its leases break only after that."""
    events: asyncio.Queue[tuple[Handed, ...] | Drain | Cut | None] = field(
        default_factory=asyncio.Queue
    )

    def __post_init__(self) -> None:
        self.claimed.set()

    @property
    def credit(self) -> int:
        return 0 if self.stopping else self.max_in_flight - self.in_flight - self.ran_out

    def demand(self) -> Demand:
        return Demand(
            stream=self.id,
            adapter=self.adapter,
            credit=self.credit,
            lease_duration=self.lease_duration,
            include_target=self.include_target,
        )

    def end_if_done(self) -> None:
        if self.stopping and self.in_flight <= 0 and self.claimed.is_set():
            self.events.put_nowait(None)
