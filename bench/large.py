"""Measures the figures that need a large database, with the subscriptions and requests of `LARGE`.
The database is filled once and used in every round.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from .databases import SQLITE, Size
from .loads import Round, Run, cycles
from .processes import server

LARGE = Size(subscriptions=1_000_000, settled=2_000_000, blocked=100_000)
LARGE_WHEN_QUICK = Size(subscriptions=100_000, settled=200_000, blocked=10_000)
INTERPRETERS = 10


def large_state(run: Run, *, kind: str) -> Round:
    """Measures P2's cycles on an empty and on a large database, each with its own server."""
    size = _size(run)
    large = run.databases.filled(kind, size)
    with run.databases.fresh(kind) as empty, server(empty) as serving:
        alone = cycles(serving, seconds=run.seconds)
    with server(large) as serving:
        among = cycles(serving, seconds=run.seconds, first=next(run.used))
    return {
        "subscriptions": size.subscriptions,
        "settled requests": size.settled,
        "blocked requests": size.blocked,
        "cycles/s, empty": alone.done,
        "cycles/s": among.done,
        "ratio": among.done / alone.done,
        "µs of the server a cycle, empty": alone.cpu["server"],
        "µs of the server a cycle": among.cpu["server"],
    }


def start(run: Run) -> Round:
    """Measures the time until health is SERVING, and the time for `import generic_provider` without
    the start of the interpreter.
    """
    large = run.databases.filled(SQLITE, _size(run))
    began = time.monotonic()
    with server(large) as serving, grpc.insecure_channel(serving.address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        while check(HealthCheckRequest()).status != HealthCheckResponse.SERVING:
            time.sleep(0.01)
        started = time.monotonic() - began
    pairs = [(_python("import generic_provider"), _python("pass")) for _ in range(INTERPRETERS)]
    return {
        "subscriptions": _size(run).subscriptions,
        "s to SERVING": started,
        "s to import generic_provider": median(took - bare for took, bare in pairs),
    }


def _size(run: Run) -> Size:
    return LARGE_WHEN_QUICK if run.quick else LARGE


def _python(code: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.monotonic() - began
