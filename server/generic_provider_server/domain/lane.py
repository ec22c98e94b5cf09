"""Defines the states of a lane, and a pure function for each change of state.

Each function returns a `LaneChange`, which the store applies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from enum import IntEnum

from msgspec.structs import replace

from .lease import Lease, LeaseEnd, back_off
from .subscription import request_outcomes
from .subscription.aggregate import Aggregate
from .subscription.pending_requests import Pending
from .subscription.transition import Circumstances, Transition
from .values import SECOND, Instant, Value

UNANSWERED = -1
"""The row of a request contains this value in `handover` after a hand-over of the request has ended
without an answer ACCEPTED or REJECTED that was applied. If an answer ACCEPTED or REJECTED is
applied later, the number of its hand-over replaces this value.
"""

COUNTED = frozenset({LeaseEnd.RAN_OUT, LeaseEnd.STREAM_BROKE, LeaseEnd.RETRY_LATER})
"""If a lease ends for one of these reasons, the end counts as a failed attempt of the first
unanswered request on the lease.
"""

GRACE = 5 * SECOND
"""A lease that belongs to no process ends this number of microseconds after `lease_until`, because
the clocks of two processes may differ by almost this time.
"""

MOST_DELAYED = 48 * 3_600 * SECOND
"""A delay lasts for at most 24 hours. If a delay ends later than this number of microseconds from
now, the clock was ahead when the delay began.
"""
LAST_INSTANT = Instant(2**62)
"""A time that is later than every time of a clock."""


def ended_delays(now: Instant) -> tuple[tuple[Instant, Instant], tuple[Instant, Instant]]:
    """Returns two periods as pairs of times. A delay is over if it ends after the first time of a
    pair, and not after the second time. The second period is for the delays that began while the
    clock was far ahead: otherwise their requests would wait until the wrong time comes.
    """
    return (Instant(0), now), (Instant(now + MOST_DELAYED), LAST_INSTANT)


class LaneState(IntEnum):
    READY = 0
    LEASED = 1
    DELAYED = 2


class Lane(Value, frozen=True, kw_only=True):
    """The state of the hand-overs of one subscription's requests at one provider.

    The last lease covers the requests of `unit` from index `first` to `last` that are still
    pending. The lease is live until `lease_until`, which is set to 0 when the lease ends.
    `handover` is the number of the last lease; `lease_duration` is the time for which the lease was
    given or last extended.

    `server` is the process that gave or last extended the lease. As long as this process lives,
    only this process may end the lease when the lease runs out, because `lease_until` is a time of
    the steady clock of this process. After a drain `server` is empty, and `lease_until` is a time
    of the clock that all processes share.
    """

    provider: str
    subscription: str
    handover: int = 0
    unit: int = 0
    first: int = 0
    last: int = 0
    stream: str = ""
    server: str = ""
    adapter: str = ""
    lease_start: Instant = Instant(0)
    lease_until: Instant = Instant(0)
    lease_duration: int = 0

    @property
    def is_leased(self) -> bool:
        """Tells whether a lease is live. The function reads no clock, because the store, when it
        loads a lane, ends a lease that ran out.
        """
        return self.lease_until > 0

    def overdue(self, *, server: str, steady: Instant, now: Instant) -> bool:
        """Tells whether the lease ran out and `server` may end it.

        `steady` is the time of the server's steady clock, `now` the time of day.
        """
        if self.server == server:
            return 0 < self.lease_until <= steady
        return not self.server and 0 < self.lease_until <= now - GRACE

    def left(self, steady: Instant) -> int:
        """Returns the microseconds until the lease runs out. `steady` is the time of the steady
        clock of the process `Lane.server`.
        """
        return self.lease_until - steady

    def is_on(self, lease: Lease | None) -> bool:
        """Tells whether the live lease of the lane is `lease`."""
        return self.lease_until > 0 and self.lease == lease

    @property
    def lease(self) -> Lease:
        place = self.provider, self.subscription
        return Lease(*place, self.handover, self.unit, self.first, self.last, self.stream)

    def covers(self, pending: Pending) -> bool:
        """Tells whether the last lease, live or ended, was given for the request."""
        return pending.unit == self.unit and self.first <= pending.index <= self.last

    def unanswered(self, queue: Iterable[Pending]) -> tuple[Pending, ...]:
        """Returns the requests of the queue that are on the live lease and not answered yet."""
        if self.lease_until <= 0:
            return ()
        found = []
        for pending in queue:
            if pending.unit == self.unit and self.first <= pending.index <= self.last:
                found.append(pending)
            elif found or pending.unit > self.unit:
                break  # the queue may be long
        return tuple(found)

    def leased(self, queue: Iterable[Pending]) -> frozenset[int]:
        """Returns the numbers of the requests that `unanswered` returns."""
        return frozenset([pending.number for pending in self.unanswered(queue)])

    def state(self, queue: Sequence[Pending], *, now: Instant) -> LaneState:
        if self.lease_until > 0:
            return LaneState.LEASED
        return LaneState.DELAYED if queue[0].hidden_until > now else LaneState.READY

    def due(self, queue: Sequence[Pending], *, now: Instant) -> tuple[Pending, ...]:
        """Returns the requests that may be handed over now: the requests of the first unit in the
        queue. Returns no requests if the lane is not READY.
        """
        if not queue or self.state(queue, now=now) is not LaneState.READY:
            return ()
        return first_unit(queue)


def first_unit(queue: Sequence[Pending]) -> tuple[Pending, ...]:
    """Returns the requests of the first unit in the queue, which has at least one request."""
    unit, count = queue[0].unit, 1
    while count < len(queue) and queue[count].unit == unit:
        count += 1
    return tuple(queue[:count])


class LaneChange(Value, frozen=True, kw_only=True):
    """A changed lane, and the other effects of the change.

    `transition`: the change of the subscription; None if only the lane changes. `freed`: the number
    of requests that leave the lease; for a claim, less than 0, because a claim adds requests.
    `answered` is True if the first request in `transition.finished` was answered under the lease.
    `unanswered`: the pending requests that were handed over and not answered before the lease
    ended. `ran_out` is True if the lease ran out. The requests of a lease that ran out still use
    credit of the stream until the adapter sends something.
    """

    lane: Lane
    transition: Transition | None = None
    freed: int = 0
    answered: bool = False
    unanswered: tuple[Pending, ...] = ()
    ran_out: bool = False


def claim(
    lane: Lane,
    requests: Sequence[Pending],
    *,
    stream: str,
    server: str,
    adapter: str,
    duration: int,
    steady: Instant,
    now: Instant,
) -> LaneChange:
    """Hands over `requests`, which must be the first of the requests that `Lane.due` returns.

    `steady`: the time of the server's steady clock.
    """
    given = replace(
        lane,
        handover=lane.handover + 1,
        unit=requests[0].unit,
        first=requests[0].index,
        last=requests[-1].index,
        stream=stream,
        server=server,
        adapter=adapter,
        lease_start=now,
        lease_until=Instant(steady + duration),
        lease_duration=duration,
    )
    return LaneChange(lane=given, freed=-len(requests))


def accept(
    lane: Lane,
    aggregate: Aggregate,
    *,
    circumstances: Circumstances,
    account_number: str = "",
    reference_number: str = "",
) -> LaneChange:
    """Accepts the first unanswered request of the lease. The lease ends when all its requests are
    answered.
    """
    unanswered = lane.unanswered(aggregate.queue(lane.provider))
    transition = request_outcomes.accept(
        aggregate,
        unanswered[0].number,
        circumstances=circumstances,
        account_number=account_number,
        reference_number=reference_number,
    )
    left = lane if len(unanswered) > 1 else _ended(lane)
    return LaneChange(lane=left, transition=transition, freed=1, answered=True)


def reject(
    lane: Lane,
    aggregate: Aggregate,
    *,
    circumstances: Circumstances,
    error_code: str = "",
    error_description: str = "",
    reference_number: str = "",
) -> LaneChange:
    """Rejects the first unanswered request of the lease. The lease ends, because the adapter has
    not applied the later requests.
    """
    unanswered = lane.unanswered(aggregate.queue(lane.provider))
    transition = request_outcomes.reject(
        aggregate,
        unanswered[0].number,
        circumstances=_off_lease(circumstances, lane),
        error_code=error_code,
        error_description=error_description,
        reference_number=reference_number,
    )
    rest = {pending.number for pending in unanswered[1:]}
    return LaneChange(
        lane=_ended(lane),
        transition=transition,
        freed=len(unanswered),
        answered=True,
        unanswered=_still_pending(rest, lane, transition),
    )


def extend(
    lane: Lane, *, server: str, duration: int | None, most: int, steady: Instant, now: Instant
) -> LaneChange:
    """Extends the lease, so that it lasts for `duration` from now, but at most for `most` from its
    start.

    The function never shortens a lease. If `duration` is None, the lane's `lease_duration` is used.
    Afterwards the lease belongs to `server`; `steady` is the time of that process's steady clock.
    """
    duration = duration or lane.lease_duration
    # The `lease_until` of another process is a time of that process's steady clock, which may
    # differ greatly from `now`. So at most `lease_duration` counts as the remaining time.
    left = min(lane.lease_until - (steady if lane.server == server else now), lane.lease_duration)
    lasts = max(min(duration, lane.lease_start + most - now), left)
    extended = replace(
        lane,
        server=server,
        lease_until=Instant(steady + lasts),
        lease_duration=max(duration, lasts),
    )
    return LaneChange(lane=extended)


def disown(lane: Lane, *, steady: Instant, now: Instant) -> LaneChange:
    """Separates the lease from its process: the lease stays live, but belongs to no process.

    `steady` is the time of the steady clock of the lease's former process.
    """
    return LaneChange(lane=replace(lane, server="", lease_until=lane.lease_until + now - steady))


def disown_dead(lane: Lane, *, now: Instant) -> LaneChange:
    """Separates the lease from its process, which has died. Nobody can read the steady clock of
    this process any more, so the lease lives for its whole duration from now.
    """
    until = Instant(now + lane.lease_duration)
    return LaneChange(lane=replace(lane, server="", lease_until=until))


def end(
    lane: Lane,
    aggregate: Aggregate,
    cause: LeaseEnd,
    *,
    circumstances: Circumstances,
    jitter: float,
    delay: int | None = None,
    error_code: str = "",
    error_description: str = "",
) -> LaneChange:
    """Ends the lease before all its requests are answered. The platform may have applied the
    unanswered requests, unless the lease was never sent. If the end counts as an attempt, the first
    unanswered request is not handed over again for `delay` microseconds. If `delay` is None,
    `back_off` computes the delay with `jitter`.
    """
    unanswered = lane.unanswered(aggregate.queue(lane.provider))
    first, was_sent = unanswered[0], cause is not LeaseEnd.NOT_SENT
    sent = {pending.number for pending in unanswered} if was_sent else set[int]()
    circumstances = _off_lease(circumstances, lane)
    transition = request_outcomes.touch(
        aggregate, lane.provider, numbers=sent, circumstances=circumstances
    )
    if cause in COUNTED:
        transition = request_outcomes.count_attempt(
            transition.aggregate,
            first.number,
            delay=back_off(first.attempts + 1, jitter=jitter) if delay is None else delay,
            circumstances=circumstances,
            error_code=error_code,
            error_description=error_description,
        )
    return LaneChange(
        # after a lease that was never sent, unit 0 shows that the last lease covers no request
        lane=_ended(lane if was_sent else replace(lane, unit=0)),
        transition=transition,
        freed=len(unanswered),
        unanswered=_still_pending(sent, lane, transition),
        ran_out=cause is LeaseEnd.RAN_OUT,
    )


def _ended(lane: Lane) -> Lane:
    return replace(lane, lease_until=Instant(0))


def _still_pending(
    numbers: AbstractSet[int], lane: Lane, transition: Transition
) -> tuple[Pending, ...]:
    """Returns the requests with these numbers that are still in the queue after the transition."""
    left = transition.aggregate.queue(lane.provider) if numbers else ()
    return tuple([pending for pending in left if pending.number in numbers])


def _off_lease(circumstances: Circumstances, lane: Lane) -> Circumstances:
    def leased(provider: str) -> AbstractSet[int]:
        return frozenset() if provider == lane.provider else circumstances.leased(provider)

    return replace(circumstances, leased=leased)
