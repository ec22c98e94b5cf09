"""Tests that the streams and the pulls of a provider share the queries that count its pending
requests.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from generic_provider_server.services.backlogs import Backlogs
from generic_provider_server.store.read.queries import Queries
from support.bench import Bench
from support.examples import viewer
from support.slow import FOREVER


class Slow:
    """The queries that count pending requests. Each query waits until `ends` is set."""

    def __init__(self) -> None:
        self.begun = 0
        self.ends = threading.Event()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow, count = Slow(), Queries.backlog_size

    def counted(queries: Queries, provider: str) -> tuple[int, int]:
        slow.begun += 1
        slow.ends.wait(20)
        return count(queries, provider)

    monkeypatch.setattr(Queries, "backlog_size", counted)
    yield slow
    slow.ends.set()


async def test_streams_that_begin_together_count_once(bench: Bench, slow: Slow) -> None:
    await bench.become(viewer("S1"))
    backlogs = Backlogs(bench.store)
    counts = [asyncio.create_task(backlogs.count_in_time("SAT")) for _ in range(20)]
    await asyncio.sleep(0)
    slow.ends.set()
    told = await asyncio.gather(*counts)

    assert {pending for pending, _ in told} == {1}
    assert slow.begun == 1


async def test_a_count_that_is_too_slow_for_a_heartbeat_is_told_by_the_next(
    bench: Bench, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.services.backlogs.COUNT_SECONDS", 0)
    monkeypatch.setattr("generic_provider_server.store.memory.full_scan.SHARE", 0)
    monkeypatch.setattr("generic_provider_server.services.backlogs.ANSWER_SECONDS", 0.01)
    backlogs = Backlogs(bench.store)
    slow.ends.set()
    await backlogs.count("SAT")
    slow.ends.clear()
    await bench.become(viewer("S1"))
    told = [await backlogs.count_in_time("SAT") for _ in range(3)]
    slow.ends.set()
    async with asyncio.timeout(20):
        pending, _ = await backlogs.count("SAT")

    assert {each for each, _ in told} == {0}
    assert (slow.begun, pending) == (2, 1)


async def test_a_count_that_nobody_waits_for_does_not_keep_the_store_open(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def count_for_ever(queries: Queries, _: str) -> tuple[int, int]:
        begun.set()
        cast(Any, queries)._database.execute_sql(FOREVER).fetchall()  # noqa: SLF001 - a slow query
        return 0, 0

    monkeypatch.setattr(Queries, "backlog_size", count_for_ever)
    counting = asyncio.create_task(Backlogs(bench.store).count("SAT"))
    await asyncio.to_thread(begun.wait)
    counting.cancel()
    await asyncio.gather(counting, return_exceptions=True)

    async with asyncio.timeout(30):
        await bench.store.close()
