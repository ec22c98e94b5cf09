"""Judges the answers of adapters one by one, and applies them in one transaction."""

from __future__ import annotations

from typing import assert_never

from ..domain.archive import Archived
from ..domain.lane import Lane, accept, reject
from ..domain.lease import Lease, LeaseEnd, lease_of, streams_of
from ..domain.subscription.pending_requests import Pending
from ..domain.subscription.request_records import RequestRecord, request_number
from ..domain.values import RequestState, Value
from ..domain.verdicts import ResponseCode, ResponseStatus, Verdict, judge_pending
from ..store.memory.subscriptions import LoadedSubscription
from ..store.notices.tally import ANSWERS
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .expiry import expire_overdue
from .late_answers import judge_after_lease, judge_archived, judge_settled

NEVER_ISSUED = "this lease token was never issued for this request"


class Response(Value, frozen=True, kw_only=True):
    """An answer. `retry_delay` is in microseconds; if `retry_delay` is None, the server chooses the
    delay.
    """

    request: int
    lease_token: str
    status: ResponseStatus
    error_code: str = ""
    error_description: str = ""
    account_number: str = ""
    reference_number: str = ""
    retry_delay: int | None = None


class Respond(Value, frozen=True, kw_only=True):
    provider: str
    responses: tuple[Response, ...]
    leases: tuple[Lease | None, ...]

    def needs(self) -> Needs:
        named = [lease.subscription for lease in self.leases if lease is not None]
        return Needs(subscriptions=frozenset(named), for_adapter=True)

    def run(self, transaction: Transaction) -> tuple[Verdict, ...]:
        transaction.notice.heard.update(streams_of(self.leases))
        verdicts = tuple(
            [
                _judge(transaction, self.provider, response, lease)
                for response, lease in zip(self.responses, self.leases, strict=True)
            ]
        )
        for verdict in verdicts:
            transaction.notice.tally.counts[ANSWERS, self.provider, verdict.code] += 1
        return verdicts


def respond(provider: str, responses: tuple[Response, ...], *, key: bytes) -> Respond:
    leases = tuple([lease_of(response.lease_token, key) for response in responses])
    return Respond(provider=provider, responses=responses, leases=leases)


def _judge(
    transaction: Transaction, provider: str, response: Response, lease: Lease | None
) -> Verdict:
    number = response.request
    if lease is not None and lease.provider == provider:
        loaded = transaction.loaded[lease.subscription]
        if not loaded.lane(provider).is_leased:
            expire_overdue(transaction, provider, lease.subscription, at=transaction.now)
        for pending in loaded.queue(provider):
            if pending.number == number:
                return _judge_pending(transaction, response, lease, loaded, pending)
    stored = transaction.request(number) or transaction.archives.archived(number)
    if stored is None or stored.provider != provider:
        return Verdict(number, ResponseCode.NOT_FOUND, None, f"{provider} has no such request")
    if lease is None or not _issued_for(lease, stored):
        return Verdict(number, ResponseCode.INVALID, stored.state, NEVER_ISSUED)
    if isinstance(stored, Archived):
        return judge_archived(stored, response.status)
    return judge_settled(transaction, lease, stored, response.status)


def _issued_for(lease: Lease, request: RequestRecord | Archived) -> bool:
    place = lease.provider, lease.subscription
    return place == (request.provider, request.subscription) and lease.covers(
        unit=request.unit, index=request.index
    )


def _judge_pending(
    transaction: Transaction,
    response: Response,
    lease: Lease,
    loaded: LoadedSubscription,
    pending: Pending,
) -> Verdict:
    lane, queue = loaded.lane(lease.provider), loaded.queue(lease.provider)
    code = judge_pending(lane, queue, pending, lease)
    state, text = RequestState.PENDING, ""
    if code is ResponseCode.APPLIED:
        state = _apply(transaction, response, lane)
    elif code is ResponseCode.OUT_OF_ORDER:
        first = request_number(lane.unanswered(queue)[0].number)
        text = f"request {first} of the same lease must be answered first"
    elif code is ResponseCode.INVALID:
        text = NEVER_ISSUED
    else:
        return judge_after_lease(transaction, lease, pending, response.status)
    return Verdict(response.request, code, state, text)


def _apply(transaction: Transaction, response: Response, lane: Lane) -> RequestState:
    aggregate = transaction.existing(lane.subscription).aggregate
    circumstances = transaction.circumstances(lane.subscription)
    match response.status:
        case ResponseStatus.ACCEPTED:
            change = accept(
                lane,
                aggregate,
                circumstances=circumstances,
                account_number=response.account_number,
                reference_number=response.reference_number,
            )
            transaction.put_lane(change)
            return RequestState.COMPLETED
        case ResponseStatus.REJECTED:
            change = reject(
                lane,
                aggregate,
                circumstances=circumstances,
                error_code=response.error_code,
                error_description=response.error_description,
                reference_number=response.reference_number,
            )
            transaction.put_lane(change)
            return RequestState.REJECTED
        case ResponseStatus.RETRY_LATER:
            return _retry_later(transaction, response, lane)
        case status:
            assert_never(status)


def _retry_later(transaction: Transaction, response: Response, lane: Lane) -> RequestState:
    transaction.end_lease(
        lane,
        LeaseEnd.RETRY_LATER,
        delay=response.retry_delay,
        error_code=response.error_code,
        error_description=response.error_description,
    )
    still = transaction.subscription(lane.subscription).aggregate.find(response.request)
    expired = expire_overdue(transaction, lane.provider, lane.subscription, at=transaction.now)
    if still is None:  # after its last attempt
        return RequestState.REJECTED
    return RequestState.EXPIRED if expired else RequestState.PENDING
