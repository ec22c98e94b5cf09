"""Plays random adapters of two platforms. The adapters lose answers and streams, or stop."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from generic_provider_server.commands.answers import Response, respond
from generic_provider_server.commands.claim import Handed
from generic_provider_server.commands.live_leases import Withdraw
from generic_provider_server.domain.platform.doubt import doubt_only
from generic_provider_server.domain.platform.named_elements import Name, names
from generic_provider_server.domain.platform.request import Request
from generic_provider_server.domain.subscription.request_records import RequestRecord
from generic_provider_server.domain.values import (
    SECOND,
    Instant,
    Provider,
    RequestState,
    RequestType,
)
from generic_provider_server.domain.verdicts import (
    ResponseCode,
    ResponseStatus,
    Verdict,
    judge_final,
)
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.services.streams import AdapterStream

from .bench import Bench
from .platform import PlatformRefuses, SimulatedPlatform, subscriber
from .truth import Truth

ACCEPTED, REJECTED, RETRY_LATER = ResponseStatus
Place = tuple[str, str]
"""(provider, subscription)"""


@dataclass(slots=True, eq=False)
class HeldLease:
    """A lease as its adapter knows it. The platform has applied the first `applied` requests, and
    the adapter has answered the first `answered` requests.
    """

    handed: Handed
    stream: AdapterStream
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
class Adapters:
    """The adapters, and the leases that they know. The server's verdicts must agree with these
    leases. `lapsed`: for each stream, the number of requests on leases that ran out since the
    adapter last sent something. `lost`: requests that the platform has applied, and whose lease
    ended before the adapter answered them. `handed`: all requests in the order of their hand-overs.
    """

    bench: Bench
    delivery: Delivery
    platforms: Mapping[str, SimulatedPlatform]
    providers: Sequence[Provider]
    seed: int
    chance: random.Random = field(init=False)
    truth: Truth = field(init=False)
    log: list[str] = field(default_factory=list)
    live: dict[Place, HeldLease] = field(default_factory=dict)
    ended: list[HeldLease] = field(default_factory=list)
    lost: list[tuple[HeldLease, int]] = field(default_factory=list)
    applied: set[int] = field(default_factory=set)
    streams: list[AdapterStream] = field(default_factory=list)
    lapsed: dict[str, int] = field(default_factory=dict)
    handed: list[RequestRecord] = field(default_factory=list)

    def _connect(self, provider: str) -> None:
        stream = AdapterStream(
            provider=provider,
            adapter=self.chance.choice(("one", "two")),
            version="1",
            peer="peer",
            max_in_flight=self.chance.choice((1, 2, 3, 5, 100)),
            lease_duration=self.chance.choice((5, 30, 600)) * SECOND + SECOND // 2,
            include_target=self.chance.random() < 0.5,
            id=f"{self.seed}-{len(self.log)}-{len(self.streams)}",
        )
        self.streams.append(stream)
        self.delivery.streams[stream.id] = stream

    def _disconnect(self, stream: AdapterStream) -> None:
        self.streams.remove(stream)
        del self.delivery.streams[stream.id]

    async def _claim(self) -> None:
        self._take_handed_over()
        streams = self.chance.sample(self.streams, len(self.streams))
        provider = streams[0].provider
        streams = [s for s in streams if s.provider == provider and s.wants_more()]
        shares = await self.bench.claims(
            provider, *[s.demand() for s in streams], turn=self.chance.randrange(5)
        )
        for stream, share in zip(streams, shares, strict=True):
            for handed in share:
                self._take(HeldLease(handed, stream, handed.lane.lease_until))

    def _take(self, work: HeldLease) -> None:
        numbers = [r.number for r in work.handed.requests]
        self.log.append(f"{work.place} lease {work.handed.lane.handover} of {numbers}")
        assert work.place not in self.live, "a second live lease"
        assert self.truth.effective(work.place[0]), "handed over while not effective"
        self.live[work.place] = work
        self.handed += work.handed.requests

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

    def _apply_next(self, work: HeldLease) -> bool:
        """Applies the next request on the platform. Returns False if the platform refuses it."""
        if work.applied == len(work.handed.requests):
            return True
        if not work.applied and self.chance.random() < 0.5 and self._overwrite(work):
            return True
        request = work.handed.requests[work.applied]
        done = self._apply(
            (request.provider, request.subscription), request.number, request.request
        )
        work.applied += done
        return done

    def _overwrite(self, work: HeldLease) -> bool:
        """Overwrites what the platform holds, except usage records, with the target of the
        hand-over, as some adapters do. Returns False if the hand-over has no target or contains
        usage records, or if the platform does not know the subscriber.
        """
        (provider, subscription), requests = work.place, work.handed.requests
        former = self.platforms[provider].subscribers.get(subscription)
        known = former or requests[0].type is RequestType.BECOME_SUBSCRIBER
        if not (known and work.handed.target) or any(each.request.usage for each in requests):
            return False
        now = subscriber(work.handed.target)
        now.usages = former.usages if former else {}
        self.platforms[provider].subscribers[subscription] = now
        work.applied = len(requests)
        # the target does not contain later requests that an earlier lease had applied
        self.applied -= {
            r.number for r in self.handed if (r.provider, r.subscription) == work.place
        }
        self.applied |= {each.number for each in requests}
        self.log.append(f"{work.place} is overwritten by the platform")
        return True

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

    async def _answer(self, work: HeldLease, status: ResponseStatus) -> None:
        """Sends the next answer under the live lease. Checks that the answer is applied, and that a
        repetition of the answer changes nothing.
        """
        request = work.handed.requests[work.answered]
        response = self._response(work, work.answered, status)
        verdict = await self._respond(work, response)
        assert verdict.code is ResponseCode.APPLIED, verdict
        assert verdict.state is (await self.bench.request(request.number)).state
        if status is not RETRY_LATER:
            self.truth.reached_its_end(request)
        work.answered += 1
        if status is not ACCEPTED or not work.left:
            self._end(work)
        if self.chance.random() < 0.15:
            before = await self.truth.record(request.subscription)
            may_expire = await self.truth.is_overdue(request.subscription)
            again = await self._respond(work, response)
            assert again.code is not ResponseCode.APPLIED
            assert again.state is verdict.state
            assert status is RETRY_LATER or again.code is ResponseCode.DUPLICATE
            assert may_expire or await self.truth.record(request.subscription) == before

    async def _answer_dead(self, work: HeldLease, position: int, code: ResponseCode | None) -> None:
        """Sends an answer that the server must not apply, and checks that the request keeps its
        state.
        """
        done = position < work.applied
        status = ACCEPTED if done else self.chance.choice((REJECTED, RETRY_LATER))
        request = work.handed.requests[position]
        before = await self.bench.request(request.number)
        may_expire = await self.truth.is_overdue(request.subscription)
        confirmed = await self.bench.confirmed(request.subscription, request.provider)
        verdict = await self._respond(work, self._response(work, position, status))
        expected = code or _verdict_on_late(before, status)
        after = await self.bench.request(request.number)
        assert (verdict.code, verdict.state) == (expected, after.state)
        if after.state is RequestState.EXPIRED and before.state is RequestState.PENDING:
            assert may_expire
        else:
            assert after.state is before.state
        repeated = before.handover == work.handed.lane.handover
        late = before.state is RequestState.COMPLETED and status is ACCEPTED and not repeated
        if late and not may_expire:
            doubted = doubt_only(confirmed, request.request, self._named_later(request))
            there = await self.bench.confirmed(request.subscription, request.provider)
            assert there == doubted, "after a late acceptance"

    def _named_later(self, request: RequestRecord) -> frozenset[Name]:
        """Returns the elements of this request that are also in requests handed over later."""
        numbers = [each.number for each in self.handed]
        last = len(numbers) - numbers[::-1].index(request.number)
        place = request.provider, request.subscription
        later = [r for r in self.handed[last:] if (r.provider, r.subscription) == place]
        return names(request.request) & frozenset().union(*[names(r.request) for r in later])

    def _response(self, work: HeldLease, position: int, status: ResponseStatus) -> Response:
        return Response(
            request=work.handed.requests[position].number,
            lease_token=self.bench.token(work.handed),
            status=status,
            error_code="" if status is ACCEPTED else self.chance.choice(("", "E", "E7")),
            account_number=self.chance.choice(("", "77", "78")),
            retry_delay=self.chance.choice((None, 0, SECOND, 40 * SECOND)),
        )

    async def _respond(self, work: HeldLease, response: Response) -> Verdict:
        command = respond(work.place[0], (response,), key=self.bench.store.token_key)
        judged = await self.bench.store.do(command)
        self._heard(work.stream)
        self.log.append(f"{response.request} {response.status.name}: {judged[0]}")
        return judged[0]

    def _heard(self, stream: AdapterStream) -> None:
        self.lapsed.pop(stream.id, None)

    def _end(self, work: HeldLease) -> None:
        self.live.pop(work.place, None)
        self.ended.append(work)
        self.lost += [(work, n) for n in range(work.answered, work.applied)]

    async def _lose_one(self, work: HeldLease) -> None:
        """Releases or extends the lease, breaks its stream, or withdraws the lease as the server
        does if it has not sent the lease.
        """
        lease = work.handed.lane.lease
        if not (work.applied or work.answered) and self.chance.random() < 0.2:
            await self._withdraw(work)
            return
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

    async def _withdraw(self, work: HeldLease) -> None:
        before = await self._tried(work)
        await self.bench.store.do(Withdraw(leases=(work.handed.lane.lease,)))
        self.log.append(f"{work.place} was not sent")
        del self.live[work.place]
        requests = {id(request) for request in work.handed.requests}
        self.handed = [each for each in self.handed if id(each) not in requests]
        assert await self._tried(work) == before, "a lease that was not sent counts no attempt"

    async def _tried(self, work: HeldLease) -> list[tuple[int, bool]]:
        """Returns, for each request of the lease that is still pending, the number of its attempts,
        and whether a hand-over of the request ended without an answer ACCEPTED or REJECTED.
        """
        numbers = {request.number for request in work.handed.requests}
        pending = [each for place, each in await self.truth.pending() if place == work.place]
        return [(each.attempts, each.touched) for each in pending if each.number in numbers]

    def _extended(self, remaining: int) -> Instant:
        return Instant(self.bench.clock.now + remaining)

    async def _break(self, stream: AdapterStream) -> None:
        self._take_handed_over()
        self.log.append(f"stream {stream.id} breaks")
        self._disconnect(stream)
        while await self.bench.break_stream(stream.provider, stream.id):
            pass
        for work in [w for w in self.live.values() if w.stream is stream]:
            self._end(work)
        self._connect(stream.provider)

    def _take_handed_over(self) -> None:
        """Takes the leases that were given in the transaction that made their requests ready."""
        for stream in self.streams:
            while not stream.events.empty():
                event = stream.events.get_nowait()
                assert isinstance(event, tuple), event
                for handed in event:
                    self._take(HeldLease(handed, stream, handed.lane.lease_until))

    def _check_streams(self) -> None:
        self._take_handed_over()
        for stream in self.streams:
            left = sum(work.left for work in self.live.values() if work.stream is stream)
            lapsed = self.lapsed.get(stream.id, 0)
            assert (stream.credit.in_flight, stream.credit.ran_out) == (left, lapsed), stream
            assert left + lapsed <= stream.max_in_flight


def _verdict_on_late(request: RequestRecord, status: ResponseStatus) -> ResponseCode:
    if request.state is RequestState.PENDING:
        return ResponseCode.STALE
    return judge_final(request.state, status)
