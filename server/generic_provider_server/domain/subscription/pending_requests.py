"""Defines pending requests."""

from __future__ import annotations

from collections.abc import Iterable

from ..platform.request import Request
from ..values import Instant, RequestOrigin, Value


class Pending(Value, frozen=True, kw_only=True):
    """A request that waits for its answer.

    `number` is 0 until a number is assigned. (`unit`, `index`) is the place of the request in the
    order of the subscription's requests at the provider. `touched` is True if a hand-over ended
    without an answer ACCEPTED or REJECTED, so the platform may have applied the request. Two fields
    are only for requests that no action created: `reset_run`, the run that created the request, and
    `performed_by`, the person who reset the subscription.
    """

    unit: int
    index: int
    origin: RequestOrigin
    request: Request
    create_time: Instant
    schedule_time: Instant
    number: int = 0
    action: int = 0
    reset_run: int = 0
    performed_by: str = ""
    bulk: bool = False
    touched: bool = False
    attempts: int = 0
    hidden_until: Instant = Instant(0)
    error_code: str = ""
    error_description: str = ""


def in_order(queue: Iterable[Pending]) -> tuple[Pending, ...]:
    return tuple(sorted(queue, key=lambda pending: (pending.unit, pending.index)))
