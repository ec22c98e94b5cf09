"""Makes elements uncertain after a late answer ACCEPTED: an answer that arrives after the request
has reached a final state, or after the lease has ended. `domain/verdicts` decides the verdict on
such an answer.
"""

from __future__ import annotations

from ..domain.lease import Lease
from ..domain.platform.named_elements import Name, names
from ..domain.platform.request import Request
from ..domain.subscription.request_outcomes import accepted_late
from ..domain.subscription.request_records import RequestRecord
from ..domain.values import RequestState
from ..store.write.transaction import Transaction


def note_late_acceptance(transaction: Transaction, lease: Lease, stored: RequestRecord) -> None:
    """Records the acceptance of a request that has a final state. Ignores a repetition of the
    answer that caused this state.
    """
    if stored.handover != lease.handover:
        named = _doubtful(transaction, stored)
        make_uncertain(transaction, lease, stored.request, stored.state, names=named)


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


def make_uncertain(
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
