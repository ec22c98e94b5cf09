"""Tests on a real server that no failed attempt is counted when an adapter stops normally."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from generic_provider import Adapter, AsyncClient, PlatformDown, ProvisioningRequest, RequestState
from support.bundled_adapter import Platform, make, until
from support.fresh import dice
from support.processes import Server as ServerProcess
from support.provisioning_server import Server, serving
from support.shop import Shop
from support.soak import ROUNDS, forms

ORDERS = 60


@asynccontextmanager
async def shop(folder: Path) -> AsyncIterator[Shop]:
    """Yields a shop with a server process of its own, because messages from another process take
    some time to arrive.
    """
    with ServerProcess(folder) as server:
        async with AsyncClient(server.address) as crm:
            found = Shop(server.address, crm)
            await found.open(max_delivery_attempts=1)
            yield found


@forms("rounds", suite=3, soak=50 * ROUNDS)
async def test_a_stop_costs_no_request_an_attempt(tmp_path: Path, rounds: int) -> None:
    chance = dice("stops")
    async with shop(tmp_path) as crm:
        for n in range(rounds):
            await crm.subscribe(f"{n}-{order}" for order in range(ORDERS))
            adapter = worker(crm, chance)
            async with serving(adapter):
                done = chance.randrange(ORDERS)
                await until(lambda: adapter.stats.accepted >= done)  # noqa: B023 - awaited here

        async with serving(worker(crm, chance)):
            await all_done(crm)


@forms("rounds", suite=3, soak=50 * ROUNDS)
async def test_a_platform_that_is_down_costs_no_request_an_attempt(
    tmp_path: Path, rounds: int
) -> None:
    chance, tries = dice("down"), count()
    async with shop(tmp_path) as crm:
        adapter = Adapter(crm.address, provider="P", name="leaving", max_in_flight=20)

        @adapter.otherwise
        async def do(_: ProvisioningRequest) -> None:
            await asyncio.sleep(chance.choice((0, 0.001, 0.005)))
            if next(tries) % 30 == 7:
                raise PlatformDown(timedelta(milliseconds=20))

        async with serving(adapter):
            for n in range(rounds):
                await crm.subscribe(f"{n}-{order}" for order in range(ORDERS))
            await all_done(crm)


async def test_a_server_is_told_to_stop_by_a_lease_that_has_ended(server: Server) -> None:
    adapter, platform, reasons = make(server), Platform(), list[str]()
    adapter.otherwise(platform.do)
    adapter.on_disconnect(reasons.append)
    async with serving(adapter):
        (await server.stream()).give("S1", "T1", "R1")
        await platform.begun.get()
        adapter.stop()
        platform.finish.set()
        assert await server.answers(1) == [("R1", "T1")]
        told = await server.released.get()
        assert (list(told.lease_tokens), told.stop) == (["T1"], True)
    assert reasons == ["ended by the server"]


def worker(crm: Shop, chance: random.Random) -> Adapter:
    adapter = Adapter(crm.address, provider="P", name="leaving", max_in_flight=20)
    seconds = chance.choice((0, 0.001, 0.005, 0.02))

    @adapter.otherwise
    async def do(_: ProvisioningRequest) -> None:
        await asyncio.sleep(seconds)

    return adapter


async def all_done(crm: Shop) -> None:
    found = await crm.tried()
    assert {each.state for each in found.values()} == {RequestState.COMPLETED}


async def test_a_platform_that_is_down_gives_back_leases_of_a_silent_stream(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, begun = make(server), set[str]()
    silent, given_back = asyncio.Event(), asyncio.Event()

    @adapter.otherwise
    async def do(request: ProvisioningRequest) -> None:
        begun.add(request.number)
        await silent.wait()
        if request.number == "R1":
            raise PlatformDown(60)
        await given_back.wait()

    async with serving(adapter):
        stream = await server.stream()
        for n in (1, 2, 3):
            stream.give(f"S{n}", f"T{n}", f"R{n}")
        await until(lambda: begun == {"R1", "R2", "R3"})
        monkeypatch.setattr("generic_provider._streams.Stream.silent", lambda _: True)
        silent.set()
        released = await server.released.get()
        given_back.set()
    assert list(released.lease_tokens) == ["T1", "T2", "T3"]
