"""Measures the service, two job queues and a naive service one after the other, to compare them."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

from .databases import POSTGRESQL
from .loads import Cycles, Round, Run, cycles, rate
from .peers_environment import python_of_peers
from .processes import program, server, serving_of

CHANNELS = 8
"""The number of connections to a server with several workers. The kernel distributes the
connections among the workers.
"""


def peers_beside(run: Run) -> Round:
    one, two = _ours(run, workers=1), _ours(run, workers=2)
    pgqueuer, procrastinate = _jobs(run, "pgqueuer"), _jobs(run, "procrastinate")
    return {
        "cycles/s": one.done,
        **one.figures(),
        "µs of server and database a cycle": one.cpu["server"] + one.cpu["database"],
        "cycles/s, 2 workers": two.done,
        "pgqueuer jobs/s": pgqueuer,
        "procrastinate jobs/s": procrastinate,
        "ratio to pgqueuer": one.done / pgqueuer,
        "ratio to pgqueuer, 2 workers": two.done / pgqueuer,
        "ratio to procrastinate": one.done / procrastinate,
    }


def _ours(run: Run, *, workers: int) -> Cycles:
    with (
        run.databases.fresh(POSTGRESQL) as database,
        server(database, workers=workers) as serving,
    ):
        channels = 1 if workers == 1 else CHANNELS
        postmaster = run.databases.postgres.process
        pid = postmaster.pid if postmaster else 0
        return cycles(serving, seconds=run.seconds, channels=channels, database=pid)


def naive_beside(run: Run, *, kind: str) -> Round:
    """Measures the cycles of our service, and of a naive service with the same kind of database,
    the same CRM and the same adapter.
    """
    ours, naive = _cycles(run, kind, naive=False), _cycles(run, kind, naive=True)
    cpu, theirs = sum(ours.cpu.values()), sum(naive.cpu.values())
    return {
        "cycles/s": ours.done,
        "naive cycles/s": naive.done,
        "naive actions offered/s": naive.offered,
        "µs of all processes a cycle": cpu,
        "µs of all processes a naive cycle": theirs,
        "ratio of µs": theirs / cpu,
    }


def _cycles(run: Run, kind: str, *, naive: bool) -> Cycles:
    postmaster = run.databases.postgres.process if kind == POSTGRESQL else None
    with ExitStack() as stack:
        if naive:
            command = [sys.executable, "-m", "bench.naive", run.databases.empty(kind)]
            serving = stack.enter_context(serving_of(command))
        else:
            serving = stack.enter_context(server(stack.enter_context(run.databases.fresh(kind))))
        pid = postmaster.pid if postmaster else 0
        return cycles(serving, seconds=run.seconds, database=pid)


def _jobs(run: Run, peer: str) -> float:
    """Returns how many no-op jobs a worker does in a second while another process enqueues them."""
    database = run.databases.postgres.create_database()
    name, python = f"peer_{peer}", python_of_peers()
    with program(name, "install", database, python=python) as installing:
        installing.wait()
    start = time.monotonic()
    with (
        program(name, "produce", database, python=python),
        program(name, "work", database, python=python) as worker,
    ):
        done = rate(worker, start=start, seconds=run.seconds).per_second
    run.databases.postgres.drop_database(database)
    return done
