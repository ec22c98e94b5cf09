"""Measures an archive of a large history, and how much it delays live actions."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from statistics import median

from generic_provider import ArchiveState, Client
from support.archives import make_old
from support.copying import copying

from .crm import PACE
from .databases import POSTGRESQL, Size
from .loads import Round, Run, latency
from .processes import server

OLD = Size(subscriptions=500_000, settled=1_000_000)
OLD_WHEN_QUICK = Size(subscriptions=50_000, settled=100_000)
DAYS = 100
MEBIBYTE = 1024 * 1024


def archive(run: Run, *, kind: str) -> Round:
    """Archives all settled requests of a database, while a CRM performs 150 actions a second."""
    database = run.databases.filled(kind, OLD_WHEN_QUICK if run.quick else OLD)
    make_old(database, days=DAYS)
    if kind == POSTGRESQL:  # `make_old` leaves dead rows, which an aged database would not contain
        with closing(copying(database)) as changed:
            changed.run("VACUUM")
    first = count(0, int(PACE * run.seconds) + 1)
    with (
        tempfile.TemporaryDirectory() as folder,
        server(database, "--archive-folder", folder) as serving,
        Client(serving.address) as client,
    ):
        alone = latency(serving, seconds=run.seconds, first=next(first))
        memory = [serving.memory()]
        began, beside = time.monotonic(), list[Round]()
        made = client.create_archive(created_before=datetime.now(UTC))
        while (made := client.get_archive(made.id)).state == ArchiveState.CREATING:
            beside.append(latency(serving, seconds=run.seconds, first=next(first)))
            memory.append(serving.memory())
        took = time.monotonic() - began
    if made.state != ArchiveState.COMPLETED:
        raise RuntimeError(made.message)
    p99 = median(each["p99 ms"] for each in beside)
    return {
        "requests": made.requests_archived,
        "s": took,
        "bytes a request": made.size_bytes / made.requests_archived,
        "MiB of memory before": memory[0] / MEBIBYTE,
        "MiB of memory at most": max(memory) / MEBIBYTE,
        "p50 ms without": alone["p50 ms"],
        "p50 ms": median(each["p50 ms"] for each in beside),
        "p99 ms without": alone["p99 ms"],
        "p99 ms": p99,
        "ratio of p99": p99 / alone["p99 ms"],
    }
