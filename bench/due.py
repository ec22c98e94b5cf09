"""Measures work that is due: scheduled actions of one minute, and automatic ends of one second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from generic_provider import ActionKind, Client, SubscriptionAction, actions
from support.filling import NEWS, number

from .databases import SQLITE, Size
from .loads import Round, Run, latency
from .processes import Serving, server

A_MINUTE = 10_000
ENDS, ENDS_WHEN_QUICK = 100_000, 10_000
BATCH = 1_000
LIVE = 5_000
"""The live actions change only the first LIVE subscriptions."""
AHEAD = timedelta(seconds=3)
CHANGES_A_SECOND = 1_500
"""In batches, at least this many subscriptions can be changed in a second."""


def scheduled(run: Run) -> Round:
    """Measures the latency of live actions while scheduled actions are due at a rate of 10,000 a
    minute.
    """
    seconds = 2 * run.seconds
    count = int(A_MINUTE * seconds / 60)
    adding = actions.AddServices(services=NEWS)
    with (
        run.databases.fresh(SQLITE) as database,
        server(database) as serving,
        Client(serving.address) as client,
    ):
        quiet = latency(serving, seconds=run.seconds)
        begin = datetime.now(UTC) + AHEAD
        for start in range(0, count, BATCH):
            orders = [
                actions.request(
                    adding,
                    subscription=number(LIVE + n),
                    schedule_time=begin + timedelta(seconds=seconds * n / count),
                )
                for n in range(start, min(count, start + BATCH))
            ]
            client.batch_perform(orders)
        busy = _beside(serving, run, begin)
        done = _done(client, ActionKind.ADD_SERVICES, count)
    late = sorted([_late(each) for each in done])
    return {
        "scheduled actions": count,
        "p50 ms late": late[count // 2],
        "most ms late": late[-1],
        **_compared(quiet, busy),
    }


def ends(run: Run) -> Round:
    """Measures the latency of live actions while very many terms end in the same second."""
    count = ENDS_WHEN_QUICK if run.quick else ENDS
    filled = run.databases.filled(SQLITE, Size(subscriptions=LIVE + count))
    with server(filled) as serving, Client(serving.address) as client:
        quiet = latency(serving, seconds=run.seconds)
        begin = datetime.now(UTC) + AHEAD + timedelta(seconds=count / CHANGES_A_SECOND)
        service = actions.service("MAIN", "SPORT", term_end=begin)
        change = actions.ChangeTerms(services=[service])
        for start in range(LIVE, LIVE + count, BATCH):
            numbers = map(number, range(start, start + BATCH))
            client.batch_perform([actions.request(change, subscription=each) for each in numbers])
        busy = _beside(serving, run, begin)
        done = _done(client, ActionKind.STOP_SERVICES, count)
    last = max(each.execute_time.ToDatetime(UTC) for each in done)
    seconds = (last - begin).total_seconds()
    return {
        "ends": count,
        "s for all": seconds,
        "ends/s": count / seconds,
        **_compared(quiet, busy),
    }


def _compared(quiet: Round, busy: Round) -> Round:
    return {
        "p99 ms without": quiet["p99 ms"],
        "p99 ms": busy["p99 ms"],
        "ratio of p99": busy["p99 ms"] / quiet["p99 ms"],
    }


def _late(action: SubscriptionAction) -> float:
    """Returns the milliseconds from the schedule time of the action to its execution."""
    due = action.performed.schedule_time.ToDatetime(UTC)
    return (action.execute_time.ToDatetime(UTC) - due) / timedelta(milliseconds=1)


def _beside(serving: Serving, run: Run, begin: datetime) -> Round:
    left = (begin - datetime.now(UTC)).total_seconds()
    if left < 0:
        raise RuntimeError("the work was due before it was prepared")
    time.sleep(left)
    return latency(serving, seconds=run.seconds, first=LIVE // 2)


def _done(client: Client, kind: ActionKind.ValueType, count: int) -> Sequence[SubscriptionAction]:
    """Waits until all actions of the kind are executed, and returns them."""
    while True:
        found = [
            each
            for each in client.list_actions(kind=kind, page_size=1_000)
            if each.subscription >= number(LIVE) and each.HasField("execute_time")
        ]
        if len(found) >= count:
            return found
        time.sleep(1)
