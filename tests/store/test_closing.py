"""Tests that no thread of a store is left when the store is closed or could not be opened."""

from __future__ import annotations

import asyncio
import threading

import pytest

from generic_provider_server.store.database.engine import StoreLost
from generic_provider_server.store.opening import open_store
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


@pytest.mark.postgresql
async def test_no_thread_is_left_if_the_store_cannot_be_opened(postgres_url: str) -> None:
    with pytest.raises(StoreLost):
        open_store(postgres_url, notifications=NOWHERE, waits=Waits(1.0))

    assert threads() == []
