"""Measures reset runs over many subscriptions, some of which are out of sync, and the latency of
live actions during a reset run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from itertools import count
from statistics import median

from generic_provider import Client, ResetRun, ResetRunDefinition, ResetRunState
from support.filling import PROVIDER

from .databases import Size
from .loads import Round, Run, accept_all, compared, latencies
from .processes import Serving, server
from .setting import SUBSCRIPTIONS

DRIFTED = Size(subscriptions=1_000_000, drifted=100_000)
DRIFTED_WHEN_QUICK = Size(subscriptions=100_000, drifted=10_000)
TURNS = 2
MEGABYTE = 1_048_576


def reset_run(run: Run, *, kind: str) -> Round:
    """Measures the first page of a preview, then a run alone, then TURNS times live actions without
    a run and live actions beside a run.

    At the beginning of each turn, an adapter accepts all requests of the previous run. The runs
    beside live actions are full runs, because a full run takes long enough to measure P4's load
    beside it.
    """
    size = DRIFTED_WHEN_QUICK if run.quick else DRIFTED
    with (
        run.databases.fresh(kind, size) as database,
        server(database) as serving,
        Client(serving.address) as client,
    ):
        before = serving.memory()
        definition = client.create_reset_run_definition(_definition()).id
        began = time.monotonic()
        client.preview_reset_run(definition, without_totals=True)
        previewed = time.monotonic() - began
        totals = client.preview_reset_run(definition).totals
        counted = time.monotonic() - began - previewed
        used = serving.cpu()
        alone, peak = _finished(client, serving, definition)
        used = serving.cpu() - used
        quiet, busy, rates = _live_actions(client, serving, run)
        later = serving.memory()
    return {
        "subscriptions": size.subscriptions,
        "out of sync": totals.subscriptions,
        "s to the first page": previewed,
        "s to the totals": counted,
        "s for the run": _seconds(alone),
        "requests/s": alone.requests_created / _seconds(alone),
        "µs of the server a request": used / alone.requests_created * 1_000_000,
        "MiB more": (peak - before) / MEGABYTE,
        "MiB more in further runs": (later - peak) / MEGABYTE,
        "requests/s beside live actions": median(rates),
        **compared(quiet, busy),
    }


def _definition(*, full: bool = False) -> ResetRunDefinition:
    """Without `full` the definition has the default guard, as most definitions have. A full run
    with a guard would first examine each subscription for the guard. The full run of this module
    has no guard, because the requests that it sends are measured beside live actions.
    """
    guard = 0.0 if full else None
    return ResetRunDefinition(
        name="bench", provider=PROVIDER, full=full, max_switch_off_percent=guard
    )


def _finished(client: Client, serving: Serving, definition: str) -> tuple[ResetRun, int]:
    """Returns the run when it has ended, and the largest memory that the server had."""
    number = client.submit_reset_run_definition(definition).reset_run.id
    peak = 0
    while (found := client.get_reset_run(number)).state == ResetRunState.RUNNING:
        peak = max(peak, serving.memory())
        time.sleep(1)  # queries are rare, because each counts the run's requests
    return found, peak


def _seconds(run: ResetRun) -> float:
    spent = run.end_time.ToDatetime() - run.start_time.ToDatetime()
    return spent.total_seconds()


def _live_actions(
    client: Client, serving: Serving, run: Run
) -> tuple[list[float], list[float], list[float]]:
    """Returns the latencies of P4 without a run, the latencies during full runs, and the requests
    of each of these runs in a second.
    """
    quiet, busy, rates = list[float](), list[float](), list[float]()
    unchanged = count(0, SUBSCRIPTIONS)
    for _ in range(1 if run.quick else TURNS):
        accept_all(serving)
        quiet += latencies(serving, seconds=run.seconds, first=next(unchanged)).values()
        slow, rate = _during_a_run(client, serving, seconds=run.seconds, first=next(unchanged))
        busy += slow
        rates.append(rate)
    return quiet, busy, rates


def _during_a_run(
    client: Client, serving: Serving, *, seconds: float, first: int
) -> tuple[Iterable[float], float]:
    """Measures the latencies of P4 during a full run, and the run's requests in a second."""
    definition = client.create_reset_run_definition(_definition(full=True)).id
    number = client.submit_reset_run_definition(definition).reset_run.id
    counted: list[tuple[float, int]] = []
    over = threading.Event()

    def note() -> None:
        while not over.wait(0.5):
            counted.append((time.monotonic(), client.get_reset_run(number).requests_created))

    counting = threading.Thread(target=note)
    counting.start()
    measured = latencies(serving, seconds=seconds, first=first)
    over.set()
    counting.join()
    client.cancel_reset_run(number)
    (began, before), (ended, after) = counted[0], counted[-1]
    return measured.values(), (after - before) / (ended - began)
