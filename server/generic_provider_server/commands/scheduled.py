"""Schedules and cancels actions, and performs scheduled actions that are due."""

from __future__ import annotations

from msgspec.structs import replace

from ..domain.actions import AnyAction, BecomeSubscriber
from ..domain.refusals import Reason, Refused, not_found
from ..domain.subscription.events import Event, EventKind
from ..domain.subscription.records import ActionRecord, ActionState, Who, action_id
from ..domain.subscription.scheduling import scheduled
from ..domain.subscription.unsettled_actions import ActionError
from ..domain.values import Instant, Value
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .perform import Done, Perform, free_number

MOST_SCHEDULED = 200
"""The greatest number of scheduled actions of a subscription."""

LARGEST_REVISION = 2**63 - 1


class Schedule(Value, frozen=True, kw_only=True):
    """Stores an action that will be performed at `time`.

    If `time` is not in the future, performs the action now. `bulk`: true if the action gets the
    priority BULK when the action is performed later.
    """

    perform: Perform
    time: Instant
    bulk: bool = True

    def needs(self) -> Needs:
        return replace(self.perform.needs(), scheduled=True)

    def run(self, transaction: Transaction) -> Done:
        asked = self.perform
        if asked.validate_only or self.time <= transaction.now:
            return asked.run(transaction)
        if earlier := asked.earlier(transaction):
            return earlier
        number, action = self._numbered(transaction)
        subscription = transaction.record(number)
        waiting = transaction.scheduled.setdefault(number, {})
        if not (subscription or waiting or isinstance(action, BecomeSubscriber)):
            raise not_found(Reason.SUBSCRIPTION_NOT_FOUND, number)
        _check_count(number, len(waiting))
        state = subscription.aggregate.desired if subscription else None
        action = scheduled(action, state, catalogues=transaction.catalogues)
        made = asked.record(transaction.take("action"), number, now=transaction.now)
        record = replace(
            made,
            state=ActionState.SCHEDULED,
            action=action,
            execute_time=None,
            due_time=self.time,
            expected_revision=_storable(asked.expected_revision),
            bulk=self.bulk,
        )
        asked.remember(transaction, record)
        return Done(transaction.put_action(record), subscription)

    def _numbered(self, transaction: Transaction) -> tuple[str, AnyAction]:
        action, number = self.perform.action, self.perform.subscription
        if isinstance(action, BecomeSubscriber) and not number:
            number = free_number(transaction)
            action = replace(action, number=number)
        return number, action


def _storable(revision: int | None) -> int | None:
    """Returns the revision. If the revision is too large for the database, returns a smaller
    revision that no subscription reaches.
    """
    return revision if revision is None else min(revision, LARGEST_REVISION)


def _check_count(subscription: str, scheduled: int) -> None:
    if scheduled >= MOST_SCHEDULED:
        raise Refused(
            Reason.TOO_MANY_UNSETTLED,
            f"subscription {subscription} has {scheduled} scheduled actions already",
            subscription=subscription,
            scheduled=str(scheduled),
        )


class CancelScheduled(Value, frozen=True, kw_only=True):
    """Cancels a scheduled action. A repeat changes nothing."""

    action: int
    subscription: str
    who: Who = Who()

    def needs(self) -> Needs:
        return Needs(subscriptions=frozenset({self.subscription}), scheduled=True)

    def run(self, transaction: Transaction) -> ActionRecord:
        record = transaction.scheduled[self.subscription].get(self.action)
        if record is not None:
            who = " at ".join(filter(None, (self.who.performed_by, self.who.caller)))
            error = ActionError(reason=Reason.CANCELLED_BY_OPERATOR, error_description=who)
            return _end(transaction, record, ActionState.CANCELLED, error)
        record = transaction.action(self.action)
        if record.state is ActionState.CANCELLED:
            return record
        name = action_id(self.action)
        raise Refused(
            Reason.ACTION_NOT_SCHEDULED,
            f"action {name} is {record.state.name}",
            action=name,
            state=record.state.name,
        )


def perform_scheduled(transaction: Transaction, record: ActionRecord) -> None:
    """Performs a scheduled action that is due. Rejects the action if the action is not allowed any
    more.
    """
    if record.action is None:
        raise LookupError(f"scheduled action {record.id} has no contents")
    perform = Perform(
        action=record.action,
        subscription=record.subscription,
        reference=record.reference,
        who=record.who,
        expected_revision=record.expected_revision,
        bulk=record.bulk,
        scheduled=record,
        with_requests=False,
    )
    try:
        perform.run(transaction)
    except Refused as refused:
        error = ActionError(reason=refused.reason, error_description=refused.message)
        _end(transaction, record, ActionState.REJECTED, error)


def _end(
    transaction: Transaction, record: ActionRecord, state: ActionState, error: ActionError
) -> ActionRecord:
    """Ends a scheduled action without performing it."""
    number = record.subscription
    subscription = transaction.record(number)
    links = subscription.aggregate.links if subscription else ()
    linked = tuple([link.provider for link in links])
    settled = Event(EventKind.ACTION_SETTLED, record.id, number, linked, record.reference)
    transaction.events.append(settled)
    now = transaction.now
    return transaction.put_action(
        replace(record, state=state, error=error, due_time=None, settle_time=now)
    )
