"""A long read delays no other call: the read is split, and it ends when its caller does not wait
any more.
"""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any, cast

import pytest

from generic_provider_server.store.read.filters import RequestFilter
from generic_provider_server.store.read.queries import Queries
from generic_provider_server.store.readers import READERS
from support.bench import Bench
from support.examples import viewer
from support.slow import FOREVER


async def test_reads_that_nobody_waits_for_leave_their_threads_to_others(bench: Bench) -> None:
    begun = threading.Semaphore(0)

    def read_for_ever(queries: Queries) -> None:
        begun.release()
        cast(Any, queries)._database.execute_sql(FOREVER).fetchall()  # noqa: SLF001 - a slow query

    reads = [asyncio.create_task(bench.store.read(read_for_ever)) for _ in range(10 * READERS)]
    for _ in range(READERS):
        await asyncio.to_thread(begun.acquire)
    for read in reads:
        read.cancel()
    async with asyncio.timeout(30):
        for _ in range(2 * READERS):
            assert await bench.store.read(lambda queries: queries.request(1)) is None

    await asyncio.gather(*reads, return_exceptions=True)


async def test_a_read_that_was_given_up_before_its_statement_began_ends_too(bench: Bench) -> None:
    begun, given_up = threading.Event(), threading.Event()

    def read_later(queries: Queries) -> None:
        begun.set()
        given_up.wait()
        cast(Any, queries)._database.execute_sql(FOREVER).fetchall()  # noqa: SLF001 - a slow query

    read = asyncio.create_task(bench.store.read(read_later))
    await asyncio.to_thread(begun.wait)
    read.cancel()
    await asyncio.gather(read, return_exceptions=True)
    await asyncio.sleep(0.2)  # the first attempt to end the read comes too early
    given_up.set()

    async with asyncio.timeout(30):
        await bench.store.close()


async def test_a_read_that_goes_on_is_not_ended_with_another(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    for _ in range(20):
        given_up = asyncio.create_task(bench.store.read(lambda queries: queries.request(1)))
        kept = asyncio.create_task(bench.store.read(lambda queries: queries.request(1)))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await kept is not None


@pytest.mark.parametrize("oldest_first", [True, False])
async def test_a_list_that_no_index_finds_is_read_in_parts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, oldest_first: bool
) -> None:
    monkeypatch.setattr("generic_provider_server.store.read.base.MOST_EXAMINED", 4)
    for n in range(10):
        await bench.become(viewer(f"S{n}"))
    wanted = RequestFilter(item_serial="card of S3", oldest_first=oldest_first)
    parts, end = list[list[str]](), 0
    while True:
        part, end = await bench.store.read(partial(_part, wanted, end))
        parts.append(part)
        if not end:
            break

    assert [number for part in parts for number in part] == ["S3"]
    assert len(parts) == 3


def _part(wanted: RequestFilter, after: int, queries: Queries) -> tuple[list[str], int]:
    end = queries.end_of_requests(wanted, after=after)
    found = queries.requests(wanted, after=after, limit=100, until=end)
    return [each.subscription for each in found], end or 0
