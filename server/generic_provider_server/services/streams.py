"""Defines what the server knows about the stream of an adapter, and what a stream sends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..commands.claim import Demand, Handed
from ..store.notices.notice import Notice
from .credit import NOTHING, Credit


@dataclass(frozen=True, slots=True)
class Drain:
    """The server ends the stream; the leases of the stream stay live."""

    reason: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The server does not know the state of the stream's leases any more, and ends the stream and
    its leases.
    """


StreamEvent = tuple[Handed, ...] | Drain | Cut | None
"""The next item that a stream sends. None means that the stream ends, because all its leases have
ended.
"""


@dataclass(slots=True, kw_only=True, eq=False)
class AdapterStream:
    """The stream of one adapter. `credit` computes how many requests the adapter can take now.
    `connect_time`, `last_heard_time`: seconds since 1970 by the database's clock, which `Delivery`
    sets.
    """

    id: str
    provider: str
    adapter: str
    version: str
    peer: str
    max_in_flight: int
    lease_duration: int
    include_target: bool
    connect_time: float = 0.0
    last_heard_time: float = 0.0
    credit: Credit = field(init=False)
    stopping: bool = False
    claimed: asyncio.Event = field(default_factory=asyncio.Event)
    """The event is cleared while a claim for the stream runs, and set otherwise.

    A task that ends the leases of the stream must wait for the event first.
    """
    events: asyncio.Queue[tuple[Handed, ...] | Drain | Cut | None] = field(
        default_factory=asyncio.Queue
    )

    def __post_init__(self) -> None:
        self.claimed.set()
        self.credit = Credit(self.max_in_flight, stream=self.id)

    def wants_more(self, committing: Notice = NOTHING) -> bool:
        stops = self.stopping or self.id in committing.stopped
        return not stops and self.credit.left(committing) > 0

    def demand(self) -> Demand:
        return Demand(
            stream=self.id,
            adapter=self.adapter,
            credit=self.credit.left,
            lease_duration=self.lease_duration,
            include_target=self.include_target,
        )

    def take_unsent(self) -> list[Handed]:
        """Removes the leases from `events`, and returns them."""
        unsent = list[Handed]()
        while not self.events.empty():
            event = self.events.get_nowait()
            if isinstance(event, tuple):
                unsent += event
        return unsent

    @contextmanager
    def sending(self, handed: Sequence[Handed]) -> Iterator[list[Handed]]:
        """Yields a list of the leases, from which the `with` block removes each lease before it
        sends the lease. At the end the other leases go back to `events`.
        """
        unsent = list(handed)
        try:
            yield unsent
        finally:
            if unsent:
                self.events.put_nowait(tuple(unsent))

    def end_if_done(self) -> None:
        if self.stopping and self.credit.in_flight <= 0 and self.claimed.is_set():
            self.events.put_nowait(None)
