"""Plays a random history on a store, and compares the store with simulated platforms."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from generic_provider_server.commands.cancel_or_resolve import CancelRequest, ResolveRequest
from generic_provider_server.commands.due import ExpireOverdue
from generic_provider_server.commands.perform import Done
from generic_provider_server.commands.report import Entry, Outcome, Report
from generic_provider_server.commands.reset import ResetSubscription
from generic_provider_server.commands.scheduled import CancelScheduled
from generic_provider_server.domain.actions import AnyAction, Terminate
from generic_provider_server.domain.refusals import Refused
from generic_provider_server.domain.subscription.pending_requests import Pending
from generic_provider_server.domain.subscription.records import ActionState
from generic_provider_server.domain.values import (
    SECOND,
    Instant,
    RequestState,
    Subscription,
    SyncState,
)
from generic_provider_server.store.read.filters import ActionFilter

from .adapters import ACCEPTED, REJECTED, Adapters, Place
from .rarer_acting import RarerCrm
from .reporting import reported
from .truth import Truth

WEIGHTS = {
    "act": 32,
    "claim": 12,
    "serve": 50,
    "lose": 9,
    "late": 9,
    "operate": 6,
    "let time pass": 4,
    "reset": 3,
    "report": 3,
    "switch provider": 2,
}


@dataclass(slots=True)
class History(Adapters):
    """A random history: random steps of the CRM, the adapters, operators and the clock. After each
    step of `play`, the object `truth` checks its rules.
    """

    crm: RarerCrm = field(init=False)
    subscriptions: tuple[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random()
        self._reseed(self.seed)
        serials = [f"{self.seed}-{n}" for n in range(4)]
        self.crm = RarerCrm(chance=self.chance, providers=self.providers, serials=serials)
        self.subscriptions = (f"{self.seed}-A", f"{self.seed}-B")
        self.truth = Truth(self.bench, self.platforms, self.subscriptions)
        for provider in self.providers:
            self._connect(provider.code)
            self._connect(provider.code)

    def _reseed(self, seed: int) -> None:
        random.seed(seed)  # so that the service draws the same jitter of delays in each play
        self.chance.seed(seed)

    async def play(self, steps: Sequence[tuple[str, int]]) -> list[SyncState]:
        """Plays the steps, each with its seed. Then all requests are accepted. Returns the sync
        state of every link after that.
        """
        await self._do(steps)
        await self._drain()
        states = await self.truth.check_all()
        await self._say_goodbye()
        return states

    async def _do(self, steps: Sequence[tuple[str, int]]) -> None:
        kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "act": self._act,
            "claim": self._claim,
            "serve": self._serve,
            "lose": self._lose,
            "late": self._late,
            "operate": self._operate,
            "let time pass": self._let_time_pass,
            "reset": self._reset_one,
            "report": self._report,
            "switch provider": self._switch_provider,
        }
        for kind, seed in steps:
            self._reseed(seed)
            await kinds[kind]()
            self._check_streams()
            await self.truth.check()

    async def _act(self) -> None:
        number = self.chance.choice(self.subscriptions)
        await self._expire_overdue(number)
        before = await self.truth.record(number)
        now = self.bench.clock.now
        action = self._any_action(number, before.aggregate.desired if before else None, now)
        asked: dict[str, Any] = {
            "request_id": f"{self.seed}-{len(self.log)}",
            "bulk": self.chance.random() < 0.2,
        }
        perform = self.bench.perform
        if self.chance.random() < 0.15:
            perform = partial(self.bench.schedule, seconds=self._span())
        preview = await self._preview(action, number)
        try:
            done = await perform(action, number, **asked)
        except Refused as refused:
            self.log.append(f"{number} {action}: {refused.reason}")
            assert preview is None or perform is not self.bench.perform
            return
        made = done.action
        if perform is self.bench.perform:
            assert preview, "refused only as a preview"
            assert _without_numbers(done) == _without_numbers(preview)
        self.log.append(f"{number} {action} -> {made.id} {made.state.name} {made.requests}")
        if self.chance.random() < 0.1:
            again = await perform(action, number, **asked)
            assert again.action == done.action
            assert again.subscription == done.subscription

    def _any_action(self, number: str, state: Subscription | None, now: Instant) -> AnyAction:
        rare = self.chance.random() < 0.3
        if state is None:
            return self.crm.rarely_become(number, now) if rare else self.crm.become(number)
        wide = self.chance.random() < 0.3
        kind = self.crm.rare_action if rare else self.crm.wide_action if wide else self.crm.action
        return kind(state, now)

    async def _expire_overdue(self, number: str) -> None:
        """Expires overdue requests now. Otherwise a claim for a stream could do so between two
        steps of a comparison.
        """
        if await self.truth.is_overdue(number):
            for provider in self.providers:
                await self.bench.store.do(ExpireOverdue(provider=provider.code))

    async def _preview(self, action: AnyAction, number: str) -> Done | None:
        """Returns the preview of the action, or None if the action is refused. Checks that the
        preview changes nothing.
        """
        before = await self.truth.record(number)
        try:
            preview = await self.bench.perform(action, number, validate_only=True)
        except Refused:
            preview = None
        assert await self.truth.record(number) == before
        return preview

    async def _reset_one(self) -> None:
        """Previews the reset of a subscription, resets the subscription, and resets it a second
        time.
        """
        number, way = self.chance.choice(self.subscriptions), self.chance.randrange(4)
        reset = ResetSubscription(
            subscription=number,
            provider=self.chance.choice(("", self._any_provider())),
            digest=b"",
            full=way == 2,
            recreate=way == 3,
        )
        await self._expire_overdue(number)
        try:
            preview = await self.bench.store.do(replace(reset, validate_only=True))
            done = await self.bench.store.do(reset)
        except Refused as refused:
            self.log.append(f"{number} is not reset: {refused.reason}")
            return
        self.log.append(f"{number} reset {way}: {[r.number for r in done.requests]}")
        assert [r.request for r in preview.requests] == [r.request for r in done.requests]
        if not reset.recreate:
            assert not (await self.bench.store.do(reset)).requests, "reset twice"

    def _any_provider(self) -> str:
        return self.chance.choice(self.providers).code

    async def _report(self) -> None:
        """Reports what a platform holds for a subscription."""
        number, provider = self.chance.choice(self.subscriptions), self._any_provider()
        record = await self.truth.record(number)
        link = record and record.aggregate.link(provider)
        if not link:
            return
        there = self.platforms[provider].subscribers.get(number)
        catalogue = self.bench.store.catalogues[provider]
        held = reported(there, catalogue, known=link.confirmed, chance=self.chance)
        time = Instant(self.bench.clock.now + self.chance.choice((0, 301)) * SECOND)
        entries = (Entry(subscription=number, held=held),)
        report = Report(provider=provider, observed_time=time, entries=entries)
        (result,) = await self.bench.store.do(report)
        self.log.append(f"{provider} reports {number}: {result.outcome.name}")
        stale = bool(link.queue) or link.settle_time > time - 300 * SECOND
        stale = stale or link.observed_time > time
        assert (result.outcome is Outcome.SKIPPED) == stale

    async def _lose(self) -> None:
        if self.live:
            await self._lose_one(self.chance.choice(list(self.live.values())))

    async def _late(self) -> None:
        """Sends an answer or another call with the token of a lease that has ended."""
        if not self.ended:
            return
        if self.lost and self.chance.random() < 0.6:
            await self._answer_dead(*self.chance.choice(self.lost[-4:]), None)
            return
        work = self.chance.choice(self.ended[-8:])
        if self.chance.random() < 0.1:
            lease = work.handed.lane.lease
            assert not (await self.bench.extend(lease)).live
            assert not (await self.bench.release(lease)).live
            self.lapsed.pop(lease.stream, None)
            return
        position = self.chance.randrange(len(work.handed.requests))
        await self._answer_dead(work, position, None)

    async def _operate(self) -> None:
        pending = await self.truth.pending()
        if not pending:
            return
        place, request = self.chance.choice(pending)
        command: CancelRequest | ResolveRequest = CancelRequest(
            request=request.number, reason="stuck", end_lease=self.chance.random() < 0.5
        )
        if self.chance.random() < 0.5:
            request = next(first for p, first in pending if p == place)
            command = self._resolution(place, request)
        self.log.append(f"{place} {command}")
        work = self.live.get(place)
        if work and request.number not in [r.number for r in work.handed.requests]:
            work = None
        if work and not command.end_lease:
            with pytest.raises(Refused, match="set end_lease"):
                await self.bench.store.do(command)
            return
        done = await self.bench.store.do(command)
        assert done.state in {RequestState.REJECTED, RequestState.COMPLETED}
        if work:
            self._end(work)

    def _resolution(self, place: Place, pending: Pending) -> ResolveRequest:
        """Resolves a request, as an operator does who has checked the platform, or has changed the
        platform by hand.
        """
        done = pending.number in self.applied
        if not done and self.chance.random() < 0.5:
            done = self._apply(place, pending.number, pending.request)
        return ResolveRequest(
            request=pending.number, accepted=done, reason="looked", end_lease=True
        )

    async def _let_time_pass(self) -> None:
        await self._wait(self._span())

    def _span(self) -> int:
        spans = (1, 10, 40, 400, 4_000, 100_000, 700_000)
        return self.chance.choices(spans, (8, 8, 8, 8, 2, 1, 1))[0]

    async def _wait(self, seconds: int) -> None:
        self._take_handed_over()
        self.log.append(f"{seconds} s pass")
        self.bench.clock.advance(seconds)
        for work in list(self.live.values()):
            if work.until <= self.bench.clock.now:
                self.lapsed[work.stream.id] = self.lapsed.get(work.stream.id, 0) + work.left
                self._end(work)
        await self.bench.pass_time(0)

    async def _switch_provider(self) -> None:
        stopped = [p for p in self.providers if not self.truth.effective(p.code)]
        provider = self.chance.choice(stopped or self.providers).code
        if self.truth.effective(provider):
            await self.bench.stop_provider(provider)
        else:
            await self.bench.start_provider(provider)
        self.log.append(f"{provider} switched")

    async def _drain(self) -> None:
        """Runs an adapter that accepts every request that its platform can apply."""
        for provider in self.providers:
            await self.bench.start_provider(provider.code)
        for stream in list(self.streams):
            await self._break(stream)
        for _ in range(100):
            if not await self.truth.pending():
                return
            await self._claim()
            if not self.live:
                await self._wait(400)
            while self.live:
                work = next(iter(self.live.values()))
                done = self._apply_next(work)
                await self._answer(work, ACCEPTED if done else REJECTED)
                self._take_handed_over()
        raise AssertionError("the backlog does not drain")

    async def _say_goodbye(self) -> None:
        """Cancels the scheduled actions, terminates the subscriptions, and answers all requests,
        because the next history uses the same store.
        """
        wanted = ActionFilter(states=(ActionState.SCHEDULED,))
        for each in await self.bench.store.read(lambda q: q.actions(wanted, before=0, limit=1_000)):
            cancel = CancelScheduled(action=each.id, subscription=each.subscription)
            assert (await self.bench.store.do(cancel)).state is ActionState.CANCELLED
        for aggregate in await self.truth.aggregates():
            if aggregate.desired.live:
                await self.bench.perform(Terminate(), aggregate.desired.number)
        await self._drain()
        await self.truth.check_all()
        for stream in list(self.streams):
            self._disconnect(stream)


def _without_numbers(done: Done) -> tuple[object, ...]:
    requests = [(r.provider, r.type, r.origin, r.request) for r in done.requests]
    aggregate = done.subscription and done.subscription.aggregate
    states = aggregate and [(link.provider, link.sync_state) for link in aggregate.links]
    return requests, aggregate and aggregate.desired, states, done.left_out
