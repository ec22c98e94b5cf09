"""Defines the records of providers, subscriptions and actions in the database."""

from __future__ import annotations

from enum import IntEnum

from ..actions import ActionKind, AnyAction
from ..values import Instant, Provider, Value
from .aggregate import Aggregate
from .undone import Undone
from .unsettled_actions import ActionError


def action_id(number: int) -> str:
    """Returns the id by which callers name the action; an empty text for 0."""
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
    """Returns the new record after the aggregate was changed or created at `now`."""
    return SubscriptionRecord(
        aggregate=aggregate,
        create_time=former.create_time if former else now,
        update_time=now,
        revision=former.revision + 1 if former else 1,
    )


class ActionRecord(Value, frozen=True, kw_only=True):
    """The row of an action in the database.

    `performed`: the encoded message of the call without its `request_id`; empty if the service
    performed the action by itself. `action`: the action, completed with the providers that the
    caller left out; None in rows of the first versions. `due_time`: the time at which a SCHEDULED
    action is due; None in every other state. `expected_revision`, `bulk`: the values in the call
    that scheduled the action.
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
