"""Tests that callers get an error in time if the database hangs without closing its connections."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, closing

import pytest

from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.store.opening import open_store
from generic_provider_server.store.readers import READERS
from generic_provider_server.store.waits import Waits
from generic_provider_server.store.write.transaction import Transaction
from support.bench import Bench, HandClock
from support.examples import ADD_NEWS, SATELLITE, viewer
from support.stalling import StallingProxy

SHORT = Waits(patience=1.0)
IN_TIME = 15.0
"""The seconds within which every call must have failed. In these tests the server waits only one
second for an answer of the database, and two seconds for a new connection, but a machine may be
slow.
"""


@pytest.fixture
async def proxy(postgres_url: str) -> AsyncIterator[StallingProxy]:
    with closing(StallingProxy(postgres_url)) as proxy:
        yield proxy


@asynccontextmanager
async def bench_on(proxy: StallingProxy) -> AsyncIterator[Bench]:
    clock = HandClock()
    bench = Bench(open_store(proxy.url, clock=clock, waits=SHORT), clock)
    await bench.add_provider(SATELLITE)
    await bench.become(viewer("S1"))
    try:
        yield bench
    finally:
        proxy.go_on()
        await bench.store.close()


async def refused_in_time(calling: Awaitable[object]) -> None:
    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        await calling
    assert refused.value.reason is Reason.STORE_UNAVAILABLE
    assert time.monotonic() - began < IN_TIME


async def until_done(*, bench: Bench) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await bench.subscription("S1")
            except Refused:
                await asyncio.sleep(0.05)
            else:
                return


async def test_reads_and_changes_end_when_the_database_stands_still(proxy: StallingProxy) -> None:
    async with bench_on(proxy) as bench:
        proxy.stall()
        calls = [
            bench.perform(ADD_NEWS, "S1", request_id="order-1"),
            bench.become(viewer("S2")),
            *[bench.subscription("S1") for _ in range(10)],
        ]
        await asyncio.gather(*[refused_in_time(call) for call in calls])
        proxy.go_on()
        await until_done(bench=bench)
        done = await bench.perform(ADD_NEWS, "S1", request_id="order-1")
        assert done.action.id


async def test_a_read_that_is_given_up_does_not_stop_the_process(proxy: StallingProxy) -> None:
    async with bench_on(proxy) as bench:
        await asyncio.gather(*[bench.subscription("S1") for _ in range(READERS)])
        proxy.stall()
        reading = asyncio.create_task(bench.subscription("S1"))
        await asyncio.sleep(0.2)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        # if the whole process stood still, the next sleep would not end before `go_on`
        releasing = threading.Timer(6 * SHORT.patience, proxy.go_on)
        releasing.start()
        await asyncio.sleep(0.5)
        still_hanging = releasing.is_alive()
        releasing.cancel()
        assert still_hanging


async def test_it_is_noticed_without_a_call(
    proxy: StallingProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    async with bench_on(proxy) as bench:
        reached = asyncio.Queue[bool]()
        bench.store.listeners.reached.append(reached.put_nowait)
        proxy.stall()
        async with asyncio.timeout(20):
            assert await reached.get() is False
        log = capsys.readouterr()  # an earlier server may have redirected the log
        assert "the database does not answer" in log.out + log.err
        assert not bench.store.is_alive()
        await refused_in_time(bench.subscription("S1"))
        proxy.go_on()
        async with asyncio.timeout(20):
            while not await reached.get():
                pass
        await until_done(bench=bench)
        assert bench.store.is_alive()


@pytest.mark.parametrize("step", ["flush", "finish"])
async def test_an_action_whose_process_stood_still_in_its_transaction_is_unavailable(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The database must end the session of this process, because its transaction holds locks. The
    database ends the session even if the process has not read the results of its writes.
    """
    clock = HandClock()
    bench = Bench(open_store(postgres_url, clock=clock, waits=SHORT), clock)
    await bench.add_provider(SATELLITE)
    go_on = getattr(Transaction, step)

    def stand_still(transaction: Transaction) -> None:
        time.sleep(1.5 * SHORT.patience)
        go_on(transaction)

    monkeypatch.setattr(Transaction, step, stand_still)
    with pytest.raises(Refused) as refused:
        await bench.become(viewer("S1"))
    monkeypatch.undo()
    assert refused.value.reason is Reason.STORE_UNAVAILABLE
    async with asyncio.timeout(IN_TIME):
        while not await _becomes(bench, "S1"):
            await asyncio.sleep(0.05)
    await bench.store.close()


async def _becomes(bench: Bench, number: str) -> bool:
    try:
        await bench.become(viewer(number))
    except Refused as refused:
        assert refused.reason is Reason.STORE_UNAVAILABLE  # noqa: PT017 - the caller repeats it
        return False
    return True
