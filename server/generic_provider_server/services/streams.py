"""The state of one adapter's stream at the server, and the events on it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from ..commands.claim import Demand, Handed


@dataclass(frozen=True, slots=True)
class Drain:
    """The server ends the stream; its leases stay valid."""

    reason: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The server does not know the state of the stream's leases any more, and ends both."""


StreamEvent = tuple[Handed, ...] | Drain | Cut | None
"""None: the stream ends because all its leases have ended."""


@dataclass(slots=True, kw_only=True, eq=False)
class AdapterStream:
    """One adapter's stream. `in_flight`: requests on its live leases.

    `ran_out`: requests on leases that ran out since the adapter last sent something; they use
    credit too.
    """

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
    """Not set while a claim for the stream runs: its leases are ended only after that."""
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
