from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from generic_provider.enums import ResponseStatus


@dataclass(slots=True)
class Stats:
    """What an adapter is doing; changes as it goes on."""

    streams: int = 0
    """Open now: one, or more during a drain of the server."""
    connects: int = 0
    in_work: int = 0
    accepted: int = 0
    rejected: int = 0
    retry_later: int = 0
    backlog: int = 0
    """Pending at the provider, by the last heartbeat."""
    oldest_age: timedelta = timedelta()

    def count(self, status: ResponseStatus.ValueType) -> None:
        match status:
            case ResponseStatus.ACCEPTED:
                self.accepted += 1
            case ResponseStatus.REJECTED:
                self.rejected += 1
            case _:
                self.retry_later += 1
