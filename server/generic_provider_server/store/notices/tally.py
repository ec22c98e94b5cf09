"""Counts the results of a group of commands. After the commit, these counts are added to the
metrics.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec

from ...domain.lease import LeaseEnd
from ...domain.subscription.records import ActionRecord, ActionState
from ...domain.subscription.transition import Finished, Transition
from ...domain.values import Instant, RequestState

ACTIONS = "actions_total"
CREATED = "requests_created_total"
SETTLED = "requests_settled_total"
ANSWERS = "answers_total"
ROLLBACKS = "rollbacks_total"
LOST = "leases_lost_total"
HANDOVER = "handover_seconds"
SETTLE = "settle_seconds"
REFUSED = "REFUSED"
"""The outcome of an action that was refused. A refused action is not stored."""

LOSSES = frozenset({LeaseEnd.RAN_OUT, LeaseEnd.STREAM_BROKE, LeaseEnd.OPERATOR, LeaseEnd.NOT_SENT})
"""The causes of the end of a lease, except calls of the adapter."""


def counting() -> defaultdict[Any, int]:
    """Returns a dict that counts from 0. To create a `Counter` would take much longer."""
    return defaultdict(int)


class Tally(msgspec.Struct):
    """The counts of one group. `counts`: a count for each key; a key consists of the name of a
    metric and the values of its labels. `spans`: durations in microseconds by metric and provider.
    `commands`: the number of commands in the group. `seconds`: the duration of the transaction.
    `of_callers`: the number of commands for which callers other than adapters wait.
    """

    counts: defaultdict[tuple[object, ...], int] = msgspec.field(default_factory=counting)
    spans: defaultdict[tuple[str, str], list[int]] = msgspec.field(
        default_factory=lambda: defaultdict(list)
    )
    commands: int = 0
    of_callers: int = 0
    seconds: float = 0.0

    def put_action(self, record: ActionRecord) -> None:
        """Counts an action that was scheduled, performed or cancelled, or rejected when it was
        due.
        """
        if record.execute_time is not None:
            self.counts[ACTIONS, record.kind, ActionState.EXECUTED] += 1
        if record.settle_time is not None or record.state is ActionState.SCHEDULED:
            self.counts[ACTIONS, record.kind, record.state] += 1

    def settle(self, finished: Finished, transition: Transition, *, now: Instant) -> None:
        """Counts a settled request, and the rollback that its rejection has caused, if any."""
        provider, pending = finished.provider, finished.pending
        counted = SETTLED, provider, pending.request.type, finished.state, pending.origin
        self.counts[counted] += 1
        self.spans[SETTLE, provider].append(now - pending.schedule_time)
        if finished.state is not RequestState.REJECTED:
            return
        for change in transition.actions:
            if change.performed.id == pending.action and change.taken_back is not None:
                extent = "ACTION" if change.performed.undone else "PART"
                self.counts[ROLLBACKS, provider, extent] += 1
