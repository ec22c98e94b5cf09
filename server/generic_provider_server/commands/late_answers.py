"""Judges late answers: answers that arrive after the lease has ended, or after the request has
reached a final state. Makes elements uncertain after a late answer ACCEPTED, because the platform
may have been changed.
"""

from __future__ import annotations

from ..domain.archive import Archived
from ..domain.lease import Lease
from ..domain.platform.named_elements import Name, names
from ..domain.platform.request import Request
from ..domain.subscription.pending_requests import Pending
from ..domain.subscription.request_outcomes import accepted_late
from ..domain.subscription.request_records import RequestRecord
from ..domain.values import RequestState
from ..domain.verdicts import ResponseCode, ResponseStatus, Verdict, judge_final
from ..store.write.transaction import Transaction


def judge_after_lease(
    transaction: Transaction, lease: Lease, pending: Pending, status: ResponseStatus
) -> Verdict:
    """Judges an answer to a pending request whose lease has ended."""
    state = RequestState.PENDING
    if status is ResponseStatus.ACCEPTED:
        _make_uncertain(transaction, lease, pending.request, state, names=names(pending.request))
    text = "the lease has ended; the request is handed over again"
    return Verdict(pending.number, ResponseCode.STALE, state, text)


def judge_settled(
    transaction: Transaction, lease: Lease, stored: RequestRecord, status: ResponseStatus
) -> Verdict:
    """Judges an answer to a request that has a final state. A repetition of the answer that caused
    this state makes nothing uncertain.
    """
    if status is ResponseStatus.ACCEPTED and stored.handover != lease.handover:
        named = _doubtful(transaction, stored)
        _make_uncertain(transaction, lease, stored.request, stored.state, names=named)
    code = judge_final(stored.state, status)
    text = "" if code is ResponseCode.DUPLICATE else f"the request is {stored.state.name}"
    return Verdict(stored.number, code, stored.state, text)


def judge_archived(stored: Archived, status: ResponseStatus) -> Verdict:
    """Decides the verdict from the request's final state only, because no adapter works on an
    archived request any more.
    """
    if judge_final(stored.state, status) is ResponseCode.DUPLICATE:
        return Verdict(stored.number, ResponseCode.DUPLICATE, stored.state)
    text = f"the request is {stored.state.name}, and archived"
    return Verdict(stored.number, ResponseCode.CONFLICT, stored.state, text)


def _doubtful(transaction: Transaction, stored: RequestRecord) -> frozenset[Name]:
    """Returns the elements that a late acceptance of the request makes uncertain.

    If the request is COMPLETED, an element becomes uncertain only if a later request that was
    handed over names the element too, whatever the outcome of the later request is.
    """
    if stored.state is not RequestState.COMPLETED:
        return names(stored.request)
    queue = transaction.subscription(stored.subscription).aggregate.queue(stored.provider)
    lane = transaction.lane(stored.provider, stored.subscription)
    later = [pending.request for pending in queue if pending.touched or lane.covers(pending)]
    later += [other.request for other in transaction.handed_over_after(stored)]
    return names(stored.request) & frozenset().union(*map(names, later))


def _make_uncertain(
    transaction: Transaction,
    lease: Lease,
    request: Request,
    state: RequestState,
    *,
    names: frozenset[Name],
) -> None:
    """Makes the named elements uncertain, because the platform was changed at an unknown time."""
    record = transaction.record(lease.subscription)
    if record is None or record.aggregate.link(lease.provider) is None:
        return
    change = accepted_late(
        record.aggregate,
        lease.provider,
        request,
        state=state,
        names=names,
        circumstances=transaction.circumstances(lease.subscription),
    )
    if change.aggregate != record.aggregate:
        transaction.put(lease.subscription, change)
