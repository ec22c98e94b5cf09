"""Defines the figures, which are the measurements of the benchmark, for example P1. A function
measures one round of a figure, and returns numbers by name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from .archives import archive
from .crm import FEW, MANY
from .databases import POSTGRESQL, SQLITE, sqlite_path
from .due import ends, scheduled
from .large import large_state, start
from .loads import Round, Run, cycles, latency
from .locked_row import locked_row
from .long_transaction import long_transaction
from .mixes import mixes
from .peers_beside import naive_beside, peers_beside
from .processes import line_of, program, server
from .relays import relays_beside
from .resets import reset_run
from .streams import idle_streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`aims`: the aim of each number that has an aim, for example "≥ 0.55". `once` is True if a
    figure takes too long for several rounds.
    """

    title: str
    measure: Callable[[Run], Round]
    aims: Mapping[str, str]
    once: bool = False
    quick: bool = True


def single_actions(run: Run) -> Round:
    """Measures durable actions and no-op calls of one server, and the ratios of their rates and of
    their processor times.
    """
    cpu, calls = defaultdict[str, float](float), Counter[str]()
    with (
        run.databases.fresh(SQLITE) as database,
        server(database) as serving,
        program("crm", "single", serving.address, 0, run.seconds / 6, 1) as load,
    ):
        began = serving.cpu()
        while "kind" in (line := line_of(load)):
            ended = serving.cpu()
            cpu[line["kind"]] += ended - began
            calls[line["kind"]] += line["calls"]
            began = ended
    each = {kind: cpu[kind] / calls[kind] * 1_000_000 for kind in calls}
    return {
        "no-op calls/s": line["echo"],
        "durable actions/s": line["perform"],
        "ratio": line["perform"] / line["echo"],
        "µs of the server a no-op call": each["echo"],
        "µs of the server an action": each["perform"],
        "ratio of µs": each["perform"] / each["echo"],
    }


def full_cycles(run: Run) -> Round:
    """Measures full cycles (action, hand-over, acceptance, settlement) with three processes. Each
    step is durable. The floor program (`bench/floor.py`) does the same work in plain Python without
    a server, to measure the least processor time that a cycle needs.
    """
    with run.databases.fresh(SQLITE) as database, server(database) as serving:
        measured = cycles(serving, seconds=run.seconds)
    with (
        run.databases.fresh(SQLITE) as database,
        program("floor", sqlite_path(database), run.seconds / 2) as running,
    ):
        floor = line_of(running)["microseconds"]
    return {
        "cycles/s": measured.done,
        "actions offered/s": measured.offered,
        **measured.figures(),
        "µs of the floor program a cycle": floor,
        "ratio of µs to the floor program": measured.cpu["server"] / floor,
    }


def crm_in_a_hurry(run: Run) -> Round:
    """Measures full cycles with many batches of the CRM in flight, and their ratio to cycles with
    few batches.
    """
    measured = []
    for batches in (FEW, MANY):
        with run.databases.fresh(SQLITE) as database, server(database) as serving:
            measured.append(cycles(serving, seconds=run.seconds, batches=batches))
    few, many = measured
    return {
        "cycles/s, 4 batches": few.done,
        "cycles/s, 32 batches": many.done,
        "actions offered/s, 32 batches": many.offered,
        "ratio, 32 to 4 batches": many.done / few.done,
        "ratio, done to offered": many.done / many.offered,
    }


def real_time(run: Run) -> Round:
    with run.databases.fresh(SQLITE) as database, server(database) as serving:
        return latency(serving, seconds=run.seconds)


FIGURES: Mapping[str, Figure] = {
    "P1": Figure(
        title="single actions, 64 in flight",
        measure=single_actions,
        aims={"ratio": "≥ 0.55", "ratio of µs": "≤ 1.7"},
    ),
    "P2": Figure(
        title="full cycles, batches of 100, 20,000 subscriptions",
        measure=full_cycles,
        aims={"cycles/s": "≥ 8000", "µs of the server a cycle": "≤ 125"},
    ),
    "P2b": Figure(
        title="full cycles, 32 batches of the CRM in flight beside 4",
        measure=crm_in_a_hurry,
        aims={"ratio, 32 to 4 batches": "≥ 0.9", "ratio, done to offered": "≥ 0.8"},
    ),
    "P2m": Figure(
        title="other changes than P2, each in batches of 100, SQLite",
        measure=mixes,
        aims={},
        quick=False,
    ),
    "P3": Figure(
        title="full cycles on PostgreSQL, beside no-op jobs of two queues",
        measure=peers_beside,
        aims={"µs of server and database a cycle": "≤ 190"},
    ),
    "P3r": Figure(
        title="full cycles with the answer read by the CRM, beside relays over brokers, SQLite",
        measure=relays_beside,
        aims={
            "ratio of cycles to RabbitMQ": "≥ 3",
            "ratio of cycles to RabbitMQ, one by one": "≥ 3",
            "ratio of cycles to NATS": "≥ 1",
            "ratio of cycles to NATS, one by one": "≥ 1",
        },
        quick=False,
    ),
    "P3n": Figure(
        title="full cycles beside a naive service, SQLite",
        measure=partial(naive_beside, kind=SQLITE),
        aims={"ratio of µs": "≥ 1.9"},
    ),
    "P3n-PG": Figure(
        title="full cycles beside a naive service, PostgreSQL",
        measure=partial(naive_beside, kind=POSTGRESQL),
        aims={"ratio of µs": "≥ 4"},
    ),
    "P4": Figure(
        title="from the CRM's call to the adapter's stream, 150 actions/s",
        measure=real_time,
        aims={"p50 ms": "≤ 5", "p99 ms": "≤ 25"},
    ),
    "P5": Figure(
        title="full cycles with a large state, SQLite",
        measure=partial(large_state, kind=SQLITE),
        aims={"ratio": "≥ 0.9"},
    ),
    "P5-PG": Figure(
        title="full cycles with a large state, PostgreSQL",
        measure=partial(large_state, kind=POSTGRESQL),
        aims={"ratio": "≥ 0.9"},
        quick=False,
    ),
    "P6": Figure(
        title="a reset run of a tenth of a large state, SQLite",
        measure=partial(reset_run, kind=SQLITE),
        aims={"requests/s": "≥ 10000", "ratio of p99": "≤ 2"},
    ),
    "P6-PG": Figure(
        title="a reset run of a tenth of a large state, PostgreSQL",
        measure=partial(reset_run, kind=POSTGRESQL),
        aims={"requests/s": "≥ 10000", "ratio of p99": "≤ 2"},
        quick=False,
    ),
    "P7": Figure(
        title="1,000 idle streams, and 1,000 idle watchers, beside 150 actions/s",
        measure=idle_streams,
        aims={"KiB a stream": "≤ 60", "ratio of p99": "≤ 2"},
    ),
    "P8": Figure(
        title="start with P5's state, and the client's import",
        measure=start,
        aims={"s to SERVING": "≤ 2", "s to import generic_provider": "≤ 0.3"},
    ),
    "D1": Figure(
        title="10,000 scheduled actions due in a minute beside 150 actions/s, SQLite",
        measure=scheduled,
        aims={"most ms late": "≤ 1000", "p99 ms": "≤ 25"},
    ),
    "D2": Figure(
        title="automatic ends due in one second beside 150 actions/s, SQLite",
        measure=ends,
        aims={"ratio of p99": "≤ 2"},
        once=True,
    ),
    "A1": Figure(
        title="archive of 1,000,000 requests beside 150 actions/s, SQLite",
        measure=partial(archive, kind=SQLITE),
        aims={},
        once=True,
        quick=False,
    ),
    "A1-PG": Figure(
        title="archive of 1,000,000 requests beside 150 actions/s, PostgreSQL",
        measure=partial(archive, kind=POSTGRESQL),
        aims={},
        once=True,
        quick=False,
    ),
    "L1": Figure(
        title="full cycles on PostgreSQL beside a transaction that stays open",
        measure=long_transaction,
        aims={},
        once=True,
        quick=False,
    ),
    "L2": Figure(
        title="150 actions/s on PostgreSQL while a session locks a row that other actions need",
        measure=locked_row,
        aims={"ratio of p99": "≤ 3", "most s to the refusal": "≤ 6"},
        once=True,
    ),
}
