"""Applies a part of a platform report."""

from __future__ import annotations

from enum import Enum, auto

from ..domain.platform.reported import Reported, Unknown
from ..domain.subscription.report import overtaken, readable_from, report
from ..domain.values import Instant, Value
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .sizes import MOST_REQUEST_BYTES, size_of_confirmed


class Outcome(Enum):
    UNCHANGED = auto()
    CHANGED = auto()
    SKIPPED = auto()
    MISSING = auto()
    UNKNOWN = auto()


class EntryResult(Value, frozen=True, kw_only=True):
    """The outcome of one entry of a platform report.

    `why`: the reason why the subscriber in the entry is unknown. `unknown`: ids in the entry that
    the provider does not have. `repeat_after`: for a skipped entry, the earliest time at which the
    platform should be read again; None while requests are pending.
    """

    outcome: Outcome
    why: str = ""
    unknown: tuple[Unknown, ...] = ()
    repeat_after: Instant | None = None


class Entry(Value, frozen=True, kw_only=True):
    """The part of a report about one subscription.

    If `held` is None, the platform does not know the subscription. A `doubtful` entry only records
    that a complete report has named the subscription. An `unnamed` entry stands for a subscription
    that the report does not name.
    """

    subscription: str
    account_number: str = ""
    held: Reported | None
    doubtful: bool = False
    unnamed: bool = False


class Report(Value, frozen=True, kw_only=True):
    """The command that applies a part of a platform report.

    `report_time`: the time at which a complete report began; 0 for any other report.
    """

    provider: str
    observed_time: Instant
    entries: tuple[Entry, ...]
    report_time: Instant = Instant(0)

    def needs(self) -> Needs:
        numbers = frozenset([entry.subscription for entry in self.entries])
        return Needs(subscriptions=numbers, duty="reports")

    def run(self, transaction: Transaction) -> tuple[EntryResult, ...]:
        """Applies the entries.

        Raises Unprocessable for the first subscription that cannot be processed.
        """
        unnamed = [entry.subscription for entry in self.entries if entry.unnamed]
        # Another complete report may have named these subscriptions since this report found them
        # unnamed.
        named = unnamed and transaction.reported(self.provider, unnamed, since=self.report_time)
        numbers = transaction.one_by_one([entry.subscription for entry in self.entries])
        return tuple(
            [
                EntryResult(outcome=Outcome.UNCHANGED)
                if entry.unnamed and number in named
                else self._apply(transaction, entry)
                for entry, number in zip(self.entries, numbers, strict=True)
            ]
        )

    def _apply(self, transaction: Transaction, entry: Entry) -> EntryResult:
        number = entry.subscription
        record = transaction.record(number)
        link = record.aggregate.link(self.provider) if record else None
        if record is None or link is None:
            return _unknown("there is no such subscription at the provider")
        if self.report_time and not entry.unnamed:
            transaction.mark_reported(self.provider, number, report_time=self.report_time)
        if entry.doubtful:
            return EntryResult(outcome=Outcome.UNKNOWN)
        if entry.account_number and link.account_number not in ("", entry.account_number):
            return _unknown(f"subscription {number} has account number {link.account_number}")
        if overtaken(link, observed_time=self.observed_time):
            after = None if link.queue else readable_from(link)
            return EntryResult(outcome=Outcome.SKIPPED, repeat_after=after)
        circumstances = transaction.circumstances(number)
        applied = report(
            record.aggregate,
            self.provider,
            held=entry.held,
            observed_time=self.observed_time,
            circumstances=circumstances,
        )
        if applied.transition.aggregate is record.aggregate:
            return EntryResult(outcome=Outcome.UNCHANGED, unknown=applied.unknown)
        size = size_of_confirmed(
            applied.transition.aggregate, circumstances.catalogues[self.provider]
        )
        if size > MOST_REQUEST_BYTES:
            most = MOST_REQUEST_BYTES
            return _unknown(
                f"its entitlements have {size} bytes with their items, at most {most} are allowed"
            )
        transaction.put(number, applied.transition)
        outcome = Outcome.MISSING if entry.held is None else Outcome.CHANGED
        return EntryResult(
            outcome=outcome if applied.changed else Outcome.UNCHANGED, unknown=applied.unknown
        )


def _unknown(why: str) -> EntryResult:
    return EntryResult(outcome=Outcome.UNKNOWN, why=why)
