"""Measures the latency of live actions while another session locks a subscription's row."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import psycopg

from generic_provider.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from support.filling import change, number

from .databases import POSTGRESQL
from .loads import Round, Run, latency
from .processes import Serving, server
from .setting import SUBSCRIPTIONS

SECONDS = 45.0
LOCKED = number(SUBSCRIPTIONS - 1)
LOCK = "SELECT 1 FROM subscription WHERE number = %s FOR UPDATE"
LIMIT = 30.0


def locked_row(run: Run) -> Round:
    """Measures the latency of actions on other subscriptions, and how long the caller of an action
    on the locked subscription waits for its refusal.
    """
    seconds = run.seconds if run.quick else SECONDS
    with run.databases.fresh(POSTGRESQL) as database, server(database) as serving:
        without = latency(serving, seconds=run.seconds)
        with psycopg.connect(database) as session:
            session.execute(LOCK, (LOCKED,))
            ended = threading.Event()
            with ThreadPoolExecutor() as threads:
                refused = threads.submit(_longest_wait, serving, ended, after=seconds / 4)
                try:
                    locked = latency(serving, seconds=seconds, first=SUBSCRIPTIONS // 3)
                finally:
                    ended.set()
    return {
        "p99 ms without": without["p99 ms"],
        "p99 ms": locked["p99 ms"],
        "ratio of p99": locked["p99 ms"] / without["p99 ms"],
        "most s to the refusal": refused.result(),
    }


def _longest_wait(serving: Serving, ended: threading.Event, *, after: float) -> float:
    """Performs actions on the locked subscription, one after the other. Returns the greatest number
    of seconds until a refusal.

    `after`: the seconds until the first action. `latency` does not measure the first tenth of its
    time. If the first action came in that tenth, its effect on other actions would not be measured.
    """
    longest = 0.0
    ended.wait(after)
    with grpc.insecure_channel(serving.address) as channel:
        stub = SubscriptionServiceStub(channel)
        while not ended.is_set():
            began = time.monotonic()
            try:
                stub.PerformAction(change(0, LOCKED), timeout=LIMIT)
            except grpc.RpcError:
                longest = max(longest, time.monotonic() - began)
            else:
                raise RuntimeError(f"the row of {LOCKED} was not locked")
    return longest
