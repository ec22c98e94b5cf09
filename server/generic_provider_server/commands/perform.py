"""Performs actions. An action and its requests are stored in one transaction."""

from __future__ import annotations

from bisect import bisect_left

from msgspec.structs import replace

from ..domain.actions import AnyAction, BecomeSubscriber
from ..domain.refusals import Reason, Refused
from ..domain.subscription.aggregate import Aggregate
from ..domain.subscription.names_used import goods_of
from ..domain.subscription.perform import perform
from ..domain.subscription.records import (
    ActionOrigin,
    ActionRecord,
    ActionState,
    SubscriptionRecord,
    Who,
    revised,
)
from ..domain.subscription.request_records import (
    RequestRecord,
    WaitingFor,
    request_number,
    request_record,
)
from ..domain.subscription.transition import Transition
from ..domain.values import Goods, Instant, RequestOrigin, RequestType, Value
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .repeats import created_before
from .sizes import check_size

CREATED = (ActionState.EXECUTED, ActionState.SETTLED, ActionState.PARTLY_REJECTED)
"""If a Become Subscriber action has one of these states, its subscription exists."""


class Done(Value, frozen=True):
    """The result of an action, or of a preview. In a preview, the numbers of the action and of the
    requests are 0.

    `subscription`: None only if the action is a scheduled Become Subscriber that has not created
    the subscription yet, or that will never create the subscription. `repeated`: true if an earlier
    call performed the action. If `repeated` is true, `requests` is empty, and the code that uses
    the result must read the current state of the action's requests. `left_out`: providers that got
    no requests because they were not effective.
    """

    action: ActionRecord
    subscription: SubscriptionRecord | None
    requests: tuple[RequestRecord, ...] = ()
    repeated: bool = False
    left_out: tuple[str, ...] = ()


PARTS = 10
"""This number of services and items in an action increases the size of the command (`Needs.size`)
by one, so that no call waits for a group with very many new requests.
"""


class Perform(Value, frozen=True, kw_only=True):
    """Performs an action.

    `original`: the message of the call; empty for an automatic end. `digest`: the digest of the
    message; a repeat has the same digest. `automatic`: true for an automatic end. `scheduled`: the
    stored action if the action was scheduled and is due now. `with_requests`: true if the caller
    wants the requests that the action created.
    """

    action: AnyAction
    subscription: str
    original: bytes = b""
    digest: bytes = b""
    request_id: str = ""
    reference: str = ""
    who: Who = Who()
    expected_revision: int | None = None
    bulk: bool = False
    validate_only: bool = False
    automatic: bool = False
    scheduled: ActionRecord | None = None
    with_requests: bool = True

    def needs(self) -> Needs:
        return Needs(
            subscriptions=frozenset({self.subscription} if self.subscription else ()),
            goods=frozenset(goods_of(self.action)),
            request_ids=frozenset({self.request_id} if self.request_id else ()),
            kind=None if self.validate_only else self.action.kind,
            size=1 + _parts(self.action) // PARTS,
        )

    def run(self, transaction: Transaction) -> Done:
        if earlier := self.earlier(transaction):
            return earlier
        action, former = self._prepared(transaction)
        number = action.number if isinstance(action, BecomeSubscriber) else self.subscription
        record = self._executed(transaction, number)
        change = perform(
            former.aggregate if former else None,
            action,
            action_id=record.id,
            circumstances=transaction.circumstances(number),
            bulk=self.bulk,
            reference=self.reference,
            performed_by=self.who.performed_by,
            automatic=self.automatic,
            scheduled=self.scheduled is not None,
        )
        if not self.automatic:
            check_size(change, former, catalogues=transaction.catalogues)
        _check_items(transaction, change.aggregate)
        if self.validate_only:
            return _preview(transaction, change, former, record)
        if self.scheduled is None:
            transaction.numbers.give("action")
        performed = transaction.put(number, change, new_action=record)
        self.remember(transaction, record)
        subscription = transaction.record(number)
        if performed is None or subscription is None:
            raise LookupError(f"action {record.id} was performed but not kept")
        requests = created_requests(transaction, change) if self.with_requests else ()
        return Done(performed, subscription, requests, left_out=change.left_out)

    def earlier(self, transaction: Transaction) -> Done | None:
        """Returns the action of an earlier call with the same request_id, or None."""
        if not self.request_id or self.validate_only:
            return None
        created = created_before(transaction, self.request_id, self.digest)
        return _as_it_is(transaction, int(created)) if created else None

    def remember(self, transaction: Transaction, record: ActionRecord) -> None:
        if self.request_id:
            transaction.remember(self.request_id, created=str(record.id), digest=self.digest)

    def _executed(self, transaction: Transaction, subscription: str) -> ActionRecord:
        now = transaction.now
        if self.scheduled is None:
            return self.record(transaction.numbers.next("action"), subscription, now=now)
        return replace(self.scheduled, state=ActionState.EXECUTED, execute_time=now, due_time=None)

    def record(self, action_id: int, subscription: str, *, now: Instant) -> ActionRecord:
        return ActionRecord(
            id=action_id,
            subscription=subscription,
            kind=self.action.kind,
            state=ActionState.EXECUTED,
            origin=ActionOrigin.AUTOMATIC_END if self.automatic else ActionOrigin.CALLER,
            who=self.who,
            request_id=self.request_id,
            reference=self.reference,
            performed=self.original,
            create_time=now,
            execute_time=now,
        )

    def _prepared(self, transaction: Transaction) -> tuple[AnyAction, SubscriptionRecord | None]:
        """Returns the action, and the subscription before the action (None if the subscription does
        not exist yet).

        A Become Subscriber without a number gets the next free number. Raises Refused if the
        subscription does not have the expected revision.
        """
        if not isinstance(self.action, BecomeSubscriber):
            former = transaction.subscription(self.subscription)
            self._check_revision(former)
            return self.action, former
        if self.subscription:
            return self.action, transaction.record(self.subscription)
        return replace(self.action, number=free_number(transaction)), None

    def _check_revision(self, record: SubscriptionRecord) -> None:
        if self.expected_revision not in (None, record.revision):
            raise Refused(
                Reason.REVISION_MISMATCH,
                f"subscription {self.subscription} is at revision {record.revision}, "
                f"not {self.expected_revision}",
                subscription=self.subscription,
                revision=str(record.revision),
                expected_revision=str(self.expected_revision),
            )


def _preview(
    transaction: Transaction,
    change: Transition,
    former: SubscriptionRecord | None,
    record: ActionRecord,
) -> Done:
    requests = created_requests(transaction, change)
    shown = tuple([replace(request, number=0, action=0) for request in requests])
    after = revised(former, change.aggregate, now=transaction.now)
    return Done(replace(record, id=0), after, shown, left_out=change.left_out)


def _as_it_is(transaction: Transaction, action: int) -> Done:
    record = transaction.action(action)
    created = record.state in CREATED
    find = transaction.existing if created else transaction.record
    return Done(record, find(record.subscription), repeated=True)


def free_number(transaction: Transaction) -> str:
    """Returns the next unused subscription number.

    The CRM may have chosen numbers itself, so the next number may be in use. If so, very many
    numbers after this number may be in use too, for example after an import. So each time a number
    is in use, twice as many numbers are skipped as before, until a number is free. Then a binary
    search in the last skipped numbers finds a free number that follows a used number. If the call
    is refused or is a preview, the returned number is usually skipped: the next call gets a later
    number.
    """
    numbers, count = transaction.numbers, 1

    def is_free(number: int) -> bool:
        return transaction.record(_subscription_number(number)) is None

    while not is_free((first := numbers.next("subscription", count)) + count - 1):
        numbers.give("subscription", count)
        count *= 2
    found = bisect_left(range(count - 1), 1, key=lambda n: is_free(first + n))
    numbers.give("subscription", found + 1)
    return _subscription_number(first + found)


def _subscription_number(number: int) -> str:
    return f"S{number:010d}"


def created_requests(transaction: Transaction, change: Transition) -> tuple[RequestRecord, ...]:
    aggregate = change.aggregate
    healing: list[RequestRecord] = []
    own: list[RequestRecord] = []
    for provider, pending in change.created:
        head = aggregate.queue(provider)[0]
        lane = transaction.lane(provider, aggregate.desired.number)
        first = head.unit == pending.unit and not lane.is_leased
        waiting = WaitingFor.ADAPTER if first else WaitingFor.EARLIER_REQUEST
        record = request_record(aggregate, provider, pending, waiting_for=waiting)
        (healing if pending.origin is RequestOrigin.RESET else own).append(record)
    return (*healing, *own)


def _check_items(transaction: Transaction, aggregate: Aggregate) -> None:
    """Refuses items that are reserved for another subscription.

    An item stays reserved until its removal is settled and no platform is expected to hold it.
    """
    mine = aggregate.desired.number
    for item in aggregate.desired.items:
        owner = transaction.owner(item.goods)
        if owner not in (None, mine):
            raise _in_use(transaction, item.goods, owner)


def _in_use(transaction: Transaction, goods: Goods, owner: str) -> Refused:
    facts = {
        "goods_type": goods.goods_type,
        "serial_number": goods.serial_number,
        "subscription": owner,
    }
    text = f"{goods.goods_type} {goods.serial_number} is in use on subscription {owner}"
    removal = _removal(transaction, goods, owner)
    if removal:
        facts["request"] = request_number(removal)
        text += f"; its removal, request {facts['request']}, is under way"
    return Refused(Reason.ITEM_IN_USE, text, **facts)


def _removal(transaction: Transaction, goods: Goods, owner: str) -> int:
    record = transaction.record(owner)
    for link in record.aggregate.links if record else ():
        for pending in link.queue:
            item = pending.request.item
            removes = pending.request.type is RequestType.REMOVE_INSTALLED_ITEM
            if removes and item is not None and item.goods == goods:
                return pending.number
    return 0


def _parts(action: AnyAction) -> int:
    """Returns the number of services and items that the action names."""
    return len(getattr(action, "services", ())) + len(getattr(action, "items", ()))
