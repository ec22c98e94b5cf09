"""Tests when and how server processes end the leases of a process that is silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psycopg
import pytest

from generic_provider_server.commands.end_leases import end_of_silent
from generic_provider_server.commands.live_leases import Withdraw
from generic_provider_server.commands.servers import Forget
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.subscription.request_records import WaitingFor
from generic_provider_server.domain.values import SECOND, SyncState
from generic_provider_server.domain.verdicts import ResponseCode
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.services.presence import Presence
from generic_provider_server.store.opening import open_store
from generic_provider_server.store.other_processes import Others
from generic_provider_server.store.sign_of_life import SignOfLife
from generic_provider_server.store.waits import Waits
from generic_provider_server.store.write import work_queries
from support.bench import Bench, HandClock
from support.examples import SATELLITE, WEB, viewer

SHORT = Waits(patience=4.0)


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@asynccontextmanager
async def two_processes(url: str, *, waits: Waits = SHORT) -> AsyncIterator[tuple[Bench, Bench]]:
    clock = HandClock()
    one, two = (Bench(open_store(url, clock=clock, waits=waits), clock) for _ in range(2))
    await one.add_provider(SATELLITE)
    await one.add_provider(WEB)
    try:
        yield one, two
    finally:
        await one.store.close()
        await two.store.close()


def life_of(bench: Bench) -> SignOfLife:
    assert bench.store.sign_of_life is not None
    return bench.store.sign_of_life


def fall_silent(bench: Bench) -> None:
    """From now on the process writes no sign of life. The last sign of life stays until the store
    is closed.
    """
    life_of(bench)._try = lambda: True  # type: ignore[method-assign]  # noqa: SLF001


async def listed(bench: Bench) -> set[str]:
    return set(dict(await bench.store.read(lambda queries: queries.servers())))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def fall_silent_and_be_forgotten(bench: Bench, by: Bench) -> None:
    others, server = life_of(by).others, bench.store.server
    fall_silent(bench)
    await until(lambda: server in others.gone(at=time.monotonic()))
    await by.store.do(Forget(server=server, sign=others.signs[server]))
    await until(lambda: server not in others.signs)


async def test_leases_of_a_silent_server_end_only_when_they_must_have_run_out(url: str) -> None:
    async with two_processes(url) as (one, two):
        presence = Presence(one.store, list)
        await two.become(viewer("S1"))
        await two.become(viewer("S2"))
        (short,) = await two.claim("SAT", credit=1, lease=0.5)
        (long,) = await two.claim("SAT", credit=1, lease=3_600)
        fall_silent(two)
        began = time.monotonic()
        while not (again := await one.claim("SAT")):
            await presence.attend()
            await asyncio.sleep(0.01)
        silent = time.monotonic() - began

        assert [each.lane.subscription for each in again] == [short.lane.subscription]
        assert silent > 0.5
        assert (await one.answer(short)).code is ResponseCode.STALE
        assert (await one.answer(long)).code is ResponseCode.APPLIED


async def test_all_leases_of_a_silent_server_end_at_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_queries, "MOST_FOUND", 1)
    async with two_processes(url) as (one, two):
        for number in ("S1", "S2", "S3"):
            await two.become(viewer(number))
        assert len(await two.claim("SAT", lease=0.5)) == 3
        await fall_silent_and_be_forgotten(two, one)
        await Presence(one.store, list).attend()

        assert len(await one.claim("SAT")) == 3


async def test_a_locked_subscription_of_a_silent_server_does_not_keep_the_presence_waiting(
    url: str,
) -> None:
    async with two_processes(url) as (one, two):
        for number in ("S1", "S2"):
            await two.become(viewer(number))
        assert len(await two.claim("SAT", lease=0.5)) == 2
        await fall_silent_and_be_forgotten(two, one)
        presence = Presence(one.store, list)
        with psycopg.connect(url) as stranger:
            stranger.execute("SELECT 1 FROM subscription WHERE number = 'S1' FOR UPDATE")
            await asyncio.wait_for(presence.attend(), 10)
            (free,) = await one.claim("SAT")
        await presence.attend()
        (locked,) = await one.claim("SAT")

    assert [free.lane.subscription, locked.lane.subscription] == ["S2", "S1"]


async def test_a_server_that_shows_life_again_keeps_the_leases_that_it_gives_then(
    url: str,
) -> None:
    async with two_processes(url) as (one, two):
        await two.become(viewer("S1"))
        others, server = life_of(one).others, two.store.server
        await until(lambda: server in others.signs)
        sign = others.signs[server]
        late = end_of_silent(server, sign=sign, longest=3_600 * SECOND)
        await until(lambda: others.signs[server] > sign)
        (lease,) = await two.claim("SAT", lease=30)
        await one.store.do(late)
        assert (await one.answer(lease)).code is ResponseCode.APPLIED


async def test_a_lease_that_its_adapter_releases_elsewhere_goes_on_at_once(url: str) -> None:
    async with two_processes(url) as (one, two):
        await two.become(viewer("S1"))
        (lease,) = await two.claim("SAT", lease=3_600)
        fall_silent(two)
        assert (await one.release(lease.lane.lease)).live
        (again,) = await one.claim("SAT")

    assert again.attempt == 1


async def test_a_lease_belongs_to_the_process_that_extended_it(url: str) -> None:
    async with two_processes(url) as (one, two):
        await two.become(viewer("S1"))
        (lease,) = await two.claim("SAT", lease=0.1)
        assert (await one.extend(lease.lane.lease, seconds=3_600)).live
        fall_silent(two)
        others = life_of(one).others
        await until(lambda: two.store.server in others.gone(at=time.monotonic()))
        await Presence(one.store, list).attend()

        assert await one.claim("SAT") == ()
        assert (await one.answer(lease)).code is ResponseCode.APPLIED


async def test_only_its_own_process_ends_a_lease_by_its_clock(url: str) -> None:
    async with two_processes(url) as (one, two):
        await two.become(viewer("S1"))
        (lease,) = await two.claim("SAT", lease=30)
        one.clock.advance(31)
        await one.pass_time(0)
        assert await one.claim("SAT") == ()
        await two.pass_time(0)
        async with asyncio.timeout(20):
            # the claims find the lane as soon as the notification of the other process has arrived
            while not (found := await one.claim("SAT")):
                await asyncio.sleep(0.01)

    (again,) = found
    assert again.attempt == 2
    assert lease.lane.lease != again.lane.lease


async def test_a_process_whose_sign_of_life_is_old_gives_and_extends_nothing(url: str) -> None:
    async with two_processes(url) as (one, two):
        await two.become(viewer("S1"))
        await two.become(viewer("S2"))
        (lease,) = await two.claim("SAT", credit=1)
        fall_silent(two)
        await until(lambda: not two.store.is_alive())

        assert await two.claim("SAT") == ()
        assert Delivery(two.store).still_good((lease,), two.store.steady()) == ()
        with pytest.raises(Refused) as refused:
            await two.extend(lease.lane.lease)
        assert refused.value.reason is Reason.STORE_UNAVAILABLE
        async with asyncio.timeout(20):
            while (await one.extend(lease.lane.lease)).live:
                await asyncio.sleep(0.01)
        assert len(await one.claim("SAT")) == 2


async def test_a_lease_that_was_not_sent_counts_no_attempt_and_makes_nothing_uncertain(
    url: str,
) -> None:
    async with two_processes(url) as (one, two):
        await two.become(viewer("S1"))
        (lease,) = await two.claim("SAT")
        await two.store.do(Withdraw(leases=(lease.lane.lease,)))
        request = await one.request(lease.requests[0].number)
        state = await one.sync_state("S1", "SAT")
        (again,) = await one.claim("SAT")

    assert (request.waiting_for, request.attempts) == (WaitingFor.ADAPTER, 0)
    assert request.last_adapter == ""
    assert state is SyncState.PENDING
    assert again.attempt == 1


async def test_a_silent_process_is_not_listed_until_it_shows_that_it_is_alive(url: str) -> None:
    async with two_processes(url) as (one, two):
        await Presence(two.store, list).attend()
        server, others = two.store.server, life_of(one).others
        await until(lambda: server in others.signs)
        await one.store.do(Forget(server=server, sign=others.signs[server] - 1))
        assert server in await listed(one)
        await one.store.do(Forget(server=server, sign=others.signs[server]))
        async with asyncio.timeout(20):
            while server not in await listed(one):
                await asyncio.sleep(0.01)


def test_a_process_that_stood_still_itself_takes_nobody_for_dead() -> None:
    others = Others(Waits(patience=10))
    for second in range(0, 9, 2):
        others.observe({"other": 1}, at=second)
    assert others.silent_for("other", at=9) == 8
    assert others.gone(at=50) == {}
    others.observe({"other": 1}, at=50)
    assert others.silent_for("other", at=50) == 0
    for second in range(52, 61, 2):
        others.observe({"other": 1}, at=second)
    assert others.gone(at=61) == {"other": 1}
    others.observe({"other": 2}, at=62)
    assert others.gone(at=62) == {}
    assert others.silent_for("not seen before", at=62) == 0
    others.observe({"other": 2}, at=64)
    assert others.silent_for("not seen before", at=64) == 2
