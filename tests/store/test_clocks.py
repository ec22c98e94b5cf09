"""Tests what happens when the clock of the database or of the machine is set while leases are live
and automatic ends are due.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import pytest

from generic_provider_server.commands.claim import Demand, Handed
from generic_provider_server.commands.end_leases import end_of_other_servers
from generic_provider_server.domain.actions import Rest
from generic_provider_server.domain.values import SECOND, Instant, State
from generic_provider_server.domain.verdicts import ResponseCode
from generic_provider_server.services.auditing import Auditing
from generic_provider_server.services.clock_duties import duties
from generic_provider_server.services.clock_runner import Clock
from generic_provider_server.store.database.postgres import CLOCK
from generic_provider_server.store.opening import open_store
from generic_provider_server.store.read.filters import SubscriptionFilter
from generic_provider_server.store.waits import Waits
from support.bench import Bench, HandClock
from support.examples import SATELLITE, WEB, viewer

Step = Callable[[int], None]
SHORT = Waits(patience=4.0)


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Step:
    """Returns a function that sets the clock to the real time plus a number of seconds."""

    def by(seconds: int) -> None:
        ahead = seconds * 10**9
        wall = SimpleNamespace(time_ns=lambda: time.time_ns() + ahead)
        monkeypatch.setattr("generic_provider_server.store.database.sqlite.time", wall)
        clock = f"{CLOCK} + {ahead}"
        for module in ("database.postgres", "sign_of_life"):
            monkeypatch.setattr(f"generic_provider_server.store.{module}.CLOCK", clock)

    return by


@pytest.fixture
async def bench(url: str, step: Step) -> AsyncIterator[Bench]:
    """Yields a bench whose store uses the real clock, not the clock of the test."""
    step(0)
    bench = Bench(open_store(url, waits=SHORT), HandClock())
    await bench.add_provider(SATELLITE)
    await bench.add_provider(WEB)
    yield bench
    await bench.store.close()


async def leased(bench: Bench, *, seconds: float) -> Handed:
    await bench.become(viewer("S1"))
    (lease,) = await bench.claim("SAT", lease=seconds)
    return lease


async def test_leases_run_out_although_the_clock_is_set_back(bench: Bench, step: Step) -> None:
    await leased(bench, seconds=0.3)
    step(-600)
    clock = Clock(bench.store, duties(bench.store.server))
    async with asyncio.timeout(20):
        while not (again := await bench.claim("SAT")):
            await clock.do_everything()
            await asyncio.sleep(0.02)
    assert again[0].attempt == 2


async def test_ends_are_due_although_the_clock_is_set_back(bench: Bench, step: Step) -> None:
    await bench.become(viewer("S1"))
    rest = Rest(Instant(time.time_ns() // 1_000 + SECOND))
    await bench.perform(rest, "S1")
    step(-600)
    clock = Clock(bench.store, duties(bench.store.server))
    async with asyncio.timeout(20):
        while (await bench.subscription("S1")).aggregate.desired.state is not State.EFFECTIVE:
            await clock.do_everything()
            await asyncio.sleep(0.05)


async def test_a_jump_forwards_ends_what_is_due_and_no_lease(bench: Bench, step: Step) -> None:
    lease = await leased(bench, seconds=60)
    await bench.become(viewer("S2"))
    await bench.perform(Rest(Instant(time.time_ns() // 1_000 + 300 * SECOND)), "S2")
    step(600)
    await bench.become(viewer("S3"))
    await Clock(bench.store, duties(bench.store.server)).do_everything()
    assert (await bench.subscription("S2")).aggregate.desired.state is State.EFFECTIVE
    assert (await bench.answer(lease)).code is ResponseCode.APPLIED


async def test_a_jump_forwards_ends_what_is_due_although_no_call_changes_anything(
    bench: Bench, step: Step
) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(Rest(Instant(time.time_ns() // 1_000 + 300 * SECOND)), "S1")
    step(600)
    clock = Clock(bench.store, duties(bench.store.server))
    async with asyncio.timeout(SHORT.patience):
        while (await bench.subscription("S1")).aggregate.desired.state is not State.EFFECTIVE:
            await clock.do_everything()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("seconds", [-120, 120])
async def test_a_server_that_starts_after_the_clock_was_set_takes_nobody_for_dead(
    postgres_url: str, step: Step, seconds: int
) -> None:
    step(0)
    living = Bench(open_store(postgres_url, waits=SHORT), HandClock())
    await living.add_provider(SATELLITE)
    await living.become(viewer("S1"))
    (lease,) = await living.claim("SAT", lease=30)
    step(seconds)
    fresh = Bench(open_store(postgres_url, waits=SHORT), HandClock())
    others = fresh.store.sign_of_life.others if fresh.store.sign_of_life else None
    assert others is not None
    began = time.monotonic()
    while time.monotonic() - began < 1.5 * SHORT.patience:
        assert others.gone(at=time.monotonic()) == {}
        await fresh.pass_time(0)
        await asyncio.sleep(0.05)
    assert await fresh.claim("SAT") == ()
    assert (await fresh.answer(lease)).code is ResponseCode.APPLIED
    await fresh.store.close()
    await living.store.close()


async def test_a_pulled_lease_of_a_killed_server_does_not_end_early_after_a_jump_forwards(
    bench: Bench, step: Step
) -> None:
    await bench.become(viewer("S1"))
    lease_duration = 60 * SECOND
    demand = Demand(stream="", adapter="polling", credit=lambda _: 1, lease_duration=lease_duration)
    ((pulled,),) = await bench.claims("SAT", demand)
    step(600)
    await bench.store.do(end_of_other_servers("the next one"))
    await Clock(bench.store, duties("the next one")).do_everything()

    assert (await bench.answer(pulled)).code is ResponseCode.APPLIED


async def test_the_times_of_the_audit_trail_follow_the_clock(bench: Bench, step: Step) -> None:
    auditing = Auditing(bench.store, lambda _: None)
    step(3_600)
    await bench.become(viewer("S1"))
    (subscription,) = await bench.store.read(
        lambda queries: queries.subscriptions(SubscriptionFilter(), after="", limit=1)
    )

    assert abs(auditing.now() - subscription.create_time) < 60 * SECOND
