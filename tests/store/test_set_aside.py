"""Tests that a subscription that cannot be processed does not stop the duties for other
subscriptions.
"""

from __future__ import annotations

import asyncio

import pytest

from generic_provider_server.commands.claim import Claim
from generic_provider_server.commands.due import EndDelays
from generic_provider_server.domain.actions import Deactivate, Rest
from generic_provider_server.domain.resets.records import EntryOutcome, RunState
from generic_provider_server.domain.values import SECOND, Instant, RequestState, State
from generic_provider_server.domain.verdicts import ResponseStatus
from generic_provider_server.services.clock_duties import Duty
from generic_provider_server.services.clock_runner import Clock
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.services.surveying import totals_of
from generic_provider_server.store.read.queries import Queries
from generic_provider_server.store.write.transaction import Transaction
from support.bench import Bench, stream_at
from support.documents import with_document
from support.examples import SATELLITE, viewer
from support.resets import Runs

UNREADABLE = b"{}"
WINDOW = SATELLITE.delivery_settings.pending_window // SECOND


async def state(bench: Bench, number: str) -> State:
    return (await bench.subscription(number)).aggregate.desired.state


async def test_the_others_leases_end_when_one_cannot_be_processed(bench: Bench, url: str) -> None:
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    await bench.claim("SAT", lease=5)
    await with_document(bench, url, "S1", UNREADABLE)
    await bench.pass_time(11)
    again = await bench.claim("SAT")

    assert [handed.lane.subscription for handed in again] == ["S2", "S3"]
    await bench.store.close()


async def test_the_others_requests_expire_when_one_cannot_be_processed(
    bench: Bench, url: str
) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    await with_document(bench, url, "S1", UNREADABLE)
    await bench.pass_time(WINDOW + 1)
    _, second = await bench.requests()

    assert second.state is RequestState.EXPIRED
    await bench.store.close()


async def test_the_others_rests_end_when_one_cannot_be_processed(bench: Bench, url: str) -> None:
    until = Instant(bench.clock.now + 60 * SECOND)
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
        await bench.perform(Rest(until), number)
    await with_document(bench, url, "S1", UNREADABLE)
    await bench.pass_time(61)

    assert await state(bench, "S2") is State.EFFECTIVE
    await bench.store.close()


async def test_the_others_scheduled_actions_are_performed_when_one_cannot_be_processed(
    bench: Bench, url: str
) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
        await bench.schedule(Deactivate(), number, 60)
    await with_document(bench, url, "S1", UNREADABLE)
    await bench.pass_time(61)

    assert await state(bench, "S2") is State.NOT_EFFECTIVE
    assert [each.duty for each in bench.store.set_asides()] == ["scheduled"]
    await bench.store.close()


async def test_it_is_set_aside_as_well_when_its_document_can_be_read_but_is_wrong(
    bench: Bench, url: str
) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    await bench.claim("SAT", lease=5)
    document = await with_document(bench, url, "S1", UNREADABLE)
    await with_document(bench, url, "S1", document.replace(b'"provider":"SAT"', b'"provider":"NO"'))
    await bench.pass_time(11)

    assert [each.subscription for each in bench.store.set_asides()] == ["S1"]
    assert [handed.lane.subscription for handed in await bench.claim("SAT")] == ["S2"]
    await bench.store.close()


async def test_what_was_set_aside_is_tried_again_later_and_later(bench: Bench, url: str) -> None:
    until = Instant(bench.clock.now + 60 * SECOND)
    await bench.become(viewer("S1"))
    await bench.perform(Rest(until), "S1")
    document = await with_document(bench, url, "S1", UNREADABLE)
    failures = []
    for seconds in (61, 0.5, 1, 1.5, 1):
        await bench.pass_time(seconds)
        failures += [each.failures for each in bench.store.set_asides()]
    await with_document(bench, url, "S1", document)
    await bench.pass_time(0)

    assert failures == [1, 1, 2, 2, 3]
    assert bench.store.set_asides() == []
    assert await state(bench, "S1") is State.EFFECTIVE
    await bench.store.close()


async def test_a_duty_that_stumbles_keeps_none_of_the_others_from_theirs(
    bench: Bench, url: str
) -> None:
    until = Instant(bench.clock.now + 60 * SECOND)
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    await bench.perform(Rest(until), "S3")
    leased, delayed, _ = await bench.claim("SAT", lease=5)
    await bench.answer(delayed, status=ResponseStatus.RETRY_LATER, retry_delay=20 * SECOND)
    await with_document(bench, url, leased.lane.subscription, UNREADABLE)
    await bench.pass_time(61)

    assert await state(bench, "S3") is State.EFFECTIVE
    again = await bench.claim("SAT")
    assert "S2" in [handed.lane.subscription for handed in again]
    await bench.store.close()


async def test_a_duty_that_always_fails_keeps_no_other_from_being_done(bench: Bench) -> None:
    done, loop = asyncio.Event(), asyncio.get_running_loop()

    def fail(_: Queries) -> list[EndDelays]:
        raise ZeroDivisionError

    def note(_: Queries) -> list[EndDelays]:
        loop.call_soon_threadsafe(done.set)
        return []

    clock = Clock(bench.store, [Duty(name="fails", due=fail), Duty(name="works", due=note)])
    async with clock.running():
        await done.wait()


async def test_the_others_are_handed_over_when_one_cannot_be_processed(
    bench: Bench, url: str
) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    await with_document(bench, url, "S1", UNREADABLE)
    (handed,) = await bench.claim("SAT")

    assert handed.lane.subscription == "S2"
    await bench.store.close()


async def test_a_reset_run_resets_the_others_when_one_cannot_be_processed(
    bench: Bench, url: str
) -> None:
    runs = Runs(bench)
    await runs.outage("S1", "S2", "S3")
    await with_document(bench, url, "S2", UNREADABLE)
    run = await runs.run()

    assert (run.state, run.failed) == (RunState.COMPLETED_WITH_ERRORS, 1)
    outcomes = await runs.outcomes(run)
    assert outcomes.pop("S2") is EntryOutcome.FAILED
    assert outcomes == dict.fromkeys(("S1", "S3"), EntryOutcome.REQUESTS_CREATED)
    await bench.store.close()


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [True, False])
async def test_a_run_that_examines_all_first_goes_on_when_one_cannot_be_processed(
    bench: Bench, url: str, monkeypatch: pytest.MonkeyPatch, *, damaged: bool
) -> None:
    """If `damaged` is true, the document of S2 cannot be read; otherwise the rules fail on S2."""
    monkeypatch.setattr("generic_provider_server.services.resetting.AFTER_FAILURE", 0.0)
    runs = Runs(bench)
    await runs.outage("S1", "S2", "S3")
    document = await with_document(bench, url, "S2", UNREADABLE)
    if not damaged:
        await with_document(bench, url, "S2", document.replace(b'"BASIC"', b'"GONE"'))
    counted = await runs.run(full=True)
    held = await runs.run(hold=True, full=True)

    assert (counted.state, counted.failed) == (RunState.COMPLETED_WITH_ERRORS, 1)
    assert (await runs.outcomes(counted))["S2"] is EntryOutcome.FAILED
    assert (held.state, held.failed) == (RunState.HELD, 1)
    assert (await runs.outcomes(held))["S2"] is EntryOutcome.FAILED
    approved = await runs.approve(held)
    assert (approved.state, approved.failed) == (RunState.COMPLETED_WITH_ERRORS, 1)
    totals = await totals_of(bench.store, approved.definition)
    assert totals.subscriptions == 0
    await bench.store.close()


async def test_what_was_set_aside_is_handed_over_later_although_nothing_else_happens(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.services.delivery.POLL_SECONDS", 0.02)
    give = Claim._lease  # noqa: SLF001 - it fails once
    monkeypatch.setattr(Claim, "_lease", lambda *_, **__: 1 // 0)
    delivery = Delivery(bench.store)
    stream = stream_at(bench.store.server, credit=2)
    await bench.become(viewer("S1"))
    async with asyncio.timeout(20):
        with delivery.stream(stream):
            while not bench.store.set_asides():
                await asyncio.sleep(0.01)
            await bench.claim("WEB")  # waits for the end of the failed claim
            monkeypatch.setattr(Claim, "_lease", give)
            bench.clock.advance(2)
            handed = await stream.events.get()
        await delivery.drain("the test is over")

    assert isinstance(handed, tuple)
    assert [each.lane.subscription for each in handed] == ["S1"]


async def test_what_was_set_aside_stays_so_until_a_later_attempt_is_committed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.become(viewer("S1"))
    with monkeypatch.context() as patched:
        patched.setattr(Claim, "_lease", lambda *_, **__: 1 // 0)
        await bench.claim("SAT")
    bench.clock.advance(2)
    with monkeypatch.context() as patched:
        patched.setattr(Transaction, "finish", lambda _: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            await bench.claim("SAT")
    assert [each.subscription for each in bench.store.set_asides()] == ["S1"]
    await bench.claim("SAT")

    assert bench.store.set_asides() == []
