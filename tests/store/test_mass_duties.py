"""Tests that few commands of the clock run in one group while callers make calls, and many
otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from generic_provider_server.commands.due import EndDelays
from generic_provider_server.domain.audit import AuditEntry
from generic_provider_server.domain.values import SECOND
from generic_provider_server.domain.verdicts import ResponseStatus
from generic_provider_server.services import calls_per_second, clock_runner
from generic_provider_server.services.clock_duties import duties
from generic_provider_server.services.clock_runner import FEW, MANY, ONE, Clock
from generic_provider_server.store.notices.notice import Notice
from generic_provider_server.store.read.duties import MOST_DUE
from generic_provider_server.store.write import changes
from generic_provider_server.store.write.command import Asked
from support.bench import Bench, performing
from support.examples import ADD_SPORT, viewer


@dataclass(frozen=True, slots=True, eq=False)
class Unrecorded:
    """The audit of a call that leaves no entry."""

    def entry(self, _: Sequence[Asked[object]], /) -> AuditEntry | None:
        return None

    def given_up(self, _: Sequence[Asked[object]], /) -> None:
        """Does nothing."""


@pytest.fixture
def runner(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Returns a clock that does not pause between commands that run one by one, and never counts
    the writer as busy, because the machine may have other load.
    """
    monkeypatch.setattr(calls_per_second, "MOST_PAUSES", 0)
    monkeypatch.setattr(clock_runner, "BUSY_SECONDS", 10.0)
    return Clock(bench.store, duties(bench.store.server))


@asynccontextmanager
async def calls_of_a_crm(bench: Bench) -> AsyncIterator[None]:
    """Changes something again and again, but not so often that the writer is always busy."""

    async def call() -> None:
        while True:
            preview = performing(ADD_SPORT, "S0", validate_only=True)
            await bench.store.do(preview, audit=Unrecorded())
            await asyncio.sleep(0.02)

    calls = asyncio.create_task(call())
    await asyncio.sleep(0.1)
    try:
        yield
    finally:
        calls.cancel()
        with suppress(asyncio.CancelledError):
            await calls


async def groups_of_duties(bench: Bench, runner: Clock, *, due: int) -> list[int]:
    """Returns the sizes of the groups in which the clock performs the `due` scheduled actions."""
    sizes = list[int]()

    def note(notice: Notice) -> None:
        sizes.append(notice.tally.commands - notice.tally.of_callers)

    bench.store.listeners.committed.append(note)
    bench.clock.advance(60)
    await runner.do_everything()
    bench.store.listeners.committed.remove(note)
    assert sum(sizes) >= due
    return [size for size in sizes if size]


async def scheduled(bench: Bench, count: int, *, seconds: int = 1, each: int = 1) -> None:
    """Schedules `each` actions on `count` subscriptions. They are due in `seconds` different
    seconds.
    """
    await bench.become_all([viewer(f"S{n}") for n in range(count + 1)])
    for n in range(1, count + 1):
        for _ in range(each):
            await bench.schedule(ADD_SPORT, f"S{n}", 60 - n % seconds)


async def test_subscriptions_with_two_due_actions_do_not_delay_the_others(
    bench: Bench, runner: Clock
) -> None:
    await scheduled(bench, MOST_DUE, each=2)
    bench.clock.advance(60)

    assert len(await bench.store.read(lambda q: q.subscriptions_with_scheduled())) == MOST_DUE
    assert await runner.do_everything()  # so the clock calls the duty again at once
    assert not await bench.store.read(lambda q: q.subscriptions_with_scheduled())


@pytest.mark.parametrize(
    ("amount", "most"), [((MOST_DUE, 0), ONE), ((MOST_DUE, 1), FEW), ((MOST_DUE // 4, 0), FEW)]
)
async def test_a_call_waits_for_few_due_actions(
    bench: Bench, runner: Clock, amount: tuple[int, int], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    due, burst = amount
    monkeypatch.setattr(clock_runner, "BURST", burst)
    await scheduled(bench, due)
    async with calls_of_a_crm(bench):
        assert max(await groups_of_duties(bench, runner, due=due)) == most


async def test_after_a_burst_due_actions_run_one_by_one(
    bench: Bench, runner: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_runner, "BURST", MOST_DUE)
    await scheduled(bench, 2 * MOST_DUE)
    async with calls_of_a_crm(bench):
        assert max(await groups_of_duties(bench, runner, due=MOST_DUE)) == FEW
        assert max(await groups_of_duties(bench, runner, due=MOST_DUE)) == ONE


async def test_actions_of_several_seconds_do_not_run_one_by_one(
    bench: Bench, runner: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_runner, "BURST", 0)
    await scheduled(bench, MOST_DUE, seconds=2)
    async with calls_of_a_crm(bench):
        assert max(await groups_of_duties(bench, runner, due=MOST_DUE)) == FEW


async def test_without_calls_many_due_actions_share_a_group(bench: Bench, runner: Clock) -> None:
    """If other processes use the database, these processes may have calls, so the groups stay
    small.
    """
    await scheduled(bench, MOST_DUE)
    most = FEW if bench.store.shared else MANY
    assert max(await groups_of_duties(bench, runner, due=MOST_DUE)) == most


async def test_a_transaction_ends_a_limited_number_of_delays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_DELAYS", 2)
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    for lease in await bench.claim("SAT"):
        await bench.answer(lease, status=ResponseStatus.RETRY_LATER, retry_delay=SECOND)
    bench.clock.advance(60)
    ended = [await bench.store.do(EndDelays())]
    handed = list(await bench.claim("SAT"))
    ended += [await bench.store.do(EndDelays()) for _ in range(2)]
    handed += await bench.claim("SAT")

    assert ended == [2, 1, 0]
    assert {each.lane.subscription for each in handed} == {"S1", "S2", "S3"}
