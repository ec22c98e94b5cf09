"""Does what is due without a call: retries, expiry and automatic ends."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.subscription.due import next_end, usage_is_over
from ..domain.subscription.lifecycle import end_usage, expire
from ..domain.subscription.records import Who
from ..store.write.loaded import LATE, Needs
from ..store.write.transaction import Transaction
from .claim import MOST_AT_ONCE
from .perform import Perform

SERVICE = Who(performed_by="generic-provider", caller="generic-provider")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDelays:
    """Makes the lanes ready whose delay is over."""

    def needs(self) -> Needs:
        return LATE

    def run(self, work: Transaction) -> int:
        return work.end_delays()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireOverdue:
    """Expires the requests of lanes whose first request is past the window and that have no live
    lease.
    """

    provider: str

    def needs(self) -> Needs:
        return Needs(late=True, duty="expiry")

    def run(self, work: Transaction) -> int:
        window = work.catalogues[self.provider].provider.delivery_settings.pending_window
        found = work.overdue(self.provider, limit=work.now - window, most=MOST_AT_ONCE)
        for number in work.one_by_one(work.load_free(found)):
            self._expire(work, number)
        return len(found)

    def _expire(self, work: Transaction, number: str) -> None:
        record = work.record(number)
        if record is None or work.lane(self.provider, number).is_leased:
            return
        circumstances = work.circumstances(number)
        work.put(number, expire(record.aggregate, self.provider, circumstances=circumstances))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDue:
    """Performs the automatic end that was due first, and removes usage records that have ended."""

    subscription: str

    def needs(self) -> Needs:
        return Needs(subscriptions=frozenset({self.subscription}), duty="ends")

    def run(self, work: Transaction) -> None:
        record = work.record(self.subscription)
        if record is None:
            return
        if usage_is_over(record.aggregate, now=work.now):
            circumstances = work.circumstances(self.subscription)
            work.put(self.subscription, end_usage(record.aggregate, circumstances=circumstances))
        action = next_end(record.aggregate.desired, now=work.now)
        if action is not None:
            Perform(action=action, subscription=self.subscription, who=SERVICE, automatic=True).run(
                work
            )
