"""Measures the service, and after it each relay for comparison. A relay carries actions from the
CRM to the adapter, and the answers back to the CRM, over a message broker.

Each broker is used in two ways: in batches, which is the fastest way that we found, and message by
message, as the documentation of its usual library shows it. A broker that is not installed is left
out.
"""

from __future__ import annotations

import sys
import time

from .brokers import BROKERS, Broker, found
from .databases import SQLITE
from .loads import Rate, Round, Run, cycles, rate
from .peers_environment import python_of_peers
from .processes import cpu_of, line_of, program, server

WAYS = {"": "", ", one by one": "_singly"}


def relays_beside(run: Run) -> Round:
    """Measures cycles whose answers the CRM reads, and for comparison cycles whose answers it does
    not read.
    """
    unread, read = _ours(run, watched=False), _ours(run, watched=True)
    measured = {
        "cycles/s, answers not read": unread.per_second,
        "µs of all processes, answers not read": unread.total,
        "cycles/s": read.per_second,
        "µs of all processes": read.total,
    }
    for name, (command, broker) in BROKERS.items():
        path = found(command)
        if path is None:
            print(f"{name} is left out: {command} is not installed.", file=sys.stderr)
            continue
        for way, suffix in WAYS.items():
            with broker(path) as running:
                theirs = _relay(run, f"peer_{name.lower()}{suffix}", running)
            measured |= {
                f"{name} cycles/s{way}": theirs.per_second,
                f"µs of all processes, {name}{way}": theirs.total,
                f"ratio of cycles to {name}{way}": read.per_second / theirs.per_second,
                f"ratio of µs to {name}{way}": theirs.total / read.total,
            }
    return measured


def _ours(run: Run, *, watched: bool) -> Rate:
    with run.databases.fresh(SQLITE) as database, server(database) as serving:
        done = cycles(serving, seconds=run.seconds, watched=watched)
    return Rate(per_second=done.done, cpu=done.cpu)


def _relay(run: Run, peer: str, broker: Broker) -> Rate:
    """Measures a relay: runs its CRM, which makes the queues, and then its adapter."""
    python = python_of_peers()
    with program(peer, "crm", broker.port, python=python) as crm:
        line_of(crm)
        with program(peer, "adapter", broker.port, python=python) as adapter:
            processes = {"broker": broker.process, "adapter": adapter.pid, "crm": crm.pid}

            def spent() -> dict[str, float]:
                return {name: cpu_of(process) for name, process in processes.items()}

            while not line_of(crm)["answered"]:
                pass
            return rate(crm, start=time.monotonic(), seconds=run.seconds, spent=spent)
