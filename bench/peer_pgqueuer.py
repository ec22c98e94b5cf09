"""Runs pgqueuer under load: `peer_pgqueuer.py install|produce|work URL`, with the Python
of `.venv-bench`.

This program uses the fastest driver of pgqueuer, and batches as pgqueuer recommends. All tables are
durable.
"""

from __future__ import annotations

import asyncio
import sys

import asyncpg  # type: ignore[import-not-found]  # only in the peers' environment
import uvloop
from pgqueuer.qm import QueueManager  # type: ignore[import-not-found]
from pgqueuer.queries import Queries  # type: ignore[import-not-found]

from .peers import BATCH, Done, keep_backlog

JOB = "no_op"
BACKLOG = 2_000
"""With 2,000 the median of three rounds was faster than with 500, although the ranges of the
results overlap.
"""


async def install(pool: asyncpg.Pool) -> None:
    await Queries.from_asyncpg_pool(pool).install()


async def produce(pool: asyncpg.Pool) -> None:
    queries = Queries.from_asyncpg_pool(pool)
    payloads = [str(n).encode() for n in range(BATCH)]

    async def enqueue() -> None:
        await queries.enqueue([JOB] * BATCH, payloads, [0] * BATCH)

    async def waiting() -> int:
        count: int = await pool.fetchval("SELECT count(*) FROM pgqueuer WHERE status = 'queued'")
        return count

    await keep_backlog(BACKLOG, enqueue=enqueue, waiting=waiting)


async def work(pool: asyncpg.Pool) -> None:
    queues, done = QueueManager(Queries.from_asyncpg_pool(pool)), Done()

    async def no_op(_job: object) -> None:
        done.count += 1

    queues.entrypoint(JOB)(no_op)
    await asyncio.gather(queues.run(batch_size=BATCH), done.tell())


async def main(role: str, url: str) -> None:
    async with asyncpg.create_pool(url, min_size=2, max_size=4) as pool:
        await {"install": install, "produce": produce, "work": work}[role](pool)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
