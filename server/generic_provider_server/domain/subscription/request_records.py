"""Defines the records of requests in the database."""

from __future__ import annotations

from enum import IntEnum

from ..lane import Lane
from ..platform.request import Request
from ..values import Instant, RequestOrigin, RequestState, RequestType, Value
from .aggregate import Aggregate
from .pending_requests import Pending


def request_number(number: int) -> str:
    """Returns the number by which callers name the request; an empty text for 0."""
    return f"R{number:010d}" if number else ""


class WaitingFor(IntEnum):
    ADAPTER = 1
    ANSWER = 2
    RETRY = 3
    EARLIER_REQUEST = 4
    PROVIDER = 5


class RequestRecord(Value, frozen=True, kw_only=True):
    number: int
    provider: str
    subscription: str
    unit: int
    index: int
    type: RequestType
    state: RequestState
    origin: RequestOrigin
    request: Request
    create_time: Instant
    schedule_time: Instant
    account_number: str = ""
    action: int = 0
    reset_run: int = 0
    reference: str = ""
    performed_by: str = ""
    settle_time: Instant | None = None
    error_code: str = ""
    error_description: str = ""
    reference_number: str = ""
    attempts: int = 0
    last_adapter: str = ""
    last_delivery_time: Instant | None = None
    next_delivery_time: Instant | None = None
    handover: int = 0
    waiting_for: WaitingFor | None = None


def request_record(
    aggregate: Aggregate,
    provider: str,
    pending: Pending,
    *,
    lane: Lane | None = None,
    waiting_for: WaitingFor | None = None,
) -> RequestRecord:
    """Returns the record of a pending request.

    `lane`: the lane of the request's queue; it describes the current hand-over.
    """
    performed = aggregate.action(pending.action)
    link = aggregate.link(provider)
    leased = lane is not None and lane.lease_until > 0
    return RequestRecord(
        number=pending.number,
        provider=provider,
        subscription=aggregate.desired.number,
        unit=pending.unit,
        index=pending.index,
        type=pending.request.type,
        state=RequestState.PENDING,
        origin=pending.origin,
        request=pending.request,
        create_time=pending.create_time,
        schedule_time=pending.schedule_time,
        account_number=link.account_number if link else "",
        action=pending.action,
        reset_run=pending.reset_run,
        reference=performed.reference if performed else "",
        performed_by=performed.performed_by if performed else pending.performed_by,
        error_code=pending.error_code,
        error_description=pending.error_description,
        attempts=pending.attempts + leased,
        last_adapter=lane.adapter if lane else "",
        last_delivery_time=lane.lease_start if lane and leased else None,
        waiting_for=waiting_for,
    )
