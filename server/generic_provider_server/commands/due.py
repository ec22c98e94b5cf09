"""Does what is due without a call: retries, expiry, automatic ends, the removal of old events."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.subscription.due import next_end, usage_is_over
from ..domain.subscription.lifecycle import end_usage, expire
from ..domain.subscription.records import Who
from ..domain.values import Instant
from ..store.write.loaded import SEARCHES, Needs
from ..store.write.transaction import Transaction
from .claim import MOST_AT_ONCE
from .perform import Perform

MOST_EVENT_ROWS = 100

SERVICE = Who(performed_by="generic-provider", caller="generic-provider")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDelays:
    """Makes the lanes ready whose delay is over."""

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> int:
        return transaction.end_delays()


@dataclass(frozen=True, slots=True, kw_only=True)
class DropEvents:
    """Removes the oldest events."""

    before: Instant

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> None:
        transaction.drop_events(before=self.before, most=MOST_EVENT_ROWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireOverdue:
    """Expires the requests of lanes that have no live lease, and whose first request has waited
    longer than the provider's window.
    """

    provider: str

    def needs(self) -> Needs:
        return Needs(searches=True, duty="expiry")

    def run(self, transaction: Transaction) -> int:
        window = transaction.catalogues[self.provider].provider.delivery_settings.pending_window
        found = transaction.overdue(
            self.provider, limit=transaction.now - window, most=MOST_AT_ONCE
        )
        for number in transaction.one_by_one(transaction.load_free(found)):
            self._expire(transaction, number)
        return len(found)

    def _expire(self, transaction: Transaction, number: str) -> None:
        record = transaction.record(number)
        if record is None or transaction.lane(self.provider, number).is_leased:
            return
        circumstances = transaction.circumstances(number)
        transaction.put(
            number, expire(record.aggregate, self.provider, circumstances=circumstances)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDue:
    """Performs the automatic end that was due first, and removes usage records that have ended."""

    subscription: str

    def needs(self) -> Needs:
        return Needs(subscriptions=frozenset({self.subscription}), duty="ends")

    def run(self, transaction: Transaction) -> None:
        record = transaction.record(self.subscription)
        if record is None:
            return
        if usage_is_over(record.aggregate, now=transaction.now):
            circumstances = transaction.circumstances(self.subscription)
            transaction.put(
                self.subscription, end_usage(record.aggregate, circumstances=circumstances)
            )
        action = next_end(record.aggregate.desired, now=transaction.now)
        if action is not None:
            Perform(action=action, subscription=self.subscription, who=SERVICE, automatic=True).run(
                transaction
            )
