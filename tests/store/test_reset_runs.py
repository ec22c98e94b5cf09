from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from generic_provider_server.commands import cleaning
from generic_provider_server.commands.reset_runs import SetTotal, Take
from generic_provider_server.commands.reset_sending import LEAST, Send
from generic_provider_server.domain.actions import ChangeLocation, Deactivate, Terminate
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.resets.records import (
    EntryOutcome,
    RunState,
    Settled,
)
from generic_provider_server.domain.subscription.differences import DifferenceKind
from generic_provider_server.domain.values import Address, RequestOrigin, RequestType, SyncState
from generic_provider_server.services import resetting
from generic_provider_server.services.calls_per_second import CallsPerSecond
from generic_provider_server.services.surveying import survey, totals_of
from generic_provider_server.store.notices.notice import Notice
from generic_provider_server.store.read.filters import RequestFilter
from generic_provider_server.store.store import Store
from generic_provider_server.store.write.command import Command
from generic_provider_server.store.write.transaction import Transaction
from support.bench import Bench
from support.examples import ADD_NEWS, REMOVE_SPORT, viewer
from support.resets import Runs

CREATED, SUPERSEDED = EntryOutcome.REQUESTS_CREATED, EntryOutcome.SUPERSEDED


@pytest.fixture
def runs(bench: Bench) -> Runs:
    return Runs(bench)


async def test_a_run_brings_everybody_in_sync_and_a_second_one_creates_nothing(runs: Runs) -> None:
    await runs.outage("S1", "S2", "S3", steady=5)
    run = await runs.run()

    assert run.state is RunState.COMPLETED
    assert (run.total, run.examined, run.out_of_sync, run.requests_created) == (3, 3, 3, 3)
    assert await runs.outcomes(run) == {"S1": CREATED, "S2": CREATED, "S3": CREATED}
    assert await runs.settled(run) == Settled(pending=3)
    await runs.bench.accept_all("SAT")
    assert await runs.settled(run) == Settled(completed=3)
    for number in ("S1", "S2", "S3"):
        assert await runs.bench.sync_state(number, "SAT") is SyncState.IN_SYNC

    again = await runs.run()
    assert (again.state, again.requests_created) == (RunState.COMPLETED, 0)


async def test_the_requests_of_a_run_name_it_and_yield_to_live_ones(runs: Runs) -> None:
    await runs.outage("S1")
    run = await runs.run()
    (request,) = await runs.bench.requests(RequestFilter(reset_run=run.id))

    assert (request.origin, request.performed_by) == (RequestOrigin.RESET, "Olev")
    pending = (await runs.bench.subscription("S1")).aggregate.queue("SAT")
    assert [each.bulk for each in pending] == [True]


async def test_a_held_run_does_exactly_what_its_entries_said(runs: Runs) -> None:
    """Between plan and approval, actions bring S1 in sync, and change what S2 and S4 need."""
    await runs.outage("S1", "S2", "S3")
    await runs.bench.become(viewer("S4"))
    await runs.bench.accept_all("SAT")
    run = await runs.run(hold=True)
    assert run.state is RunState.HELD
    planned = await runs.entries(run)
    assert [entry.outcome for entry in planned] == [EntryOutcome.PLANNED] * 3
    assert [entry.types for entry in planned] == [(RequestType.ACTIVATE_SERVICE,)] * 3
    assert planned[0].differences[0].kind is DifferenceKind.SERVICE_MISSING

    await runs.bench.perform(ADD_NEWS, "S1")  # this action also heals S1
    await runs.bench.stop_provider("SAT")
    await runs.bench.perform(ADD_NEWS, "S2")
    await runs.bench.perform(ADD_NEWS, "S4")
    await runs.bench.start_provider("SAT")
    approved = await runs.approve(run)

    assert (approved.state, approved.approved_by) == (RunState.COMPLETED, "Olev")
    assert await runs.approve(run) == approved, "a repeat, because the answer may be lost"
    assert await runs.outcomes(run) == {
        "S1": SUPERSEDED,
        "S2": EntryOutcome.CHANGED_SINCE_PREVIEW,
        "S3": CREATED,
    }
    changed = next(each for each in await runs.entries(run) if each.subscription == "S2")
    news = "NEWS (0x12) on MAIN, SMARTCARD card of S2: is off on the platform"
    assert changed.message == f"since the plan: new: {news}"
    made = await runs.bench.requests(RequestFilter(reset_run=run.id))
    assert [request.subscription for request in made] == ["S3"]
    assert (approved.requests_created, approved.skipped) == (1, 2)


async def test_what_the_filters_do_not_find_any_more_has_changed_unless_it_is_in_sync(
    runs: Runs,
) -> None:
    await runs.outage("S1", "S2")
    run = await runs.run(hold=True, difference_kinds=(DifferenceKind.SERVICE_MISSING,))
    await runs.bench.stop_provider("SAT")
    await runs.bench.perform(ChangeLocation(Address(city="Narva")), "S1")
    for number in ("S1", "S2"):
        await runs.bench.perform(REMOVE_SPORT, number)
    await runs.bench.start_provider("SAT")

    approved = await runs.approve(run)

    changed = EntryOutcome.CHANGED_SINCE_PREVIEW
    assert await runs.outcomes(run) == {"S1": changed, "S2": SUPERSEDED}
    assert (approved.requests_created, approved.skipped) == (0, 2)


async def test_the_guard_holds_a_run_that_would_switch_off_too_much(runs: Runs) -> None:
    numbers = [f"S{n:03d}" for n in range(120)]
    await runs.bench.become_all([viewer(number) for number in numbers])
    await runs.bench.accept_all("SAT")
    await runs.bench.stop_provider("SAT")
    for number in numbers[:13]:
        await runs.bench.perform(Deactivate(), number)
    await runs.bench.start_provider("SAT")

    assert (await runs.run(max_switch_off_percent=11.0)).state is RunState.COMPLETED
    totals = await totals_of(runs.bench.store, (await runs.define()).definition)
    assert totals.subscriptions == 0


@pytest.mark.parametrize(
    ("accepted", "pending_off", "pending_on", "held"), [(120, 20, 0, True), (100, 0, 15, False)]
)
async def test_the_guard_counts_what_pending_requests_switch_on_and_off(
    runs: Runs, accepted: int, pending_off: int, pending_on: int, *, held: bool
) -> None:
    bench, numbers = runs.bench, [f"S{n:03d}" for n in range(accepted)]
    await bench.become_all([viewer(number) for number in numbers])
    await bench.accept_all("SAT")
    await bench.stop_provider("SAT")
    for number in numbers[:11]:
        await bench.perform(Terminate(), number)
    await bench.start_provider("SAT")
    for number in numbers[11 : 11 + pending_off]:
        await bench.perform(Deactivate(), number)
    await bench.become_all([viewer(f"T{n:03d}") for n in range(pending_on)])

    definition = (await runs.define()).definition
    totals = await totals_of(bench.store, definition)
    holding = accepted - pending_off + pending_on
    assert (totals.holding, totals.losing, totals.held(definition)) == (holding, 11, held)
    assert ((await runs.run()).state is RunState.HELD) is held


async def test_the_guard_says_both_numbers_and_an_approval_lets_the_run_go_on(runs: Runs) -> None:
    numbers = [f"S{n:03d}" for n in range(100)]
    await runs.bench.become_all([viewer(number) for number in numbers])
    await runs.bench.accept_all("SAT")
    await runs.bench.stop_provider("SAT")
    for number in numbers[:11]:
        await runs.bench.perform(Terminate(), number)
    await runs.bench.start_provider("SAT")

    definition = (await runs.define()).definition
    totals = await totals_of(runs.bench.store, definition)
    assert (totals.holding, totals.losing, totals.held(definition)) == (100, 11, True)
    run = await runs.run()
    assert run.state is RunState.HELD
    assert "11 of 100" in run.message
    assert "10 %" in run.message
    assert run.requests_created == 0
    assert len(await runs.entries(run)) == 11

    approved = await runs.approve(run)
    assert (approved.state, approved.out_of_sync) == (RunState.COMPLETED, 11)
    assert set((await runs.outcomes(run)).values()) == {CREATED}


async def test_the_guard_examines_subscriptions_only_if_it_could_hold_the_run(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    spied = Mock(wraps=survey)
    monkeypatch.setattr(resetting, "survey", spied)
    await runs.outage(*[f"S{n:02d}" for n in range(11)], steady=99)
    run = await runs.run()
    assert (run.state, run.out_of_sync, spied.called) == (RunState.COMPLETED, 11, False)
    await runs.bench.accept_all("SAT")

    await runs.outage(*[f"T{n:02d}" for n in range(13)])
    run = await runs.run()
    assert (run.state, run.out_of_sync, spied.called) == (RunState.COMPLETED, 13, True)


async def test_the_guard_also_counts_what_drifted_after_the_run_had_counted(runs: Runs) -> None:
    await runs.outage("S1", steady=119)
    run = await runs.submit(await runs.define())
    await runs.bench.store.do(Take(run_number=run.id, server=runs.bench.store.server))
    taken = await runs.get(run)
    await runs.bench.store.do(SetTotal(before=taken, total=1))
    await runs.bench.stop_provider("SAT")
    for n in range(13):
        await runs.bench.perform(Deactivate(), f"C{n:03d}")
    await runs.bench.start_provider("SAT")

    await runs.work()

    assert (await runs.get(run)).state is RunState.HELD


@pytest.mark.parametrize(("subscriptions", "percent"), [(99, None), (100, 0.0)])
async def test_few_subscriptions_or_a_guard_of_0_hold_nothing(
    runs: Runs, subscriptions: int, percent: float | None
) -> None:
    await runs.bench.become_all([viewer(f"S{n:03d}") for n in range(subscriptions)])
    await runs.bench.accept_all("SAT")
    await runs.bench.stop_provider("SAT")
    for n in range(50):
        await runs.bench.perform(Deactivate(), f"S{n:03d}")
    await runs.bench.start_provider("SAT")

    run = await runs.run(max_switch_off_percent=percent)
    assert (run.state, run.out_of_sync) == (RunState.COMPLETED, 50)


async def test_a_paced_run_sends_no_more_than_so_many_a_second(runs: Runs) -> None:
    await runs.outage(*[f"S{n:02d}" for n in range(30)])
    run = await runs.run(subscriptions_per_second=4)

    assert run.requests_created == 30
    assert runs.slept.now == pytest.approx(28 / 4)  # the first two requests need no pause


@pytest.mark.parametrize("hold", [False, True])
async def test_each_step_ends_soon_while_other_commands_wait(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, *, hold: bool
) -> None:
    numbers = [f"S{n:02d}" for n in range(60)]
    await runs.outage(*numbers)
    monkeypatch.setattr(Transaction, "others_wait", lambda _: True)
    steps = Mock(wraps=Send)
    monkeypatch.setattr(resetting, "Send", steps)
    run = await runs.run(hold=hold, subscriptions_per_second=100)
    if hold:
        run = await runs.approve(run)

    assert (run.state, run.requests_created) == (RunState.COMPLETED, 60)
    assert await runs.outcomes(run) == dict.fromkeys(numbers, CREATED)
    assert steps.call_count >= 60 / LEAST
    # the pace counts the subscriptions that were examined; the first LEAST need no pause
    assert runs.slept.now == pytest.approx((60 - LEAST) / 100)


async def test_a_run_pauses_on_sqlite_while_calls_change_something(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await runs.outage("S1", "S2")
    await runs.run()
    assert runs.slept.now == 0

    monkeypatch.setattr(CallsPerSecond, "pauses", lambda _: 4.0)
    await runs.run(full=True)
    assert (runs.slept.now > 0) == (not runs.bench.store.shared)


async def test_a_run_pauses_only_briefly_after_a_commit_that_stalled(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stall(notice: Notice) -> None:
        notice.tally.seconds = 60.0

    await runs.outage("S1", "S2")
    runs.bench.store.listeners.committed.insert(0, stall)
    monkeypatch.setattr(CallsPerSecond, "pauses", lambda _: 4.0)
    run = await runs.run()

    assert run.state is RunState.COMPLETED
    assert runs.slept.now <= resetting.LONGEST_PAUSE


async def test_two_runs_send_in_turn_so_that_neither_shortens_the_steps_of_the_other(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [f"S{n:02d}" for n in range(60)]
    await runs.outage(*numbers)
    sending, most = set[Send](), list[int]()
    do = Store.do

    async def counting(store: Store, command: Command[Any], **asked: Any) -> Any:
        if not isinstance(command, Send):
            return await do(store, command, **asked)
        sending.add(command)
        most.append(len(sending))
        result = await do(store, command, **asked)
        sending.remove(command)
        return result

    monkeypatch.setattr(Store, "do", counting)
    parts = numbers[::2], numbers[1::2]
    made = [await runs.submit(await runs.define(subscriptions=tuple(part))) for part in parts]
    await runs.work()

    assert [(await runs.get(run)).requests_created for run in made] == [30, 30]
    assert max(most) == 1


async def test_a_cancelled_run_leaves_its_requests_pending_and_creates_no_more(runs: Runs) -> None:
    await runs.outage(*[f"S{n:02d}" for n in range(9)])
    run = await runs.submit(await runs.define(subscriptions_per_second=1))
    cancelling = _Cancelling(runs, after=3)
    await cancelling.work()
    cancelled = await runs.get(run)

    assert (cancelled.state, cancelled.requests_created) == (RunState.CANCELLED, 3)
    assert cancelled.message == "cancelled by Olev"
    assert await runs.settled(run) == Settled(pending=3)
    assert (await runs.cancel(run)) == cancelled


class _Cancelling:
    """Works on a run, and cancels the run after this many pauses of the work."""

    def __init__(self, runs: Runs, *, after: int) -> None:
        self._runs, self._after = runs, after
        self._sleep = runs.slept.sleep

    async def work(self) -> None:
        resetting = self._runs.resetting()
        resetting._sleep = self._slept  # noqa: SLF001 - to act between two steps
        await resetting.step()
        await resetting.finished()

    async def _slept(self, seconds: float) -> None:
        await self._sleep(seconds)
        self._after -= 1
        if self._after == 0:
            run = await self._runs.bench.store.read(
                lambda queries: next(
                    queries.reset_runs(definition=0, provider="", states=(), before=0, limit=1)
                )
            )
            await self._runs.cancel(run)


async def test_a_run_stops_when_its_provider_is_not_effective_any_more(runs: Runs) -> None:
    await runs.outage("S1")
    run = await runs.submit(await runs.define())
    await runs.bench.stop_provider("SAT")
    await runs.work()
    failed = await runs.get(run)

    assert failed.state is RunState.FAILED
    assert "not effective" in failed.message
    with pytest.raises(Refused) as refused:
        await runs.submit(await runs.define())
    assert refused.value.reason is Reason.PROVIDER_NOT_EFFECTIVE


async def test_a_run_that_was_interrupted_goes_on_where_it_stopped(runs: Runs) -> None:
    await runs.outage(*[f"S{n:03d}" for n in range(120)])
    run = await runs.submit(await runs.define())
    first = runs.resetting()
    await first.step()
    while not (await runs.get(run)).requests_created:
        await runs.bench.store.refresh()
        await first.step()
        if not first._tasks:  # noqa: SLF001 - the run has ended already
            break
    await first.stop()

    await runs.work()
    done = await runs.get(run)
    assert (done.state, done.requests_created) == (RunState.COMPLETED, 120)
    assert await runs.settled(run) == Settled(pending=120)


async def test_entries_are_removed_two_years_after_the_end_of_their_run(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "MOST_DROPPED", 2)
    await runs.outage("S1", "S2", "S3")
    old = await runs.run()
    await runs.bench.pass_time(60)
    young = await runs.run(full=True)
    await runs.bench.pass_time(730 * 86_400 - 120)
    assert len(await runs.entries(old)) == 3

    await runs.bench.pass_time(61)
    assert list(await runs.outcomes(old)) == ["S3"]
    await runs.bench.pass_time(1)
    await runs.bench.pass_time(1)
    assert await runs.entries(old) == []
    assert (await runs.get(old)).requests_created == 3
    assert len(await runs.entries(young)) == 3


async def test_nobody_approves_a_run_whose_provider_is_not_effective(runs: Runs) -> None:
    await runs.outage("S1")
    run = await runs.run(hold=True)
    await runs.bench.stop_provider("SAT")
    with pytest.raises(Refused) as refused:
        await runs.approve(run)
    assert refused.value.reason is Reason.PROVIDER_NOT_EFFECTIVE
    await runs.bench.start_provider("SAT")
    approved = await runs.approve(run)
    assert (approved.state, approved.requests_created) == (RunState.COMPLETED, 1)


async def test_what_nobody_approves_within_a_day_is_dropped(runs: Runs) -> None:
    await runs.outage("S1")
    run = await runs.run(hold=True)
    runs.bench.clock.advance(24 * 3_600 - 1)
    await runs.work()
    assert (await runs.get(run)).state is RunState.HELD
    runs.bench.clock.advance(1)
    await runs.work()
    assert (await runs.get(run)).state is RunState.CANCELLED
    with pytest.raises(Refused) as refused:
        await runs.approve(run)
    assert refused.value.reason is Reason.RUN_NOT_HELD


async def test_nobody_approves_a_run_that_was_held_for_a_day_while_the_service_was_down(
    runs: Runs,
) -> None:
    """The approval arrives after a downtime, before the service has ended the run."""
    await runs.outage("S1")
    run = await runs.run(hold=True)
    runs.bench.clock.advance(3 * 24 * 3_600)
    with pytest.raises(Refused) as refused:
        await runs.approve(run)
    assert refused.value.reason is Reason.RUN_NOT_HELD
    await runs.work()
    dropped = await runs.get(run)
    assert (dropped.state, dropped.requests_created) == (RunState.CANCELLED, 0)
