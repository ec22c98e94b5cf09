"""Defines the loads under which several figures are measured."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import count
from statistics import quantiles
from typing import Any

from generic_provider import Client
from support.filling import PROVIDER

from .crm import FEW
from .databases import Databases
from .processes import Serving, cpu_of, line_of, program
from .setting import SUBSCRIPTIONS

Round = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    seconds: float
    quick: bool
    databases: Databases
    used: count[int] = field(default_factory=lambda: count(0, SUBSCRIPTIONS))
    """Yields, for each load on a large database, the number of the first subscription that the load
    changes, so that each load changes other subscriptions.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycles:
    """`done`: the cycles that were done in a second. `offered`: the actions that the server
    accepted from the CRM in a second. `cpu`: the microseconds of processor time for each cycle, by
    process: the server, the CRM with the adapter, and the database.
    """

    done: float
    offered: float
    cpu: Mapping[str, float]

    def figures(self) -> Round:
        return {f"µs of the {name} a cycle": value for name, value in self.cpu.items() if value}


def cycles(
    serving: Serving,
    *,
    seconds: float,
    first: int = 0,
    channels: int = 1,
    batches: int = FEW,
    database: int = 0,
    watched: bool = False,
) -> Cycles:
    """Returns how many full cycles are done in a second while `batches` calls are in flight.

    `database`: the process id of the database's server; 0 if there is none. `watched`: the CRM also
    reads the result of each action, and a cycle is done when the CRM has read its result.
    """
    start = time.monotonic()
    with (
        program("adapter", "counted", serving.address, channels) as adapter,
        program("watcher", serving.address) if watched else nullcontext(adapter) as counted,
        program("crm", "batches", serving.address, first, seconds, channels, batches) as load,
    ):

        def spent() -> dict[str, float]:
            return {
                "server": serving.cpu(),
                "clients": sum(cpu_of(each.pid) for each in {adapter, counted, load}),
                "database": cpu_of(database) if database else 0.0,
            }

        measured = rate(counted, start=start, seconds=seconds, spent=spent)
        offered = line_of(load)["per_second"]
        wait_until_idle(counted)
    return Cycles(done=measured.per_second, offered=offered, cpu=measured.cpu)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`cpu`: the microseconds of processor time for each cycle, by process."""

    per_second: float
    cpu: Mapping[str, float]

    @property
    def total(self) -> float:
        return sum(self.cpu.values())


def rate(
    worker: subprocess.Popen[str],
    *,
    start: float,
    seconds: float,
    spent: Callable[[], Mapping[str, float]] = dict,
) -> Rate:
    """Returns the requests that the worker answers per second after a warm-up, and the microseconds
    of processor time for one request, by process.

    `spent` returns the seconds of processor time until now, by process.
    """
    first, before = _answered(worker, after=start + 0.25 * seconds), spent()
    last, after = _answered(worker, after=start + 0.9 * seconds), spent()
    count = last["answered"] - first["answered"]
    return Rate(
        per_second=count / (last["at"] - first["at"]),
        cpu={name: (after[name] - before[name]) / count * 1_000_000 for name in before},
    )


def wait_until_idle(worker: subprocess.Popen[str]) -> None:
    former = answered = -1
    while answered < 0 or answered != former:
        former, answered = answered, line_of(worker).get("answered", answered)


def latency(serving: Serving, *, seconds: float, first: int = 0) -> Round:
    """Measures the time from the CRM's call to the adapter's stream, at 150 actions a second."""
    return p50_and_p99(latencies(serving, seconds=seconds, first=first).values())


def p50_and_p99(seconds: Iterable[float]) -> Round:
    cuts = quantiles(seconds, n=100)
    return {"p50 ms": cuts[49] * 1_000, "p99 ms": cuts[98] * 1_000}


def accept_all(serving: Serving) -> None:
    """Accepts all pending requests."""
    with program("adapter", "counted", serving.address, 1), Client(serving.address) as client:
        while next(iter(client.list_requests(provider=PROVIDER, state="PENDING")), None):
            time.sleep(0.5)


def compared(quiet: Iterable[float], busy: Iterable[float]) -> Round:
    """Compares the latencies beside a load (`busy`) with the latencies without it (`quiet`)."""
    without, beside = p50_and_p99(quiet)["p99 ms"], p50_and_p99(busy)["p99 ms"]
    return {"p99 ms without": without, "p99 ms": beside, "ratio of p99": beside / without}


def latencies(
    serving: Serving, *, seconds: float, first: int, warm_up: float = 0.1
) -> Mapping[float, float]:
    """Returns the latency of each action in seconds, by the time of its call.

    First waits until the disk has written the data of earlier work, for example of a database that
    was just filled: a commit would wait for this data.

    `warm_up`: the share of the actions that are left out, because they warm up the programs.
    """
    sent: dict[str, float] = {}
    arrived: dict[str, float] = {}
    os.sync()
    with program("adapter", "timed", serving.address, 1) as adapter:
        line_of(adapter)
        reading = threading.Thread(target=_note_arrivals, args=(adapter, arrived), daemon=True)
        reading.start()
        with program("crm", "paced", serving.address, first, seconds, 1) as load:
            while "sent" in (line := line_of(load)):
                sent[line["subscription"]] = line["sent"]
        while not sent.keys() <= arrived.keys():
            time.sleep(0.05)
        adapter.kill()
        reading.join()
    warm = list(sent)[int(warm_up * len(sent)) :]
    return {sent[each]: arrived[each] - sent[each] for each in warm}


def _note_arrivals(adapter: subprocess.Popen[str], arrived: dict[str, float]) -> None:
    """Reads the adapter's lines until the adapter ends, so that the adapter need not wait to print
    more.
    """
    for text in adapter.stdout or ():
        line = json.loads(text)
        if "arrived" in line:
            arrived.setdefault(line["subscription"], line["arrived"])


def _answered(worker: subprocess.Popen[str], *, after: float) -> Any:
    """Reads lines that the worker prints, until the time in a line (`at`) is not before the time
    `after`. Returns this line, which also contains the number of answers so far (`answered`).
    """
    while True:
        line = line_of(worker)
        if line.get("at", 0) >= after:
            return line
