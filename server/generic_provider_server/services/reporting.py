"""Applies a platform report, part by part, and counts the outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..commands.report import Entry, EntryResult, Outcome, Report
from ..domain.platform.reported import Reported
from ..domain.refusals import Reason, Refused
from ..domain.subscription.records import SubscriptionRecord
from ..domain.subscription.report import overtaken, should_be_named
from ..domain.values import Instant, Value
from ..store.memory.set_aside import Unprocessable
from ..store.store import Store
from ..store.write.command import Audit

MOST_IN_TRANSACTION = 200
"""The greatest number of subscriptions in one transaction. The number is small, so that other calls
do not wait long for the transaction.
"""

BROKEN = EntryResult(outcome=Outcome.UNKNOWN, why="it cannot be processed and was set aside")
MOST_READ = 1_000
MOST_EXAMPLES = 100
Part = TypeVar("Part")


class Terms(Value, frozen=True, kw_only=True):
    provider: str
    observed_time: Instant
    complete: bool = False
    max_missing_percent: float = 5


class Subscriber(Value, frozen=True, kw_only=True):
    """An entry of a report.

    `wrong`: the reason why the entry is malformed. `malformed`: tells which of the fields
    `account_number` and `subscription` are malformed; these fields are not used to find the
    subscription. If `held` is None, the platform does not know the subscriber.
    """

    account_number: str = ""
    subscription: str = ""
    held: Reported | None = None
    wrong: str = ""
    malformed: frozenset[str] = frozenset()

    @property
    def by_number(self) -> str:
        return "" if "subscription" in self.malformed else self.subscription

    @property
    def by_account(self) -> str:
        return "" if "account_number" in self.malformed else self.account_number


class Example(Value, frozen=True, kw_only=True):
    """An example of something in a report that the service does not know: a subscriber, or in the
    entry of a subscriber a distributor, a goods type, a serial number or the platform id of a
    service. `id`: the unknown name in the entry of a subscriber.
    """

    why: str
    account_number: str = ""
    subscription: str = ""
    id: str = ""


@dataclass(slots=True)
class Reporting:
    """A report that is being applied. `outcomes`: the number of subscriptions for each outcome.
    `_broken`: the subscriptions that could not be processed. These subscriptions do not count as
    missing, because the report may have named them.
    """

    store: Store
    terms: Terms
    audit: Audit | None = None
    received: int = 0
    unknown_ids: int = 0
    unnamed_skipped: int = 0
    skipped_pending: int = 0
    repeat_after: Instant = Instant(0)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)
    _report_time: Instant = Instant(0)
    _broken: set[str] = field(default_factory=set)

    async def begin(self) -> None:
        if self.terms.complete:
            self._report_time = await self.store.read(lambda queries: queries.now())

    async def take(self, subscribers: Sequence[Subscriber]) -> None:
        """Applies a part of the report. The part is committed when the function returns."""
        self.received += len(subscribers)
        named, doubtful = await self._named(subscribers)
        if self.terms.complete:
            names = [Entry(subscription=each, held=None, doubtful=True) for each in doubtful]
            for entries in _chunks(names, MOST_IN_TRANSACTION):
                await self._apply(entries, audit=None)
        for part in _chunks(named, MOST_IN_TRANSACTION):
            entries = [
                Entry(subscription=number, account_number=each.account_number, held=each.held)
                for each, number in part
            ]
            results = await self._apply(entries, audit=self.audit)
            for (each, number), result in zip(part, results, strict=True):
                self._count(each, number, result)

    async def finish(self) -> int:
        """Ends a report after its last part. If the report is complete, records that the platform
        does not know the subscriptions that the report should name and does not name.

        Returns how many subscriptions are OUT_OF_SYNC now.
        """
        provider = self.terms.provider
        if self.terms.complete:
            await self._guard()
            async for numbers in self._missing():
                entries = [
                    Entry(subscription=number, held=None, unnamed=True) for number in numbers
                ]
                for part in _chunks(entries, MOST_IN_TRANSACTION):
                    results = await self._apply(part, audit=self.audit)
                    self.outcomes[Outcome.MISSING] += sum(
                        each.outcome is Outcome.MISSING for each in results
                    )
                    self.unnamed_skipped += sum(each.outcome is Outcome.SKIPPED for each in results)
        return await self.store.read(lambda queries: queries.out_of_sync(provider))

    async def _named(
        self, subscribers: Iterable[Subscriber]
    ) -> tuple[list[tuple[Subscriber, str]], list[str]]:
        """Returns two lists. The first list contains the entries that name exactly one
        subscription, each with the number of the subscription. The second list contains the numbers
        of the subscriptions that malformed or ambiguous entries name.

        Malformed and ambiguous entries are counted as unknown, but in a complete report their
        subscriptions are treated as named.
        """
        provider = self.terms.provider
        accounts = {each.by_account for each in subscribers if not each.by_number}
        known = await self.store.read(lambda queries: queries.with_accounts(provider, accounts))
        named, doubtful = [], list[str]()
        for each in subscribers:
            numbers = [each.by_number] if each.by_number else known.get(each.by_account, [])
            why = each.wrong or _unclear(numbers)
            if numbers and not why:
                named.append((each, numbers[0]))
                continue
            self._count_unknown(each, why)
            doubtful += numbers
        return named, doubtful

    async def _apply(self, entries: Sequence[Entry], *, audit: Audit | None) -> list[EntryResult]:
        """Applies the entries, and returns the outcome of each entry.

        Subscriptions that cannot be processed are set aside; all other entries are applied.
        """
        broken = set[str]()
        while True:
            left = tuple([entry for entry in entries if entry.subscription not in broken])
            report = Report(
                provider=self.terms.provider,
                observed_time=self.terms.observed_time,
                entries=left,
                report_time=self._report_time,
            )
            try:
                done = iter(await self.store.do(report, audit=audit))
            except Unprocessable as error:
                broken.add(error.subscription)
                self._broken.add(error.subscription)
                continue
            return [BROKEN if entry.subscription in broken else next(done) for entry in entries]

    def _count(self, subscriber: Subscriber, number: str, result: EntryResult) -> None:
        if result.outcome is Outcome.UNKNOWN:
            self._count_unknown(subscriber, result.why)
            return
        self.outcomes[result.outcome] += 1
        if result.outcome is Outcome.SKIPPED:
            self.skipped_pending += result.repeat_after is None
            self.repeat_after = max(self.repeat_after, result.repeat_after or Instant(0))
        for name, why in result.unknown:
            self.unknown_ids += 1
            self._note(Example(id=name, subscription=number, why=why))

    def _count_unknown(self, subscriber: Subscriber, why: str) -> None:
        self.outcomes[Outcome.UNKNOWN] += 1
        self._note(
            Example(
                account_number=subscriber.account_number,
                subscription=subscriber.subscription,
                why=why,
            )
        )

    def _note(self, example: Example) -> None:
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(example)

    async def _guard(self) -> None:
        """Raises Refused if too many linked subscriptions are missing in the report."""
        terms, missing = self.terms, 0
        linked = await self.store.read(lambda queries: queries.linked(terms.provider))
        most = int(linked * terms.max_missing_percent / 100)
        async for numbers in self._missing():
            missing += len(numbers)
            if missing > most:
                raise Refused(
                    Reason.REPORT_INCOMPLETE,
                    f"at least {missing} of {linked} subscriptions are missing in the report, and "
                    f"only {terms.max_missing_percent:g} % may be missing; "
                    "the entries of the report were applied",
                    linked=str(linked),
                    most=str(most),
                    missing=str(missing),
                    **self._counts(),
                )

    def _counts(self) -> dict[str, str]:
        return {
            "received": str(self.received),
            "unchanged": str(self.outcomes[Outcome.UNCHANGED]),
            "changed": str(self.outcomes[Outcome.CHANGED]),
            "skipped": str(self.outcomes[Outcome.SKIPPED]),
            "unknown_subscriptions": str(self.outcomes[Outcome.UNKNOWN]),
        }

    async def _missing(self) -> AsyncIterator[list[str]]:
        """Yields the numbers of the linked subscriptions that the report should name and does not
        name. Leaves out subscriptions that requests or another report may have changed since
        `observed_time`, and counts these subscriptions in `unnamed_skipped`.
        """
        provider, observed = self.terms.provider, self.terms.observed_time
        self.unnamed_skipped = 0
        page = await self._unnamed(after="")
        while page:
            numbers = list[str]()
            for number, record in page:
                link = record.aggregate.link(provider) if record else None
                if not (record and link) or number in self._broken:
                    continue
                if not should_be_named(record.aggregate, link, observed_time=observed):
                    continue
                if overtaken(link, observed_time=observed):
                    self.unnamed_skipped += 1
                else:
                    numbers.append(number)
            yield numbers
            page = await self._unnamed(after=page[-1][0])

    async def _unnamed(self, *, after: str) -> list[tuple[str, SubscriptionRecord | None]]:
        provider, began = self.terms.provider, self._report_time
        return await self.store.read(
            lambda queries: queries.unnamed(
                provider, report_time=began, after=after, limit=MOST_READ
            )
        )


def _unclear(numbers: Sequence[str]) -> str:
    """Returns the reason why an account number does not name exactly one subscription. Returns an
    empty text if the account number names exactly one subscription.
    """
    if not numbers:
        return "no subscription has this account number"
    if len(numbers) == 1:
        return ""
    return f"{len(numbers)} subscriptions have this account number: {', '.join(numbers[:3])}"


def _chunks(values: Sequence[Part], most: int) -> Iterator[Sequence[Part]]:
    for start in range(0, len(values), most):
        yield values[start : start + most]
