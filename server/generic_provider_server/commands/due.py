"""Makes changes that are due at a certain time: retries, expiry, automatic ends and scheduled
actions.
"""

from __future__ import annotations

from ..domain.subscription.due import first_end, first_usage_end, next_end
from ..domain.subscription.records import Who
from ..domain.subscription.request_outcomes import end_usage
from ..domain.values import Instant, Value
from ..store.write.loaded import SEARCHES, Needs
from ..store.write.transaction import Transaction
from .expiry import expire_overdue
from .perform import Perform
from .scheduled import perform_scheduled

SERVICE = Who(performed_by="generic-provider", caller="generic-provider")


class EndDelays(Value, frozen=True, kw_only=True):
    """Changes lanes whose delay is over from DELAYED to READY, a limited number at once."""

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> int:
        return transaction.end_delays()


class ExpireOverdue(Value, frozen=True, kw_only=True):
    """Expires the requests of each lane that has no live lease and whose first request has waited
    longer than the provider allows.
    """

    provider: str

    def needs(self) -> Needs:
        return Needs(searches=True, duty="expiry")

    def run(self, transaction: Transaction) -> int:
        window = transaction.catalogues[self.provider].provider.delivery_settings.pending_window
        found = transaction.search.overdue(self.provider, limit=transaction.now - window)
        for number in transaction.one_by_one(transaction.load_free(found)):
            expire_overdue(transaction, self.provider, number, at=transaction.now)
        return len(found)


class PerformDue(Value, frozen=True, kw_only=True):
    """Makes the changes of a subscription that are due, in the order of their due times: removes
    usage records that have ended, and performs automatic ends and scheduled actions.

    All usage records that have ended are removed together, when the record that ended first would
    be removed. If changes were due at the same time, usage records are removed first, then
    automatic ends are performed. Requests that were overdue when an action was due expire before
    the action is performed, so that the new requests of the action do not expire together with
    those requests. `due_time`: the time at which the first of the changes was due.
    """

    subscription: str
    duty: str
    due_time: Instant

    def needs(self) -> Needs:
        named = frozenset({self.subscription})
        return Needs(subscriptions=named, scheduled=True, duty=self.duty)

    def run(self, transaction: Transaction) -> None:
        number = self.subscription
        record = transaction.record(number)
        over = first_usage_end(record.aggregate) if record else None
        if over is not None and over <= transaction.now:
            while self._perform_next(transaction, before=over):
                pass
            aggregate = transaction.subscription(number).aggregate
            circumstances = transaction.circumstances(number)
            transaction.put(number, end_usage(aggregate, circumstances=circumstances))
        while self._perform_next(transaction):
            pass

    def _perform_next(self, transaction: Transaction, *, before: Instant | None = None) -> bool:
        """Performs the action that was due first, if it was due before the time `before`. Returns
        whether it has performed an action.
        """
        number = self.subscription
        scheduled = transaction.first_due(number)
        until = (scheduled and scheduled.due_time) or transaction.now
        record = transaction.record(number)
        end = next_end(record.aggregate.desired, now=until) if record else None
        if record is not None and (end or scheduled):
            due = (first_end(record.aggregate.desired) if end else until) or until
            if before is not None and due >= before:
                return False
            for link in record.aggregate.links:
                expire_overdue(transaction, link.provider, number, at=due)
        if end is not None:
            Perform(
                action=end,
                subscription=number,
                who=SERVICE,
                bulk=True,
                automatic=True,
                with_requests=False,
            ).run(transaction)
        elif scheduled is not None:
            perform_scheduled(transaction, scheduled)
        return end is not None or scheduled is not None
