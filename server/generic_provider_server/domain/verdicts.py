"""Defines the verdicts on the answers of adapters, and decides the verdict from the states of the
request and of the lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from .lane import Lane
from .lease import Lease
from .subscription.pending_requests import Pending
from .values import RequestState, Value


class ResponseStatus(IntEnum):
    """The outcome of a request according to the adapter."""

    ACCEPTED = 1
    REJECTED = 2
    RETRY_LATER = 3


class ResponseCode(IntEnum):
    """The verdict on an answer."""

    APPLIED = 1
    DUPLICATE = 2
    STALE = 3
    CONFLICT = 4
    OUT_OF_ORDER = 5
    NOT_FOUND = 6
    INVALID = 7


class Verdict(Value, frozen=True):
    """The verdict on an answer.

    `state`: the current state of the request; None if the request does not exist.
    """

    request: int
    code: ResponseCode
    state: RequestState | None
    message: str = ""


def judge_pending(
    lane: Lane, queue: Sequence[Pending], pending: Pending, lease: Lease
) -> ResponseCode:
    """Returns the verdict on an answer to a pending request. The answer carried the token of
    `lease`.
    """
    if not lease.covers(unit=pending.unit, index=pending.index):
        return ResponseCode.INVALID
    if not lane.is_on(lease):
        return ResponseCode.STALE
    if lane.unanswered(queue)[0].number != pending.number:
        return ResponseCode.OUT_OF_ORDER
    return ResponseCode.APPLIED


def judge_final(state: RequestState, status: ResponseStatus) -> ResponseCode:
    """Returns the verdict on an answer to a request that already has a final state."""
    outcome = {
        ResponseStatus.ACCEPTED: RequestState.COMPLETED,
        ResponseStatus.REJECTED: RequestState.REJECTED,
    }.get(status)
    if state is outcome:
        return ResponseCode.DUPLICATE
    return ResponseCode.CONFLICT if state is RequestState.COMPLETED else ResponseCode.STALE
