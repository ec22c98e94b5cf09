"""Contains an adapter on the generated stubs that keeps the rules and shares no code with the
bundled adapter, and a platform that records who begins which request, and when.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import grpc
import grpc.aio

from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub

QUIET_SECONDS = 12.0
SILENCE_SECONDS = 30.0
CALL_SECONDS = 3.0
ON_THE_WAY = 0.2
"""For this number of seconds after the end of a stream, its adapter may not know yet that the
stream has ended.
"""
ON = frozenset({pb.REQUEST_TYPE_ACTIVATE_SERVICE, pb.REQUEST_TYPE_BECOME_SUBSCRIBER})


@dataclass
class Piece:
    """The work on one request, from its beginning to its end."""

    adapter: str
    subscription: str
    request: str
    stream: RawStream
    begin: float
    end: float = float("inf")


@dataclass
class WatchedPlatform:
    """A platform that records the work on it. `seconds`: the longest time that a request takes."""

    chance: random.Random
    seconds: float
    pieces: list[Piece] = field(default_factory=list)
    holds: dict[str, set[str]] = field(default_factory=dict)

    async def apply(
        self, request: pb.ProvisioningRequest, *, adapter: str, stream: RawStream
    ) -> None:
        piece = Piece(adapter, request.subscription, request.number, stream, time.monotonic())
        self.pieces.append(piece)
        await asyncio.sleep(self.chance.uniform(0, self.seconds))
        held = self.holds.setdefault(request.subscription, set())
        named = {each.service for each in (*request.services, request.service) if each.service}
        if request.type == pb.REQUEST_TYPE_BECOME_SUBSCRIBER:
            held.clear()
        if request.type in ON:
            held |= named
        else:
            held -= named
        piece.end = time.monotonic()

    def at_once(self) -> list[tuple[Piece, Piece]]:
        """Returns pairs of work that two adapters did on one subscription at the same time, while
        the stream of the first adapter was open. (After the end of its stream, an adapter may
        finish what it has begun.)
        """
        found = []
        for pieces in self._by_subscription():
            pieces.sort(key=lambda piece: piece.begin)
            for first, second in pairwise(pieces):
                others = first.adapter != second.adapter
                cut_at = first.stream.ended_at - ON_THE_WAY
                if others and second.begin < min(first.end, cut_at):
                    found.append((first, second))
        return found

    def out_of_order(self) -> list[tuple[Piece, Piece]]:
        """Returns pairs of requests of one subscription that were applied in the wrong order,
        although the stream of the request that was applied last had not ended.
        """
        return [
            (first, second)
            for pieces in self._by_subscription()
            for first, second in pairwise(sorted(pieces, key=lambda piece: piece.end))
            if second.request < first.request and second.end < second.stream.ended_at
        ]

    def _by_subscription(self) -> list[list[Piece]]:
        found: dict[str, list[Piece]] = {}
        for piece in self.pieces:
            found.setdefault(piece.subscription, []).append(piece)
        return list(found.values())


class RawStream:
    def __init__(self) -> None:
        self.drained = False
        self.ended_at = float("inf")
        self.replaced = asyncio.Event()
        self._opened, self._heard = time.monotonic(), False
        self._ahead = self.sent = 0.0

    def hear(self, message: api.StreamPendingRequestsResponse) -> None:
        self.sent = message.sent_time.ToNanoseconds() / 1e9
        ahead = self.sent - (time.monotonic() if self._heard else self._opened)
        self._ahead, self._heard = max(self._ahead, ahead), True

    def time(self) -> float:
        return time.monotonic() + self._ahead

    def may_begin(self) -> bool:
        ended = self.ended_at < float("inf")
        return self.drained or (not ended and self.time() - self.sent < QUIET_SECONDS)


class RawLease:
    def __init__(self, given: api.SubscriptionRequests, stream: RawStream) -> None:
        self.token, self.stream = given.lease_token, stream
        self.requests = deque(given.requests)
        self.seconds = given.lease_duration.ToNanoseconds() / 1e9
        self.until = stream.sent + self.seconds

    def is_late(self) -> bool:
        return self.until - self.stream.time() < self.seconds / 2

    def may_begin(self) -> bool:
        return self.stream.time() < self.until and self.stream.may_begin()


class RawAdapter:
    """The adapter. The adapter opens its stream at `servers[0]`, and makes its other calls at any
    of `servers`.
    """

    def __init__(
        self, name: str, servers: Sequence[str], *, platform: WatchedPlatform, lease: float
    ) -> None:
        self._name = name
        self._servers = servers
        self._platform = platform
        self._lease = lease
        self._newest: dict[str, RawLease] = {}
        self._answers: dict[str, api.ProvisioningResponse] = {}
        self._tasks: asyncio.TaskGroup

    async def run(self, provider: str) -> None:
        self._provider = provider
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._extend())
            while True:
                stream = RawStream()
                self._tasks.create_task(self._listen(stream))
                await stream.replaced.wait()
                await asyncio.sleep(random.uniform(0, 0.3))

    async def _listen(self, stream: RawStream) -> None:
        request = api.StreamPendingRequestsRequest(
            provider=self._provider, adapter=self._name, max_in_flight=50
        )
        request.lease_duration.FromMilliseconds(int(self._lease * 1_000))
        try:
            async with grpc.aio.insecure_channel(self._servers[0]) as channel:
                call = ProvisioningServiceStub(channel).StreamPendingRequests(request)
                while True:
                    # not `asyncio.wait_for`, which may swallow a cancellation before Python 3.12
                    async with asyncio.timeout(SILENCE_SECONDS):
                        message = await call.read()
                    if not isinstance(message, api.StreamPendingRequestsResponse):
                        break
                    self._hear(stream, message)
        except (grpc.RpcError, TimeoutError):
            pass  # after every end of a stream, the adapter opens a new stream
        finally:
            stream.ended_at = time.monotonic()
            stream.replaced.set()

    def _hear(self, stream: RawStream, message: api.StreamPendingRequestsResponse) -> None:
        stream.hear(message)
        if message.HasField("drain"):
            stream.drained = True
            stream.replaced.set()
        for given in message.batch.subscriptions:
            lease = RawLease(given, stream)
            if lease.is_late():
                self._tasks.create_task(self._release(lease, stop=True))
                stream.replaced.set()
                continue
            busy = given.subscription in self._newest
            self._newest[given.subscription] = lease
            if not busy:
                self._tasks.create_task(self._work_off(given.subscription))

    async def _work_off(self, subscription: str) -> None:
        while (lease := self._newest[subscription]).requests and lease.may_begin():
            request = lease.requests[0]
            if request.number not in self._answers:
                await self._platform.apply(request, adapter=self._name, stream=lease.stream)
                self._answers[request.number] = api.ProvisioningResponse(
                    request=request.number, status=api.RESPONSE_STATUS_ACCEPTED
                )
            newest = self._newest[subscription]
            if newest.requests and newest.requests[0].number == request.number:
                lease = newest
            lease.requests.popleft()
            await self._answer(request.number, lease.token)
        left = self._newest.pop(subscription)
        if left.requests:
            await self._release(left, stop=False)

    async def _answer(self, request: str, token: str) -> None:
        answer = self._answers[request]
        answer.lease_token = token
        sent = api.SendResponsesRequest(provider=self._provider, responses=[answer])
        results = await self._call("SendResponses", sent)
        if results.results[0].code != api.RESPONSE_CODE_STALE:
            del self._answers[request]

    async def _release(self, lease: RawLease, *, stop: bool) -> None:
        request = api.ReleaseLeasesRequest(lease_tokens=[lease.token], stop=stop)
        await self._call("ReleaseLeases", request)

    async def _extend(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            leases = [each for each in self._newest.values() if each.stream.time() < each.until]
            if not leases:
                continue
            began = [each.stream.time() for each in leases]
            request = api.ExtendLeasesRequest(lease_tokens=[each.token for each in leases])
            with suppress(grpc.RpcError):
                extended = await self._call_once("ExtendLeases", request)
                for lease, at, result in zip(leases, began, extended.results, strict=True):
                    seconds = result.lease_duration.ToNanoseconds() / 1e9
                    lease.until = at + seconds if result.live else 0.0

    async def _call(self, name: str, request: object) -> Any:
        while True:
            try:
                return await self._call_once(name, request)
            except grpc.RpcError:
                await asyncio.sleep(random.uniform(0, 0.2))

    async def _call_once(self, name: str, request: object) -> Any:
        async with grpc.aio.insecure_channel(random.choice(self._servers)) as channel:
            stub = ProvisioningServiceStub(channel)
            return await getattr(stub, name)(request, timeout=CALL_SECONDS)
