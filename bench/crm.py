"""Plays a CRM that puts load on a server: `python -m bench.crm KIND ADDRESS FIRST SECONDS CHANNELS
[IN_FLIGHT]`.

Kinds: `single` keeps 64 calls in flight; `batches` keeps IN_FLIGHT batches of 100 actions in
flight; `paced` offers 150 actions a second. `FIRST`: the first subscription that is changed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import cycle, islice

import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from generic_provider.v1.subscription_service_pb2 import BatchPerformActionsRequest
from generic_provider.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from .channels import channels
from .processes import say
from .setting import BATCH, changes

IN_FLIGHT = 64
FEW, MANY = 4, 32
PACE = 150
WARM_UP = 0.15
TURNS = 3


class Load:
    def __init__(
        self, channels: list[grpc.aio.Channel], *, first: int, seconds: float, in_flight: int
    ) -> None:
        self._channels = channels
        self._subscriptions = [SubscriptionServiceStub(each) for each in channels]
        self._seconds = seconds
        self._in_flight = in_flight
        self._changes = changes(first=first)
        self._called = 0

    async def single(self) -> None:
        """Makes no-op calls and performs actions in turn, so that other load of the machine affects
        both equally.
        """
        rates: dict[str, list[float]] = {"echo": [], "perform": []}
        check = self._channels[0].unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        perform = self._subscriptions[0].PerformAction
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "echo": lambda: check(HealthCheckRequest()),
            "perform": lambda: perform(next(self._changes)),
        }
        for kind in list(calls) * TURNS:
            rates[kind].append(await self._keep(calls[kind]))
            say(kind=kind, calls=self._called)
        say(**{kind: sum(each) / TURNS for kind, each in rates.items()})

    async def batches(self) -> None:
        stubs = cycle(self._subscriptions)

        async def one() -> None:
            batch = BatchPerformActionsRequest(actions=islice(self._changes, BATCH))
            for each in (await next(stubs).BatchPerformActions(batch)).results:
                if each.HasField("error"):
                    raise RuntimeError(each.error.message)

        in_flight = max(self._in_flight, len(self._channels))
        say(per_second=await self._keep(one, in_flight=in_flight) * BATCH)

    async def paced(self) -> None:
        start = time.monotonic()
        calls = []
        for n in range(int(PACE * self._seconds)):
            await asyncio.sleep(max(0.0, start + n / PACE - time.monotonic()))
            request = next(self._changes)
            say(subscription=request.subscription, sent=time.time())
            calls.append(asyncio.ensure_future(self._subscriptions[0].PerformAction(request)))
        await asyncio.gather(*calls)
        say(done=True)

    async def _keep(
        self, call: Callable[[], Awaitable[object]], *, in_flight: int = IN_FLIGHT
    ) -> float:
        """Makes a new call after each answer. Returns the number of answers in a second."""
        start = time.monotonic()
        warm, end = start + WARM_UP * self._seconds, start + self._seconds
        counted = self._called = 0

        async def one_after_another() -> None:
            nonlocal counted
            while (now := time.monotonic()) < end:
                await call()
                self._called += 1
                counted += now >= warm

        await asyncio.gather(*[one_after_another() for _ in range(in_flight)])
        return counted / (time.monotonic() - warm)


async def main(kind: str, address: str, first: str, seconds: str, *more: str) -> None:
    count, in_flight = (*map(int, more), FEW)[:2]
    async with channels(address, count=count) as opened:
        load = Load(opened, first=int(first), seconds=float(seconds), in_flight=in_flight)
        await getattr(load, kind)()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
