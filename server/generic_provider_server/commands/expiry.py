"""Expires requests that have waited longer than the pending window of their provider."""

from __future__ import annotations

from ..domain.subscription.due import overdue
from ..domain.subscription.request_outcomes import expire
from ..domain.values import Instant
from ..store.write.transaction import Transaction


def expire_overdue(transaction: Transaction, provider: str, number: str, *, at: Instant) -> bool:
    """Expires the pending requests of the subscription `number` at the provider if no lease is live
    and the first of these requests was overdue at the time `at`. Returns whether requests have
    expired.
    """
    record = transaction.record(number)
    if record is None or transaction.lane(provider, number).is_leased:
        return False
    if not overdue(record.aggregate.queue(provider), transaction.catalogues[provider], at=at):
        return False
    circumstances = transaction.circumstances(number)
    transaction.put(number, expire(record.aggregate, provider, circumstances=circumstances))
    return True
