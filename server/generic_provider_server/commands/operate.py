"""Cancels and resolves single requests for operators."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.archive import request_missing
from ..domain.lease import LeaseEnd
from ..domain.refusals import Reason, Refused
from ..domain.subscription.aggregate import Aggregate, Pending
from ..domain.subscription.lifecycle import accept, reject
from ..domain.subscription.records import RequestRecord, SubscriptionRecord, Who, request_number
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequest:
    """Rejects a request in the operator's name. What had been handed over becomes uncertain."""

    request: int
    reason: str
    end_lease: bool = False
    who: Who = Who()

    def needs(self) -> Needs:
        return Needs(requests=frozenset({self.request}))

    def run(self, work: Transaction) -> RequestRecord:
        aggregate = _off_lease(work, *_pending(work, self.request), end=self.end_lease)
        subscription = aggregate.desired.number
        change = reject(
            aggregate,
            self.request,
            circumstances=work.circumstances(subscription),
            reason=Reason.CANCELLED_BY_OPERATOR,
            error_code=Reason.CANCELLED_BY_OPERATOR.value,
            error_description=_said(self.who, self.reason),
        )
        work.put(subscription, change)
        return _stored(work, self.request)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveRequest:
    """Answers a request for a person who has checked the platform, so that nothing is uncertain."""

    request: int
    accepted: bool
    reason: str
    error_code: str = ""
    account_number: str = ""
    end_lease: bool = False
    who: Who = Who()

    def needs(self) -> Needs:
        return Needs(requests=frozenset({self.request}))

    def run(self, work: Transaction) -> RequestRecord:
        record, provider, pending = _pending(work, self.request)
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
        aggregate = _off_lease(work, record, provider, pending, end=self.end_lease)
        circumstances = work.circumstances(subscription)
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
        work.put(subscription, change)
        return _stored(work, self.request)


def _pending(work: Transaction, number: int) -> tuple[SubscriptionRecord, str, Pending]:
    stored = _stored(work, number)
    record = work.subscription(stored.subscription)
    found = record.aggregate.find(number)
    if found is None:
        stored = _stored(work, number)
        raise Refused(
            Reason.REQUEST_NOT_PENDING,
            f"request {request_number(number)} is {stored.state.name}",
            request=request_number(number),
            state=stored.state.name,
        )
    return record, *found


def _off_lease(
    work: Transaction, record: SubscriptionRecord, provider: str, pending: Pending, *, end: bool
) -> Aggregate:
    """The subscription, when its request is on no lease.

    Raises Refused if the lease may not be ended.
    """
    number = record.aggregate.desired.number
    lane = work.lane(provider, number)
    if pending.number not in lane.leased((pending,)):
        return record.aggregate
    if not end:
        raise Refused(
            Reason.REQUEST_LEASED,
            f"request {request_number(pending.number)} is in work at adapter {lane.adapter}; "
            "set end_lease to take it away",
            request=request_number(pending.number),
            adapter=lane.adapter,
        )
    work.end_lease(lane, LeaseEnd.OPERATOR)
    return work.subscription(number).aggregate


def _stored(work: Transaction, number: int) -> RequestRecord:
    stored = work.request(number)
    if stored is None:
        raise request_missing(request_number(number), work.archives.holding(number))
    return stored


def _said(who: Who, reason: str) -> str:
    person = " at ".join([each for each in (who.performed_by, who.caller) if each])
    return f"{person}: {reason}"[:1000]
