"""Judges the answers of adapters one by one, and applies them in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from ..domain.lane import Lane
from ..domain.lease import (
    Lease,
    ResponseCode,
    ResponseStatus,
    judge_final,
    lease_of,
)
from ..domain.platform.effect import Name, names
from ..domain.platform.image import Request
from ..domain.subscription.aggregate import Pending
from ..domain.subscription.lifecycle import accept, accepted_late, reject, touch
from ..domain.subscription.records import RequestRecord, SubscriptionRecord, request_number
from ..domain.values import RequestState
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .end_leases import end_overdue, fail_attempt, streams_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer. `retry_delay`: in microseconds; None = the server chooses it."""

    request: int
    lease_token: str
    status: ResponseStatus
    error_code: str = ""
    error_description: str = ""
    account_number: str = ""
    reference_number: str = ""
    retry_delay: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`state`: the current state of the request; None if it does not exist."""

    request: int
    code: ResponseCode
    state: RequestState | None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    provider: str
    responses: tuple[Response, ...]
    leases: tuple[Lease | None, ...]

    def needs(self) -> Needs:
        named = [lease.subscription for lease in self.leases if lease is not None]
        return Needs(subscriptions=frozenset(named))

    def run(self, work: Transaction) -> tuple[Verdict, ...]:
        work.notice.heard.update(streams_of(self.leases))
        return tuple(
            [
                _judge(work, self.provider, response, lease)
                for response, lease in zip(self.responses, self.leases, strict=True)
            ]
        )


def respond(provider: str, responses: tuple[Response, ...], *, key: bytes) -> Respond:
    leases = tuple([lease_of(response.lease_token, key) for response in responses])
    return Respond(provider=provider, responses=responses, leases=leases)


def _judge(work: Transaction, provider: str, response: Response, lease: Lease | None) -> Verdict:
    number = response.request
    if lease is not None and lease.provider == provider:
        end_overdue(work, lease.subscription)
        record = work.record(lease.subscription)
        found = record.aggregate.find(number) if record else None
        if record is not None and found is not None and found[0] == provider:
            return _judge_pending(work, response, lease, record, found[1])
    stored = work.request(number)
    if stored is None or stored.provider != provider:
        return Verdict(number, ResponseCode.NOT_FOUND, None, f"{provider} has no such request")
    if lease is None or not _issued_for(lease, stored):
        return _never_issued(number, stored.state)
    return _judge_settled(work, response, lease, stored)


def _never_issued(request: int, state: RequestState) -> Verdict:
    text = "this lease token was never issued for this request"
    return Verdict(request, ResponseCode.INVALID, state, text)


def _issued_for(lease: Lease, request: RequestRecord) -> bool:
    place = lease.provider, lease.subscription
    return place == (request.provider, request.subscription) and lease.covers(
        unit=request.unit, index=request.index
    )


def _judge_pending(
    work: Transaction,
    response: Response,
    lease: Lease,
    record: SubscriptionRecord,
    pending: Pending,
) -> Verdict:
    number = response.request
    if not lease.covers(unit=pending.unit, index=pending.index):
        return _never_issued(number, RequestState.PENDING)
    lane = work.lane(lease.provider, lease.subscription)
    if lane.handover != lease.handover or not lane.leased((pending,)):
        if response.status is ResponseStatus.ACCEPTED:
            named = names(pending.request)
            _accepted_late(work, lease, pending.request, RequestState.PENDING, names=named)
        return Verdict(
            number,
            ResponseCode.STALE,
            RequestState.PENDING,
            "the lease has ended; the request comes again",
        )
    first = next(p for p in record.aggregate.queue(lease.provider) if lane.covers(p))
    if first.number != number:
        return Verdict(
            number,
            ResponseCode.OUT_OF_ORDER,
            RequestState.PENDING,
            f"request {request_number(first.number)} of the same lease is to be answered first",
        )
    return Verdict(number, ResponseCode.APPLIED, _apply(work, response, lane, record))


def _apply(
    work: Transaction, response: Response, lane: Lane, record: SubscriptionRecord
) -> RequestState:
    subscription = lane.subscription
    if response.status is ResponseStatus.ACCEPTED:
        work.put_lane(replace(lane, count=lane.count - 1))
        change = accept(
            record.aggregate,
            response.request,
            circumstances=work.circumstances(subscription),
            account_number=response.account_number,
            reference_number=response.reference_number,
        )
        work.put(subscription, change, answered=lane)
        return RequestState.COMPLETED
    work.put_lane(replace(lane, count=0))
    if response.status is ResponseStatus.REJECTED:
        change = reject(
            record.aggregate,
            response.request,
            circumstances=work.circumstances(subscription),
            error_code=response.error_code,
            error_description=response.error_description,
            reference_number=response.reference_number,
        )
        work.put(subscription, change, answered=lane)
        return RequestState.REJECTED
    leased = lane.leased(record.aggregate.queue(lane.provider))
    circumstances = work.circumstances(subscription)
    work.put(
        subscription,
        touch(record.aggregate, lane.provider, numbers=leased, circumstances=circumstances),
    )
    fail_attempt(
        work,
        lane,
        delay=response.retry_delay,
        error_code=response.error_code,
        error_description=response.error_description,
    )
    now = work.record(subscription)
    still = now is not None and now.aggregate.find(response.request) is not None
    return RequestState.PENDING if still else RequestState.REJECTED


def _judge_settled(
    work: Transaction, response: Response, lease: Lease, stored: RequestRecord
) -> Verdict:
    code = judge_final(stored.state, response.status)
    if response.status is ResponseStatus.ACCEPTED and stored.handover != lease.handover:
        named = _doubtful(work, stored)
        _accepted_late(work, lease, stored.request, stored.state, names=named)
    message = "" if code is ResponseCode.DUPLICATE else f"the request is {stored.state.name}"
    return Verdict(response.request, code, stored.state, message)


def _doubtful(work: Transaction, stored: RequestRecord) -> frozenset[Name]:
    """The elements that a late acceptance of the request makes uncertain.

    The elements of a completed request stay certain, except those that a request names that was
    handed over after it, whatever its outcome.
    """
    if stored.state is not RequestState.COMPLETED:
        return names(stored.request)
    record = work.record(stored.subscription)
    queue = record.aggregate.queue(stored.provider) if record else ()
    leased = work.lane(stored.provider, stored.subscription).leased(queue)
    later = [p.request for p in queue if p.touched or p.number in leased]
    later += [other.request for other in work.handed_over_after(stored)]
    return names(stored.request) & frozenset().union(*map(names, later))


def _accepted_late(
    work: Transaction,
    lease: Lease,
    request: Request,
    state: RequestState,
    *,
    names: frozenset[Name],
) -> None:
    """Makes the named elements uncertain: the platform was changed, and nobody knows when."""
    record = work.record(lease.subscription)
    if record is None or record.aggregate.link(lease.provider) is None:
        return
    change = accepted_late(
        record.aggregate,
        lease.provider,
        request,
        state=state,
        names=names,
        circumstances=work.circumstances(lease.subscription),
    )
    if change.aggregate != record.aggregate:
        work.put(lease.subscription, change)
