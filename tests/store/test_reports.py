"""Tests reports of what a platform holds: several at the same time, and in unusual states of the
store.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from generic_provider_server.commands import report as report_command
from generic_provider_server.commands.report import Outcome, Report
from generic_provider_server.domain.actions import BecomeSubscriber, Existing
from generic_provider_server.domain.platform.image import Known
from generic_provider_server.domain.platform.reported import Reported, ReportedEntitlement
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.subscription.aggregate import Aggregate
from generic_provider_server.domain.subscription.report import Applied
from generic_provider_server.domain.subscription.report import report as apply_report
from generic_provider_server.domain.values import Account, Address, Instant, SyncState
from generic_provider_server.services import reporting
from generic_provider_server.services.reporting import Reporting, Subscriber, Terms
from support.bench import Bench
from support.documents import with_document
from support.examples import STREAM

STREAM_ON = Reported(entitlements=(ReportedEntitlement(provider_service_id="stream-1"),))
MINUTES = 360_000_000


def customer(number: str) -> BecomeSubscriber:
    """Returns the action that creates a subscriber who already had STREAM at WEB."""
    return BecomeSubscriber(
        number=number,
        type="OTT",
        holder=Account(name="Mari"),
        address=Address(city="Tallinn"),
        services=(STREAM,),
        existing=(Existing(provider="WEB", account_number=f"A{number}", holds_everything=True),),
    )


async def served(bench: Bench, *numbers: str) -> None:
    await bench.become_all([customer(number) for number in numbers])


async def begun(bench: Bench, *, most: float = 100) -> Reporting:
    """Begins a complete report of a platform that was read just now."""
    terms = Terms(
        provider="WEB",
        observed_time=Instant(bench.clock.now + MINUTES),
        complete=True,
        max_missing_percent=most,
    )
    report = Reporting(bench.store, terms)
    await report.begin()
    return report


def there(*numbers: str, held: Reported | None = STREAM_ON) -> list[Subscriber]:
    return [Subscriber(subscription=number, held=held) for number in numbers]


async def known(bench: Bench, number: str) -> Known:
    return (await bench.confirmed(number, "WEB")).known


async def test_an_earlier_report_in_the_same_transaction_does_not_hide_a_later_one(
    bench: Bench,
) -> None:
    numbers = ["C1", "C2", "C3"]
    await served(bench, *numbers)
    first, second = await begun(bench), await begun(bench)

    await asyncio.gather(second.take(there(*numbers)), first.take(there(*numbers)))

    for report in (first, second):
        await report.finish()
        assert report.outcomes[Outcome.MISSING] == 0
    assert [await known(bench, number) for number in numbers] == [Known.YES] * 3


async def test_two_complete_reports_at_once_miss_only_whom_neither_names(bench: Bench) -> None:
    await served(bench, "S1", "S2", "S3")
    first, second = await begun(bench), await begun(bench)
    await second.take(there("S1", "S2"))
    await first.take(there("S1"))
    await first.finish()
    assert await known(bench, "S2") is Known.YES, "the later report has named it"
    assert await known(bench, "S3") is Known.NO
    await second.finish()
    assert [await known(bench, number) for number in ("S1", "S2")] == [Known.YES, Known.YES]


async def test_whom_another_report_names_while_a_report_ends_is_not_missing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await served(bench, "S1", "S2", "S3")
    first, second = await begun(bench), await begun(bench)
    do, named = bench.store.do, asyncio.Event()

    async def done_after_another(command: Report, **options: Any) -> object:
        if command.entries[0].unnamed:
            await second.take(there("S1"))
            taking.append(asyncio.create_task(second.take(there("S2"))))
            await named.wait()
        elif command.entries[0].subscription == "S2":
            named.set()
        return await do(command, **options)

    taking: list[asyncio.Task[None]] = []
    monkeypatch.setattr(bench.store, "do", done_after_another)
    await first.finish()
    await asyncio.gather(*taking)
    assert first.outcomes[Outcome.MISSING] == 1
    wanted = {"S1": Known.YES, "S2": Known.YES, "S3": Known.NO}
    assert {number: await known(bench, number) for number in wanted} == wanted


async def test_a_report_begins_anew_with_nobody_named(bench: Bench) -> None:
    await served(bench, "S1", "S2")
    interrupted = await begun(bench)
    await interrupted.take(there("S1", "S2"))
    again = await begun(bench)
    await again.take(there("S1"))
    await again.finish()
    assert (again.outcomes[Outcome.UNCHANGED], again.outcomes[Outcome.MISSING]) == (1, 1)
    assert await bench.sync_state("S2", "WEB") is SyncState.OUT_OF_SYNC


async def test_a_report_that_lacks_too_many_reads_no_further(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "MOST_READ", 2)
    await served(bench, *[f"S{n}" for n in range(9)])
    report = await begun(bench, most=20)
    with pytest.raises(Refused) as refused:
        await report.finish()
    assert refused.value.reason is Reason.REPORT_INCOMPLETE
    counts = {"linked": "9", "most": "1", "missing": "2"}
    assert refused.value.metadata.items() >= counts.items()
    assert await known(bench, "S0") is Known.YES


async def test_a_large_message_is_many_small_transactions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [f"S{n:03}" for n in range(450)]
    await served(bench, *numbers)
    sizes: list[int] = []
    do = bench.store.do

    async def counted(command: Report, **options: Any) -> object:
        sizes.append(len(command.entries))
        return await do(command, **options)

    monkeypatch.setattr(bench.store, "do", counted)
    report = await begun(bench)
    await report.take(there(*numbers[:-1], held=Reported()))
    assert await report.finish() == 450
    assert sizes == [200, 200, 49, 1]


async def test_a_subscription_that_cannot_be_processed_fails_no_report(
    bench: Bench, url: str
) -> None:
    await served(bench, "S1", "S2", "S3")
    await with_document(bench, url, "S2", b"{}")
    report = await begun(bench)
    await report.take(there("S1", "S2"))
    await report.finish()
    expected = {Outcome.UNCHANGED: 1, Outcome.UNKNOWN: 1, Outcome.MISSING: 1}
    assert report.outcomes == expected
    (example,) = report.examples
    assert (example.subscription, example.why) == ("S2", "it cannot be processed and was set aside")
    assert [(each.subscription, each.duty) for each in bench.store.set_asides()] == [
        ("S2", "reports")
    ]
    await bench.store.close()


async def test_a_named_subscription_whose_entry_cannot_be_processed_is_not_missing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the entry of S2 fails; that the platform does not know S2 could be recorded."""
    await served(bench, "S1", "S2", "S3")

    def failing(aggregate: Aggregate, *args: Any, held: Reported | None, **facts: Any) -> Applied:
        if aggregate.desired.number == "S2" and held is not None:
            raise LookupError("S2")
        return apply_report(aggregate, *args, held=held, **facts)

    monkeypatch.setattr(report_command, "report", failing)
    report = await begun(bench, most=34)
    await report.take(there("S1", "S2"))
    await report.finish()

    expected = {Outcome.UNCHANGED: 1, Outcome.UNKNOWN: 1, Outcome.MISSING: 1}
    assert report.outcomes == expected
    assert [await known(bench, each) for each in ("S2", "S3")] == [Known.YES, Known.NO]
