"""Measures the effect of scheduled actions that are due within one minute, and of automatic ends
that are due within one second.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

from generic_provider import ActionKind, Client, SubscriptionAction, actions
from support.filling import NEWS, number

from .databases import SQLITE, Size
from .loads import Round, Run, accept_all, compared, latencies
from .processes import server

A_MINUTE = 10_000
ENDS, ENDS_WHEN_QUICK = 100_000, 10_000
BATCH = 1_000
LIVE, LIVE_WHEN_SCHEDULED = 20_000, 5_000
"""The live actions change only this many subscriptions, with the lowest numbers."""
TURNS = 2
WARM_UP = 0.25
"""This share of the live actions is not measured. The adapter connects when the live actions begin,
and first gets the requests of the ends that were performed before it was connected.
"""
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
        quiet = latencies(serving, seconds=run.seconds, first=0).values()
        begin = datetime.now(UTC) + AHEAD
        for start in range(0, count, BATCH):
            orders = [
                actions.request(
                    adding,
                    subscription=number(LIVE_WHEN_SCHEDULED + n),
                    schedule_time=begin + timedelta(seconds=seconds * n / count),
                )
                for n in range(start, min(count, start + BATCH))
            ]
            client.batch_perform(orders)
        _wait_until(begin)
        first = LIVE_WHEN_SCHEDULED // 2
        busy = latencies(serving, seconds=run.seconds, first=first).values()
        done = _done(client, ActionKind.ADD_SERVICES, count, first=LIVE_WHEN_SCHEDULED)
    late = sorted([_late(each) for each in done])
    return {
        "scheduled actions": count,
        "p50 ms late": late[count // 2],
        "most ms late": late[-1],
        **compared(quiet, busy),
    }


def ends(run: Run) -> Round:
    """Measures the latency of live actions while very many terms end in the same second.

    Measures in turn with and without ends, because the speed of a shared machine varies.
    """
    count, turns = (ENDS_WHEN_QUICK, 1) if run.quick else (ENDS, TURNS)
    live = LIVE // (2 * turns)
    quiet, busy, rates = list[float](), list[float](), list[float]()
    filled = run.databases.filled(SQLITE, Size(subscriptions=LIVE + turns * count))
    with server(filled) as serving, Client(serving.address) as client:

        def beside(first: int) -> Mapping[float, float]:
            return latencies(serving, seconds=run.seconds, first=first, warm_up=WARM_UP)

        for turn in range(turns):
            quiet += beside(2 * turn * live).values()
            begin = datetime.now(UTC) + AHEAD + timedelta(seconds=count / CHANGES_A_SECOND)
            _end_terms(client, range(LIVE + turn * count, LIVE + (turn + 1) * count), at=begin)
            _wait_until(begin)
            slow = beside((2 * turn + 1) * live)
            busy += slow.values()
            done = _done(client, ActionKind.STOP_SERVICES, (turn + 1) * count, first=LIVE)
            rates.append(_rate(done, since=min(slow), until=max(slow)))
            # the adapter of the next measurement must not get the requests of these ends
            accept_all(serving)
    return {
        "ends in one second": count,
        "ends/s beside the actions": median(rates),
        **compared(quiet, busy),
    }


def _rate(done: Iterable[SubscriptionAction], *, since: float, until: float) -> float:
    times = [each.execute_time.ToDatetime(UTC).timestamp() for each in done]
    return sum(since <= time <= until for time in times) / (until - since)


def _end_terms(client: Client, subscriptions: range, *, at: datetime) -> None:
    service = actions.service("MAIN", "SPORT", term_end=at)
    change = actions.ChangeTerms(services=[service])
    for start in range(0, len(subscriptions), BATCH):
        numbers = map(number, subscriptions[start : start + BATCH])
        client.batch_perform([actions.request(change, subscription=each) for each in numbers])


def _late(action: SubscriptionAction) -> float:
    """Returns the milliseconds from the schedule time of the action to its execution."""
    due = action.performed.schedule_time.ToDatetime(UTC)
    return (action.execute_time.ToDatetime(UTC) - due) / timedelta(milliseconds=1)


def _wait_until(begin: datetime) -> None:
    left = (begin - datetime.now(UTC)).total_seconds()
    if left < 0:
        raise RuntimeError("the work was due before it was prepared")
    time.sleep(left)


def _done(
    client: Client, kind: ActionKind.ValueType, count: int, *, first: int
) -> Sequence[SubscriptionAction]:
    """Waits until all actions of the kind are executed, and returns them, without those of the
    subscriptions before `first`.
    """
    while True:
        found = [
            each
            for each in client.list_actions(kind=kind, page_size=1_000)
            if each.subscription >= number(first) and each.HasField("execute_time")
        ]
        if len(found) >= count:
            return found
        time.sleep(1)
