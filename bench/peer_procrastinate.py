"""Runs procrastinate under load: `peer_procrastinate.py install|produce|work URL`, with the Python
of `.venv-bench`.

Finished jobs stay in the table, as finished requests do in our service. That is also the default of
procrastinate.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from functools import partial

import uvloop
from procrastinate import App, PsycopgConnector  # type: ignore[import-not-found]

from .peers import BATCH, Done, keep_backlog

JOB = "no_op"
BACKLOG = 500
CONCURRENCY = 30
"""With 30 the median of three rounds was faster than with 10 and with 100, although the ranges of
the results overlap.
"""


async def install(app: App) -> None:
    await app.schema_manager.apply_schema_async()


async def produce(app: App) -> None:
    job = app.configure_task(JOB)
    todo = "SELECT count(*) AS count FROM procrastinate_jobs WHERE status = 'todo'"

    async def waiting() -> int:
        count: int = (await app.connector.execute_query_one_async(todo))["count"]
        return count

    enqueue = partial(job.batch_defer_async, *[{"n": n} for n in range(BATCH)])
    await keep_backlog(BACKLOG, enqueue=enqueue, waiting=waiting)


async def work(app: App) -> None:
    done = Done()

    async def no_op(*, n: int) -> None:  # noqa: ARG001
        done.count += 1

    app.task(name=JOB)(no_op)
    await asyncio.gather(app.run_worker_async(concurrency=CONCURRENCY), done.tell())


async def main(role: str, url: str) -> None:
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    app = App(connector=PsycopgConnector(conninfo=url, min_size=2, max_size=8))
    async with app.open_async():
        await {"install": install, "produce": produce, "work": work}[role](app)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
