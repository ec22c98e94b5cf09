"""Defines the figures of a running adapter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from generic_provider.enums import ResponseStatus


@dataclass(slots=True)
class Stats:
    """The current state of an adapter in numbers. The values change while the adapter runs."""

    streams: int = 0
    """The number of open streams: normally one; more while a server drains."""
    connects: int = 0
    in_work: int = 0
    accepted: int = 0
    rejected: int = 0
    retry_later: int = 0
    backlog: int = 0
    """The number of requests that are pending at the provider, according to the last heartbeat."""
    oldest_age: timedelta = timedelta()

    def count(self, status: ResponseStatus.ValueType) -> None:
        match status:
            case ResponseStatus.ACCEPTED:
                self.accepted += 1
            case ResponseStatus.REJECTED:
                self.rejected += 1
            case _:
                self.retry_later += 1
