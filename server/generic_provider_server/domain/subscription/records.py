"""Defines the records of providers, subscriptions, actions and requests in the database."""

from __future__ import annotations

from enum import IntEnum

from ..actions import ActionKind, AnyAction
from ..lane import Lane
from ..platform.image import Request
from ..values import Instant, Provider, RequestOrigin, RequestState, RequestType, Value
from .aggregate import ActionError, Aggregate, Pending
from .undone import Undone


def request_number(number: int) -> str:
    """Returns the number of a request in the form for callers; an empty text for 0."""
    return f"R{number:010d}" if number else ""


def action_id(number: int) -> str:
    """Returns the id of an action in the form for callers; an empty text for 0."""
    return f"A{number:010d}" if number else ""


class ActionState(IntEnum):
    SCHEDULED = 1
    EXECUTED = 2
    SETTLED = 3
    PARTLY_REJECTED = 4
    REJECTED = 5
    CANCELLED = 6


class ActionOrigin(IntEnum):
    CALLER = 1
    AUTOMATIC_END = 2


class WaitingFor(IntEnum):
    ADAPTER = 1
    ANSWER = 2
    RETRY = 3
    EARLIER_REQUEST = 4
    PROVIDER = 5


class Who(Value, frozen=True, kw_only=True):
    """Says who made a call: `performed_by` is the name that the call contains, `caller` is the name
    that the credentials prove.
    """

    performed_by: str = ""
    caller: str = ""


class ProviderRecord(Value, frozen=True, kw_only=True):
    provider: Provider
    create_time: Instant
    update_time: Instant
    etag: int
    who: Who = Who()


class SubscriptionRecord(Value, frozen=True, kw_only=True):
    aggregate: Aggregate
    create_time: Instant
    update_time: Instant
    revision: int


def revised(
    former: SubscriptionRecord | None, aggregate: Aggregate, *, now: Instant
) -> SubscriptionRecord:
    """Returns the record of the aggregate, which was changed or created at `now`."""
    return SubscriptionRecord(
        aggregate=aggregate,
        create_time=former.create_time if former else now,
        update_time=now,
        revision=former.revision + 1 if former else 1,
    )


class ActionRecord(Value, frozen=True, kw_only=True):
    """The row of an action in the database.

    `performed`: the encoded message of the call without its `request_id`; empty if the service
    performed the action by itself. `action`: the action with every provider named; None in rows of
    the first versions. `due_time`: the time at which a SCHEDULED action is due; None in every other
    state. `expected_revision`, `bulk`: the values in the call that scheduled the action.
    """

    id: int
    subscription: str
    kind: ActionKind
    state: ActionState
    performed: bytes
    create_time: Instant
    action: AnyAction | None = None
    origin: ActionOrigin = ActionOrigin.CALLER
    who: Who = Who()
    request_id: str = ""
    reference: str = ""
    execute_time: Instant | None = None
    settle_time: Instant | None = None
    due_time: Instant | None = None
    expected_revision: int | None = None
    bulk: bool = False
    error: ActionError | None = None
    taken_back: tuple[Undone, ...] = ()
    requests: tuple[int, ...] = ()


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

    `lane`: the lane of its queue, with the current hand-over.
    """
    performed = aggregate.action(pending.action)
    link = aggregate.link(provider)
    leased = lane is not None and lane.is_leased
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
