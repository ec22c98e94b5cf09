"""Tests that no thread of a store is left when the store is closed or could not be opened."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from generic_provider_server.store.database.engine import StoreInUse, StoreLost
from generic_provider_server.store.opening import open_store
from generic_provider_server.store.read.queries import Queries
from generic_provider_server.store.waits import Waits
from support.bench import Bench, HandClock
from support.examples import SATELLITE, viewer

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


def threads() -> list[str]:
    """Returns the names of the running threads of stores."""
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("store-"))


async def _works(bench: Bench) -> None:
    await bench.add_provider(SATELLITE)
    await bench.become(viewer("S1"))
    await bench.subscription("S1")


def test_a_closing_whose_task_is_cancelled_goes_on(url: str) -> None:
    """An event loop that ends cancels its tasks. The threads end nevertheless, before the event
    loop is closed.
    """

    async def work() -> None:
        bench = Bench(open_store(url, waits=Waits(1.0)), HandClock())
        await _works(bench)
        closing = asyncio.create_task(bench.store.close())
        await asyncio.sleep(0)
        closing.cancel()

    asyncio.run(work())

    assert threads() == []


async def test_each_call_of_close_returns_when_the_store_is_closed(url: str) -> None:
    bench = Bench(open_store(url, waits=Waits(1.0)), HandClock())
    await _works(bench)
    first = asyncio.create_task(bench.store.close())
    await asyncio.sleep(0)

    await bench.store.close()

    assert threads() == []
    await first
    await bench.store.close()


async def test_the_file_stays_locked_until_no_query_runs(tmp_path: Path) -> None:
    """Without the lock, the next server could remove the WAL from which the query reads."""
    url = f"sqlite:///{tmp_path}/store.db"
    store = open_store(url)
    begun, may_end = threading.Event(), threading.Event()

    def reading(queries: Queries) -> None:
        queries.subscription("S1")
        begun.set()
        may_end.wait(10)

    query = asyncio.create_task(store.read(reading))
    await asyncio.to_thread(begun.wait)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0.2)

    with pytest.raises(StoreInUse):
        open_store(url)

    may_end.set()
    await closing
    await query
    await open_store(url).close()


@pytest.mark.postgresql
async def test_no_thread_is_left_if_the_store_cannot_be_opened(postgres_url: str) -> None:
    with pytest.raises(StoreLost):
        open_store(postgres_url, notifications=NOWHERE, waits=Waits(1.0))

    assert threads() == []
