"""Cancels and resolves single requests for operators."""

from __future__ import annotations

from ..domain.archive import request_missing
from ..domain.lease import LeaseEnd
from ..domain.refusals import Reason, Refused
from ..domain.subscription.aggregate import Aggregate
from ..domain.subscription.pending_requests import Pending
from ..domain.subscription.records import SubscriptionRecord, Who
from ..domain.subscription.request_outcomes import accept, reject
from ..domain.subscription.request_records import RequestRecord, request_number
from ..domain.values import RequestState, Value
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction

MOST_SAID = 1_000


class CancelRequest(Value, frozen=True, kw_only=True):
    """Rejects a request in the name of an operator.

    If the request was handed over, the elements that the request names become uncertain.
    """

    request: int
    reason: str
    end_lease: bool = False
    who: Who = Who()

    def needs(self) -> Needs:
        return Needs(requests=frozenset({self.request}))

    def run(self, transaction: Transaction) -> RequestRecord:
        code, rejected = Reason.CANCELLED_BY_OPERATOR.value, RequestState.REJECTED
        if done := _done_before(transaction, self, state=rejected, error_code=code):
            return done
        aggregate = _off_lease(
            transaction, *_pending(transaction, self.request), end=self.end_lease
        )
        subscription = aggregate.desired.number
        change = reject(
            aggregate,
            self.request,
            circumstances=transaction.circumstances(subscription),
            reason=Reason.CANCELLED_BY_OPERATOR,
            error_code=code,
            error_description=_said(self.who, self.reason),
        )
        transaction.put(subscription, change)
        return _stored(transaction, self.request)


class ResolveRequest(Value, frozen=True, kw_only=True):
    """Answers a request in the name of a person who has checked the platform. No element becomes
    uncertain.
    """

    request: int
    accepted: bool
    reason: str
    error_code: str = ""
    account_number: str = ""
    end_lease: bool = False
    who: Who = Who()

    def needs(self) -> Needs:
        return Needs(requests=frozenset({self.request}))

    def run(self, transaction: Transaction) -> RequestRecord:
        state = RequestState.COMPLETED if self.accepted else RequestState.REJECTED
        error_code = "" if self.accepted else self.error_code
        done = _done_before(transaction, self, state=state, error_code=error_code)
        if done and self._account_is_known(transaction, done):
            return done
        record, provider, pending = _pending(transaction, self.request)
        subscription = record.aggregate.desired.number
        first = record.aggregate.queue(provider)[0]
        if first.number != pending.number:
            raise Refused(
                Reason.REQUEST_NOT_FIRST,
                f"request {request_number(first.number)} of subscription {subscription} "
                "comes first",
                request=request_number(self.request),
                first=request_number(first.number),
            )
        aggregate = _off_lease(transaction, record, provider, pending, end=self.end_lease)
        circumstances = transaction.circumstances(subscription)
        if self.accepted:
            change = accept(
                aggregate,
                self.request,
                circumstances=circumstances,
                account_number=self.account_number,
                said=_said(self.who, self.reason),
            )
        else:
            change = reject(
                aggregate,
                self.request,
                circumstances=circumstances,
                error_code=self.error_code,
                error_description=_said(self.who, self.reason),
            )
        transaction.put(subscription, change)
        return _stored(transaction, self.request)

    def _account_is_known(self, transaction: Transaction, done: RequestRecord) -> bool:
        link = transaction.subscription(done.subscription).aggregate.link(done.provider)
        return not self.account_number or (
            link is not None and link.account_number == self.account_number
        )


def _done_before(
    transaction: Transaction,
    call: CancelRequest | ResolveRequest,
    *,
    state: RequestState,
    error_code: str,
) -> RequestRecord | None:
    """Returns the request if an earlier call with the same contents has cancelled or resolved the
    request. Otherwise returns None. A caller repeats a call after the result of the call was lost.

    The address of the caller is not compared, because the address differs after a reconnection.
    """
    stored = _stored(transaction, call.request)
    said, by = stored.error_description, call.who.performed_by
    begin, end = f"{by} at ", f": {call.reason}"
    same = said == _said(call.who, call.reason)
    if by and said.startswith(begin) and said.endswith(end):
        same = ": " not in said[len(begin) : -len(end)]
    if not same or (stored.state, stored.error_code) != (state, error_code):
        return None
    transaction.repeated = True
    return stored


def _pending(transaction: Transaction, number: int) -> tuple[SubscriptionRecord, str, Pending]:
    stored = _stored(transaction, number)
    record = transaction.subscription(stored.subscription)
    found = record.aggregate.find(number)
    if found is None:
        stored = _stored(transaction, number)
        raise Refused(
            Reason.REQUEST_NOT_PENDING,
            f"request {request_number(number)} is {stored.state.name}",
            request=request_number(number),
            state=stored.state.name,
        )
    return record, *found


def _off_lease(
    transaction: Transaction,
    record: SubscriptionRecord,
    provider: str,
    pending: Pending,
    *,
    end: bool,
) -> Aggregate:
    """Returns the subscription. If a live lease covers the request, ends this lease first.

    Raises Refused if a live lease covers the request and `end` is False.
    """
    number = record.aggregate.desired.number
    lane = transaction.lane(provider, number)
    if pending.number not in lane.leased((pending,)):
        return record.aggregate
    if not end:
        raise Refused(
            Reason.REQUEST_LEASED,
            f"request {request_number(pending.number)} is leased by adapter {lane.adapter}; "
            "set end_lease to end the lease",
            request=request_number(pending.number),
            adapter=lane.adapter,
        )
    transaction.end_lease(lane, LeaseEnd.OPERATOR)
    return transaction.subscription(number).aggregate


def _stored(transaction: Transaction, number: int) -> RequestRecord:
    stored = transaction.request(number)
    if stored is None:
        raise request_missing(request_number(number), transaction.archives.holding(number))
    return stored


def _said(who: Who, reason: str) -> str:
    person = " at ".join([each for each in (who.performed_by, who.caller) if each])
    return f"{person}: {reason}"[:MOST_SAID]
