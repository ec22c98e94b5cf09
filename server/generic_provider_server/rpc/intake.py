"""Bounds the work that a server takes in, so that nobody waits long behind the calls of others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..domain.refusals import Reason, Refused

CALL = 4
"""The size of a call. Each item of a batch has the size 1."""
MOST_TAKEN = 4_000
"""The limit for all unary calls of a service together: 1,000 single calls, or 38 batches of 100."""


class Intake:
    """The calls of one service that are running.

    Each service has its own limit, so that no CRM keeps adapters and operators out.
    """

    def __init__(self) -> None:
        self._taken = 0

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Raises Refused if there are too many."""
        if self._taken + size > MOST_TAKEN:
            raise Refused(
                Reason.TOO_MANY_CALLS,
                "this server process has too many calls of this service already; nothing was done, "
                "repeat the call later",
            )
        self._taken += size
        try:
            yield
        finally:
            self._taken -= size


def size_of(request: object) -> int:
    """Only actions count: the credit of adapters bounds what they answer."""
    return CALL + len(getattr(request, "actions", ()))
