"""Plays a history made up by chance against a store, with simulated platforms as the truth."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from generic_provider_server.domain.actions import Terminate
from generic_provider_server.domain.aggregate import Pending
from generic_provider_server.domain.image import Request
from generic_provider_server.domain.lease import ResponseCode, ResponseStatus, judge_final
from generic_provider_server.domain.records import RequestRecord
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.values import (
    SECOND,
    Instant,
    Provider,
    RequestState,
    SyncState,
)
from generic_provider_server.services.claiming import Handed
from generic_provider_server.services.delivery import Delivery, Stream
from generic_provider_server.services.operating import CancelRequest, ResolveRequest
from generic_provider_server.services.responding import Response, Verdict, respond

from .acting import Crm
from .bench import Bench
from .platform import PlatformRefuses, SimulatedPlatform
from .truth import Truth

ACCEPTED, REJECTED, RETRY_LATER = ResponseStatus
Place = tuple[str, str]
"""(provider, subscription)"""


@dataclass(slots=True, eq=False)
class Work:
    """A lease as its adapter has it: the first `applied` requests are done on the platform, the
    first `answered` ones are answered."""

    handed: Handed
    stream: Stream
    until: Instant
    applied: int = 0
    answered: int = 0

    @property
    def place(self) -> Place:
        return self.handed.lane.provider, self.handed.lane.subscription

    @property
    def left(self) -> int:
        return len(self.handed.requests) - self.answered


@dataclass(slots=True)
class History:
    """`step` does something; what it does must hold in `truth`, and is told in `log`."""

    bench: Bench
    delivery: Delivery
    platforms: Mapping[str, SimulatedPlatform]
    providers: Sequence[Provider]
    seed: int
    chance: random.Random = field(init=False)
    crm: Crm = field(init=False)
    truth: Truth = field(init=False)
    subscriptions: tuple[str, str] = field(init=False)
    log: list[str] = field(default_factory=list)
    live: dict[Place, Work] = field(default_factory=dict)
    ended: list[Work] = field(default_factory=list)
    lost: list[tuple[Work, int]] = field(default_factory=list)
    applied: set[int] = field(default_factory=set)
    streams: list[Stream] = field(default_factory=list)
    lapsed: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        random.seed(self.seed)  # the services' jitter
        self.chance = random.Random(self.seed)
        serials = [f"{self.seed}-{n}" for n in range(4)]
        self.crm = Crm(chance=self.chance, providers=self.providers, serials=serials)
        self.subscriptions = (f"{self.seed}-A", f"{self.seed}-B")
        self.truth = Truth(self.bench, self.platforms, self.subscriptions)
        for provider in self.providers:
            self._connect(provider.code)
            self._connect(provider.code)

    async def play(self, steps: int) -> list[SyncState]:
        """Returns the sync state of every link once everything was accepted."""
        kinds: dict[Callable[[], Awaitable[None]], int] = {
            self._act: 32,
            self._claim: 12,
            self._serve: 50,
            self._lose: 9,
            self._late: 9,
            self._operate: 6,
            self._let_time_pass: 4,
            self._switch_provider: 2,
        }
        try:
            for _ in range(steps):
                (kind,) = self.chance.choices(list(kinds), list(kinds.values()))
                await kind()
                self._check_streams()
                await self.truth.check()
            await self._drain()
            states = await self.truth.check_all()
            await self._say_goodbye()
        except Exception as error:
            story = "\n".join(self.log[-200:])
            raise AssertionError(f"history {self.seed}: {error!r}\n{story}") from error
        return states

    def _connect(self, provider: str) -> None:
        stream = Stream(
            provider=provider,
            adapter="adapter",
            version="1",
            peer="peer",
            max_in_flight=self.chance.choice((1, 2, 3, 5, 100)),
            lease_duration=self.chance.choice((5, 30, 600)) * SECOND + SECOND // 2,
            include_target=self.chance.random() < 0.5,
            id=f"{self.seed}-{len(self.log)}-{len(self.streams)}",
        )
        self.streams.append(stream)
        self.delivery.streams[stream.id] = stream

    def _disconnect(self, stream: Stream) -> None:
        self.streams.remove(stream)
        del self.delivery.streams[stream.id]

    async def _act(self) -> None:
        number = self.chance.choice(self.subscriptions)
        before = await self.truth.record(number)
        now = self.bench.clock.now
        action = (
            self.crm.action(before.aggregate.desired, now) if before else self.crm.become(number)
        )
        request_id = f"{self.seed}-{len(self.log)}"
        bulk = self.chance.random() < 0.2
        try:
            done = await self.bench.perform(action, number, request_id=request_id, bulk=bulk)
        except Refused as refused:
            self.log.append(f"{number} {action}: {refused.reason}")
            assert refused.reason is not Reason.INTERNAL
            return
        self.log.append(f"{number} {action} -> {done.action.id} {done.action.requests}")
        if self.chance.random() < 0.1:
            again = await self.bench.perform(action, number, request_id=request_id, bulk=bulk)
            assert again.action == done.action
            assert again.subscription == done.subscription

    async def _claim(self) -> None:
        streams = self.chance.sample(self.streams, len(self.streams))
        provider = streams[0].provider
        streams = [s for s in streams if s.provider == provider and s.credit > 0]
        shares = await self.bench.claims(
            provider, *[s.demand() for s in streams], turn=self.chance.randrange(5)
        )
        for stream, share in zip(streams, shares, strict=True):
            for handed in share:
                self._take(Work(handed, stream, handed.lane.lease_until))

    def _take(self, work: Work) -> None:
        numbers = [r.number for r in work.handed.requests]
        self.log.append(f"{work.place} lease {work.handed.lane.handover} of {numbers}")
        assert work.place not in self.live, "a second live lease"
        assert self.truth.effective(work.place[0]), "handed over while not effective"
        self.live[work.place] = work

    async def _serve(self) -> None:
        if not self.live:
            await self._claim()
            return
        work = self.chance.choice(list(self.live.values()))
        request = work.handed.requests[work.answered]
        ahead = work.applied > work.answered
        roll = self.chance.random()
        if roll < 0.25:
            self._apply_next(work)
            if self.chance.random() < 0.4:
                await self._lose_one(work)
        elif roll < 0.28 and work.left > 1:
            await self._answer_dead(work, work.answered + 1, ResponseCode.OUT_OF_ORDER)
        elif roll < 0.34:
            await self._answer(work, RETRY_LATER)
        elif roll < 0.46 and not ahead and request.number not in self.applied:
            await self._answer(work, REJECTED)
        elif ahead or self._apply_next(work):
            await self._answer(work, ACCEPTED)
        elif work.applied == work.answered:
            await self._answer(work, REJECTED)

    def _apply_next(self, work: Work) -> bool:
        """Has the platform done it?"""
        if work.applied == len(work.handed.requests):
            return True
        request = work.handed.requests[work.applied]
        done = self._apply((request.provider, request.subscription), request.number, request.request)
        work.applied += done
        return done

    def _apply(self, place: Place, number: int, request: Request) -> bool:
        provider, subscription = place
        try:
            self.platforms[provider].apply(subscription, request)
        except PlatformRefuses as refuses:
            self.log.append(f"R{number} {request.type.name} refused by the platform: {refuses}")
            return False
        self.log.append(f"R{number} {request.type.name} done by the platform")
        self.applied.add(number)
        return True

    async def _answer(self, work: Work, status: ResponseStatus) -> None:
        """The live lease's next answer: it must be applied, and its repetition change nothing."""
        request = work.handed.requests[work.answered]
        response = self._response(work, work.answered, status)
        verdict = await self._respond(work, response)
        assert verdict.code is ResponseCode.APPLIED, verdict
        if status is not RETRY_LATER:
            self.truth.reached_its_end(request)
        work.answered += 1
        if status is not ACCEPTED or not work.left:
            self._end(work)
        if self.chance.random() < 0.15:
            before = await self.truth.record(request.subscription)
            again = await self._respond(work, response)
            assert again.code is not ResponseCode.APPLIED
            assert again.state is verdict.state
            assert status is RETRY_LATER or again.code is ResponseCode.DUPLICATE
            assert await self.truth.record(request.subscription) == before

    async def _answer_dead(self, work: Work, position: int, code: ResponseCode | None) -> None:
        """An answer that must not change the request."""
        done = position < work.applied
        status = ACCEPTED if done else self.chance.choice((REJECTED, RETRY_LATER))
        request = work.handed.requests[position]
        before = await self.bench.request(request.number)
        verdict = await self._respond(work, self._response(work, position, status))
        expected = code or _verdict_on_late(before, status)
        assert (verdict.code, verdict.state) == (expected, before.state)
        assert (await self.bench.request(request.number)).state is before.state

    def _response(self, work: Work, position: int, status: ResponseStatus) -> Response:
        return Response(
            request=work.handed.requests[position].number,
            lease_token=self.bench.token(work.handed),
            status=status,
            error_code="" if status is ACCEPTED else "E",
            retry_delay=self.chance.choice((None, 0, SECOND, 40 * SECOND)),
        )

    async def _respond(self, work: Work, response: Response) -> Verdict:
        command = respond(work.place[0], (response,), key=self.bench.store.token_key)
        judged = await self.bench.store.do(command)
        self._heard(work.stream)
        self.log.append(f"{response.request} {response.status.name}: {judged.verdicts[0]}")
        return judged.verdicts[0]

    def _heard(self, stream: Stream) -> None:
        self.delivery.heard([stream.id])
        self.lapsed.pop(stream.id, None)

    def _end(self, work: Work) -> None:
        self.live.pop(work.place, None)
        self.ended.append(work)
        self.lost += [(work, n) for n in range(work.answered, work.applied)]

    async def _lose(self) -> None:
        if self.live:
            await self._lose_one(self.chance.choice(list(self.live.values())))

    async def _lose_one(self, work: Work) -> None:
        """A release, an extension, or a stream that breaks."""
        lease = work.handed.lane.lease
        roll = self.chance.random()
        if roll < 0.2:
            state = await self.bench.extend(lease, seconds=self.chance.choice((None, 9.5, 9_999)))
            assert state.live
            work.until = max(work.until, self._extended(state.remaining))
            self._heard(work.stream)
            self.log.append(f"{work.place} extended")
        elif roll < 0.5:
            assert (await self.bench.release(lease)).live
            self._heard(work.stream)
            self.log.append(f"{work.place} released")
            self._end(work)
        else:
            await self._break(work.stream)

    def _extended(self, remaining: int) -> Instant:
        return Instant(self.bench.clock.now + remaining)

    async def _break(self, stream: Stream) -> None:
        self.log.append(f"stream {stream.id} breaks")
        self._disconnect(stream)
        while await self.bench.break_stream(stream.provider, stream.id):
            pass
        for work in [w for w in self.live.values() if w.stream is stream]:
            self._end(work)
        self._connect(stream.provider)

    async def _late(self) -> None:
        """An answer, or worse, under a token of a lease that has ended."""
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
        try:
            done = await self.bench.store.do(command)
        except Refused as refused:
            assert refused.reason is Reason.REQUEST_LEASED
            return
        assert done.state in {RequestState.REJECTED, RequestState.COMPLETED}
        work = self.live.get(place)
        if work and request.number in [r.number for r in work.handed.requests]:
            self._end(work)

    def _resolution(self, place: Place, pending: Pending) -> ResolveRequest:
        """By a person who has looked at the platform, or has done it there by hand."""
        done = pending.number in self.applied
        if not done and self.chance.random() < 0.5:
            done = self._apply(place, pending.number, pending.request)
        return ResolveRequest(
            request=pending.number, accepted=done, reason="looked", end_lease=True
        )

    async def _let_time_pass(self) -> None:
        spans = (1, 10, 40, 400, 4_000, 100_000, 700_000)
        await self._wait(self.chance.choices(spans, (8, 8, 8, 8, 2, 1, 1))[0])

    async def _wait(self, seconds: int) -> None:
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
        """An adapter that accepts whatever its platform can do."""
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
        raise AssertionError("the backlog does not drain")

    async def _say_goodbye(self) -> None:
        """So that nothing is left to do for those who come later."""
        for aggregate in await self.truth.aggregates():
            if aggregate.desired.live:
                await self.bench.perform(Terminate(), aggregate.desired.number)
        await self._drain()
        await self.truth.check_all()
        for stream in list(self.streams):
            self._disconnect(stream)

    def _check_streams(self) -> None:
        for stream in self.streams:
            left = sum(work.left for work in self.live.values() if work.stream is stream)
            lapsed = self.lapsed.get(stream.id, 0)
            assert (stream.in_flight, stream.ran_out) == (left, lapsed), stream
            assert left + lapsed <= stream.max_in_flight


def _verdict_on_late(request: RequestRecord, status: ResponseStatus) -> ResponseCode:
    if request.state is RequestState.PENDING:
        return ResponseCode.STALE
    return judge_final(request.state, status)
