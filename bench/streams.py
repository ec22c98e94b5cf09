"""Measures many idle streams of adapters, and of CRMs that watch events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from .databases import SQLITE
from .loads import Round, Run, latency
from .processes import Serving, line_of, program, server
from .setting import SUBSCRIPTIONS

STREAMS = 1_000
REST = 3.0
"""After this many seconds the server has freed the memory that it needed to open the streams."""


def idle_streams(run: Run) -> Round:
    """Measures the latency of live actions on one server, first without idle streams, then with
    them.
    """
    with run.databases.fresh(SQLITE) as database, server(database) as serving:
        without = latency(serving, seconds=run.seconds)
        with _idle(serving, "adapters") as stream:
            among = latency(serving, seconds=run.seconds, first=SUBSCRIPTIONS // 3)
            with _idle(serving, "watchers") as watcher:
                both = latency(serving, seconds=run.seconds, first=2 * SUBSCRIPTIONS // 3)
    return {
        "KiB a stream": stream,
        "KiB a watcher": watcher,
        "p99 ms without": without["p99 ms"],
        "p99 ms": among["p99 ms"],
        "p99 ms, watchers too": both["p99 ms"],
        "ratio of p99": among["p99 ms"] / without["p99 ms"],
        "ratio of p99, watchers too": both["p99 ms"] / without["p99 ms"],
    }


@contextmanager
def _idle(serving: Serving, kind: str) -> Iterator[float]:
    """Keeps streams open, and yields the KiB of memory that the server needs for each stream."""
    before = serving.memory()
    with program("idle", serving.address, STREAMS, kind) as streams:
        line_of(streams)
        time.sleep(REST)
        yield (serving.memory() - before) / STREAMS / 1024
