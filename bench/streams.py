"""The figure with many idle streams."""

from __future__ import annotations

import time

from .databases import SQLITE
from .loads import Round, Run, latency
from .processes import line_of, program, server
from .setting import SUBSCRIPTIONS

STREAMS = 1_000
REST = 3.0
"""Seconds until the server has put away what opening the streams took."""


def idle_streams(run: Run) -> Round:
    """On one server: real-time latency without them, then with them."""
    with run.databases.fresh(SQLITE) as database, server(database) as serving:
        without = latency(serving, seconds=run.seconds)
        before = serving.memory()
        with program("idle", serving.address, STREAMS) as streams:
            line_of(streams)
            time.sleep(REST)
            each = (serving.memory() - before) / STREAMS
            among = latency(serving, seconds=run.seconds, first=SUBSCRIPTIONS // 2)
    return {
        "KiB a stream": each / 1024,
        "p99 ms without": without["p99 ms"],
        "p99 ms": among["p99 ms"],
        "ratio of p99": among["p99 ms"] / without["p99 ms"],
    }
