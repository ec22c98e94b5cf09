"""One function for each figure: measures a round and gives its numbers by name."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from statistics import quantiles
from typing import Any

from .processes import line_of, program, server

Round = Mapping[str, float]


def perform(seconds: float) -> Round:
    """P1: single durable actions, as a ratio to a no-op call of the same server."""
    with server() as address:
        _setup(address, subscriptions=20_000)
        with program("crm", "single", address, 20_000, seconds / 6) as load:
            rates = line_of(load)
    return {
        "no-op calls/s": rates["echo"],
        "actions/s": rates["perform"],
        "ratio": rates["perform"] / rates["echo"],
    }


def cycles(seconds: float) -> Round:
    """P2: action, stream, acceptance, settled, each step durable; three processes."""
    with server() as address:
        _setup(address, subscriptions=20_000)
        with program("adapter", address) as adapter:
            start = time.monotonic()
            with program("crm", "batches", address, 20_000, seconds) as load:
                first = _answered(adapter, after=start + 0.25 * seconds)
                last = _answered(adapter, after=start + 0.9 * seconds)
                offered = line_of(load)["per_second"]
    rate = (last["answered"] - first["answered"]) / (last["at"] - first["at"])
    return {"cycles/s": rate, "actions offered/s": offered}


def latency(seconds: float) -> Round:
    """P4: from the CRM's call to the adapter's stream, at 150 actions a second."""
    sent: dict[str, float] = {}
    arrived: dict[str, float] = {}
    with server() as address:
        _setup(address, subscriptions=20_000)
        with program("adapter", address, "times") as adapter:
            line_of(adapter)
            with program("crm", "paced", address, 20_000, seconds) as load:
                while "sent" in (line := line_of(load)):
                    sent[line["subscription"]] = line["sent"]
                    _note_arrival(adapter, arrived)
            while len(arrived) < len(sent):
                _note_arrival(adapter, arrived)
    warm = list(sent)[len(sent) // 10 :]
    spans = [arrived[each] - sent[each] for each in warm]
    cuts = quantiles(spans, n=100)
    return {"p50 ms": cuts[49] * 1_000, "p99 ms": cuts[98] * 1_000}


FIGURES: Mapping[str, Callable[[float], Round]] = {
    "P1 single actions": perform,
    "P2 full cycles": cycles,
    "P4 latency": latency,
}


def _setup(address: str, *, subscriptions: int) -> None:
    with program("crm", "setup", address, subscriptions, 0) as load:
        line_of(load)


def _note_arrival(adapter: subprocess.Popen[str], arrived: dict[str, float]) -> None:
    """Takes a line for each one of the other program's, so that neither waits to be read."""
    line = line_of(adapter)
    if "arrived" in line:
        arrived[line["subscription"]] = line["arrived"]


def _answered(adapter: subprocess.Popen[str], *, after: float) -> Any:
    """The first count that the adapter tells after that instant."""
    while True:
        line = line_of(adapter)
        if line.get("at", 0) >= after:
            return line
