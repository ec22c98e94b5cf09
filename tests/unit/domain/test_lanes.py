"""Tests the states of a lane, the requests on its lease and their credit, with random steps."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from generic_provider_server.domain.actions import AddServices, RemoveServices
from generic_provider_server.domain.catalogue import Catalogue
from generic_provider_server.domain.lane import (
    COUNTED,
    Lane,
    LaneChange,
    LaneState,
    accept,
    claim,
    disown,
    end,
    extend,
    reject,
)
from generic_provider_server.domain.lease import Lease, LeaseEnd
from generic_provider_server.domain.refusals import Refused
from generic_provider_server.domain.subscription import request_outcomes
from generic_provider_server.domain.subscription.aggregate import Aggregate
from generic_provider_server.domain.subscription.pending_requests import Pending
from generic_provider_server.domain.subscription.perform import perform
from generic_provider_server.domain.subscription.transition import Circumstances, Transition
from generic_provider_server.domain.values import SECOND, Instant, ProviderState
from generic_provider_server.domain.verdicts import ResponseCode, judge_pending
from support.examples import ADD_NEWS, ADD_SPORT, NEWS, REMOVE_SPORT, SATELLITE, SPORT, viewer

SAT = Catalogue(replace(SATELLITE, state=ProviderState.EFFECTIVE))
ACTIONS = (
    AddServices((SPORT, NEWS)),
    RemoveServices((SPORT, NEWS)),
    ADD_SPORT,
    ADD_NEWS,
    REMOVE_SPORT,
)
MOST = 100 * SECOND
"""The longest duration of a lease with all its extensions."""

READY, LEASED, DELAYED = LaneState
DRAWN = {
    (None, READY),
    (READY, LEASED),
    (DELAYED, READY),
    (READY, None),
    (DELAYED, None),
    (LEASED, READY),
    (LEASED, DELAYED),
    (LEASED, None),
}
"""The arrows between different states in the diagram of docs/architecture.md. None stands for the
beginning and the end of the diagram, when no request is pending.
"""


@dataclass(slots=True)
class Story:
    """One lane with its requests, and the credit that its stream uses for them. The argument
    `number` of a step chooses one of the possible variants.
    """

    lane: Lane = Lane(provider="SAT", subscription="S1")
    aggregate: Aggregate | None = None
    now: Instant = Instant(1_700_000_000 * SECOND)
    state: LaneState | None = None
    in_flight: int = 0
    numbers: int = 0
    actions: int = 0
    former: list[Lease] = field(default_factory=list)

    @property
    def there(self) -> Aggregate:
        assert self.aggregate is not None
        return self.aggregate

    @property
    def queue(self) -> tuple[Pending, ...]:
        return self.aggregate.queue("SAT") if self.aggregate else ()

    @property
    def circumstances(self) -> Circumstances:
        return Circumstances(
            now=self.now,
            catalogues={"SAT": SAT},
            next_numbers=lambda _: self.numbers + 1,
            leased=lambda _: self.lane.leased(self.queue),
        )

    def act(self, number: int) -> None:
        action = ACTIONS[number % len(ACTIONS)] if self.aggregate else viewer("S1")
        self.actions += 1
        with suppress(Refused):
            done = perform(
                self.aggregate, action, action_id=self.actions, circumstances=self.circumstances
            )
            self._take(done)

    def hand_over(self, number: int) -> None:
        due = self.lane.due(self.queue, now=self.now)
        if due:
            given = claim(
                self.lane,
                due[: 1 + number % 3],
                stream="stream",
                server="server",
                adapter="adapter",
                duration=10 * SECOND,
                steady=self.now,
                now=self.now,
            )
            self._change(given)
            assert self.lane.unanswered(self.queue) == due[: 1 + number % 3]

    def accept(self, _: int) -> None:
        if self.lane.is_leased:
            self._change(accept(self.lane, self.there, circumstances=self.circumstances))

    def reject(self, _: int) -> None:
        if self.lane.is_leased:
            self._change(reject(self.lane, self.there, circumstances=self.circumstances))

    def end(self, number: int) -> None:
        """Ends the lease for one of the possible reasons. The requests of the lease are marked as
        `touched` if they were sent. For some of the reasons, a failed attempt of the first request
        is counted.
        """
        if not self.lane.is_leased:
            return
        cause = list(LeaseEnd)[number % len(LeaseEnd)]
        before = {pending.number: pending for pending in self.lane.unanswered(self.queue)}
        first = min(before.values(), key=lambda pending: pending.index)
        change = end(
            self.lane, self.there, cause, circumstances=self.circumstances, jitter=1, delay=None
        )
        self._change(change)
        sent = set() if cause is LeaseEnd.NOT_SENT else set(before)
        assert {p.number for p in change.unanswered} == {p.number for p in self.queue} & sent
        for pending in change.unanswered:
            counted = cause in COUNTED and pending.number == first.number
            assert pending.touched or cause is LeaseEnd.NOT_SENT
            assert pending.attempts == before[pending.number].attempts + counted
        assert change.ran_out is (cause is LeaseEnd.RAN_OUT)
        covered = {pending.number for pending in before.values() if change.lane.covers(pending)}
        assert covered == sent

    def extend(self, number: int) -> None:
        if self.lane.is_leased:
            former = self.lane.lease_until
            wanted = number % 5 * 4 * SECOND or None
            self._change(self._extended(wanted))
            assert former <= self.lane.lease_until <= self.lane.lease_start + MOST

    def _extended(self, wanted: int | None) -> LaneChange:
        return extend(
            self.lane,
            server="server",
            duration=wanted,
            most=MOST,
            steady=self.now,
            now=self.now,
        )

    def disown(self, _: int) -> None:
        if self.lane.is_leased:
            self._change(disown(self.lane, steady=self.now, now=self.now))

    def wait(self, number: int) -> None:
        self.now = Instant(self.now + number * SECOND)
        if self.lane.overdue(server="server", steady=self.now, now=self.now):
            self.end(list(LeaseEnd).index(LeaseEnd.RAN_OUT))
        self._check()

    def cancel(self, number: int) -> None:
        """Rejects a request that is on no lease, as an operator does."""
        free = [p for p in self.queue if p.number not in self.lane.leased(self.queue)]
        if free:
            chosen = free[number % len(free)].number
            self._take(
                request_outcomes.reject(self.there, chosen, circumstances=self.circumstances)
            )

    def expire(self, _: int) -> None:
        if not self.lane.is_leased:
            self._take(request_outcomes.expire(self.there, "SAT", circumstances=self.circumstances))

    def _change(self, change: LaneChange) -> None:
        if change.lane.lease != self.lane.lease:
            self.former.append(self.lane.lease)
        self.in_flight -= change.freed
        self.lane = change.lane
        if change.transition is None:
            self._check()
        else:
            self._take(change.transition, answered=True)

    def _take(self, transition: Transition, *, answered: bool = False) -> None:
        """Takes the transition over into the story. Checks that only answers removed requests from
        the lease.
        """
        leased = self.lane.leased(self.queue)
        if answered:
            leased -= {finished.pending.number for finished in transition.finished}
        self.aggregate = transition.aggregate
        self.numbers += len(transition.created)
        assert leased == self.lane.leased(self.queue)
        self._check()

    def _check(self) -> None:
        queue = self.queue
        state = self.lane.state(queue, now=self.now) if queue else None
        assert state is self.state or (self.state, state) in DRAWN
        self.state = state
        on_lease = self.lane.unanswered(queue)
        assert self.in_flight == len(on_lease) == len(self.lane.leased(queue))
        assert self.lane.is_leased == bool(on_lease)
        assert queue[: len(on_lease)] == on_lease
        assert len({pending.unit for pending in on_lease}) <= 1
        self._check_verdicts()
        if not queue:
            self.former.append(self.lane.lease)
            self.lane = Lane(provider="SAT", subscription="S1")

    def _check_verdicts(self) -> None:
        queue, on_lease = self.queue, self.lane.unanswered(self.queue)
        for pending in queue:
            verdict = judge_pending(self.lane, queue, pending, self.lane.lease)
            if pending not in on_lease:
                assert verdict in (ResponseCode.STALE, ResponseCode.INVALID)
            elif pending == on_lease[0]:
                assert verdict is ResponseCode.APPLIED
            else:
                assert verdict is ResponseCode.OUT_OF_ORDER
            for lease in self.former:
                verdict = judge_pending(self.lane, queue, pending, lease)
                assert verdict in (ResponseCode.STALE, ResponseCode.INVALID)


STEPS = {
    Story.act: 6,
    Story.hand_over: 8,
    Story.accept: 6,
    Story.reject: 2,
    Story.end: 4,
    Story.extend: 2,
    Story.disown: 1,
    Story.wait: 3,
    Story.cancel: 1,
    Story.expire: 1,
}
CHOICES = [step for step, weight in STEPS.items() for _ in range(weight)]


@settings(max_examples=400)
@given(st.lists(st.tuples(st.sampled_from(CHOICES), st.integers(0, 20)), min_size=20, max_size=60))
def test_a_lane_keeps_its_states_its_order_and_its_credit(steps: list[tuple[object, int]]) -> None:
    story = Story()
    story.act(0)
    for step, number in steps:
        assert callable(step)
        step(story, number)


@pytest.mark.parametrize("seconds", [1, 10, 100, 1_000])
def test_a_server_that_extends_a_lease_keeps_what_another_has_promised(seconds: int) -> None:
    """The extension does not shorten the remaining time of the lease. The stored duration of the
    lease is at least as long as the remaining time.
    """
    now, left = Instant(5_000 * SECOND), 60 * SECOND
    lane = Lane(
        provider="SAT",
        subscription="S1",
        server="one",
        lease_start=now,
        lease_until=Instant(now + left),
        lease_duration=left,
    )
    steady = Instant(now - 700 * SECOND)
    change = extend(
        lane, server="two", duration=seconds * SECOND, most=200 * SECOND, steady=steady, now=now
    )
    expected = max(left, min(seconds, 200) * SECOND)

    assert change.lane.server == "two"
    assert change.lane.left(steady) == expected <= change.lane.lease_duration


def test_an_extension_does_not_lengthen_a_lease_by_the_difference_of_two_clocks() -> None:
    """The steady clock of the process that gave the lease is an hour ahead."""
    now = Instant(10_000 * SECOND)
    ahead = Instant(now + 3_600 * SECOND)
    lane = Lane(
        provider="P",
        subscription="S",
        server="first",
        lease_start=now,
        lease_until=Instant(ahead + 30 * SECOND),
        lease_duration=30 * SECOND,
    )
    extended = extend(lane, server="second", duration=None, most=MOST, steady=now, now=now).lane

    assert extended.left(now) == 30 * SECOND
