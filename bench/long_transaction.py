"""Measures cycles for some minutes while one transaction stays open: `python -m
bench.long_transaction SECONDS`.

While the transaction is open, no dead row of any table can be removed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg

from .databases import POSTGRESQL, Databases, Size
from .loads import Round, Run, cycles, latency
from .processes import Serving, server, two_cores
from .setting import SUBSCRIPTIONS

SECONDS = 600
LOAD, PACED = 48, 8
"""In each minute, the load of figure P2 runs for LOAD seconds, then the load of figure P4 for PACED
seconds.
"""
TABLES = ("lane", "subscription", "request")
DEAD = "SELECT relname, n_dead_tup FROM pg_stat_user_tables WHERE relname = ANY(%s)"


def long_transaction(run: Run, *, seconds: int = SECONDS) -> Round:
    minutes = max(1, seconds // 60)
    parts = count(0, SUBSCRIPTIONS)
    size = Size(subscriptions=2 * minutes * SUBSCRIPTIONS)
    database = run.databases.filled(POSTGRESQL, size)
    with (
        server(database) as serving,
        psycopg.connect(database, autocommit=True) as statistics,
        _snapshot(database),
    ):
        rounds = [_minute(serving, parts, statistics=statistics) for _ in range(minutes)]
    return {
        f"{what}, minute {n}": value for n, each in _ends(rounds) for what, value in each.items()
    }


def _ends(rounds: list[Round]) -> list[tuple[int, Round]]:
    return [(1, rounds[0]), (len(rounds), rounds[-1])]


def _minute(
    serving: Serving, parts: Iterator[int], *, statistics: psycopg.Connection[tuple[str, int]]
) -> Round:
    loaded = cycles(serving, seconds=LOAD, first=next(parts))
    paced = latency(serving, seconds=PACED, first=next(parts))
    dead = dict(statistics.execute(DEAD, (list(TABLES),)).fetchall())
    measured: dict[str, float] = {"cycles/s": loaded.done, **paced}
    measured |= {f"dead rows of {table}": dead.get(table, 0) for table in TABLES}
    print({what: round(value, 1) for what, value in measured.items()}, file=sys.stderr, flush=True)
    return measured


@contextmanager
def _snapshot(database: str) -> Iterator[None]:
    """Opens a transaction that reads once, and then stays open while the `with` block runs."""
    with psycopg.connect(database) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM counter")
        yield
        connection.rollback()


if __name__ == "__main__":
    two_cores()
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with Databases() as databases:
        run = Run(seconds=seconds, quick=False, databases=databases)
        print(long_transaction(run, seconds=seconds))
