"""A CRM under load: `python -m bench.crm KIND ADDRESS SUBSCRIPTIONS SECONDS`.

Kinds: `setup` makes provider and subscriptions; `single` keeps 64 calls in flight;
`batches` keeps batches of 100 actions in flight; `paced` offers 150 actions a second.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import islice

import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from generic_provider import AsyncClient
from generic_provider.v1.subscription_service_pb2 import BatchPerformActionsRequest
from generic_provider.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from .processes import say
from .setting import BATCH, changes, set_up

IN_FLIGHT = 64
BATCHES_IN_FLIGHT = 4
PACE = 150
WARM_UP = 0.15
TURNS = 3


class Load:
    def __init__(self, address: str, *, subscriptions: int, seconds: float) -> None:
        self._address = address
        self._subscriptions = subscriptions
        self._seconds = seconds
        self._changes = changes(subscriptions)

    async def setup(self) -> None:
        async with AsyncClient(self._address) as client:
            await set_up(client, subscriptions=self._subscriptions)
        say(done=True)

    async def single(self) -> None:
        """No-op calls and actions in turn, so that both see the same machine."""
        rates: dict[str, list[float]] = {"echo": [], "perform": []}
        async with grpc.aio.insecure_channel(self._address) as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=HealthCheckRequest.SerializeToString,
                response_deserializer=HealthCheckResponse.FromString,
            )
            perform = SubscriptionServiceStub(channel).PerformAction
            for _ in range(TURNS):
                rates["echo"].append(await self._keep(lambda: check(HealthCheckRequest())))
                rates["perform"].append(await self._keep(lambda: perform(next(self._changes))))
        say(**{kind: sum(each) / TURNS for kind, each in rates.items()})

    async def batches(self) -> None:
        async with grpc.aio.insecure_channel(self._address) as channel:
            perform = SubscriptionServiceStub(channel).BatchPerformActions

            async def one() -> None:
                batch = BatchPerformActionsRequest(actions=islice(self._changes, BATCH))
                for each in (await perform(batch)).results:
                    if each.HasField("error"):
                        raise RuntimeError(each.error.message)

            rate = await self._keep(one, in_flight=BATCHES_IN_FLIGHT)
        say(per_second=rate * BATCH)

    async def paced(self) -> None:
        async with grpc.aio.insecure_channel(self._address) as channel:
            perform = SubscriptionServiceStub(channel).PerformAction
            start = time.monotonic()
            calls = []
            for n in range(int(PACE * self._seconds)):
                await asyncio.sleep(max(0.0, start + n / PACE - time.monotonic()))
                request = next(self._changes)
                say(subscription=request.subscription, sent=time.time())
                calls.append(asyncio.ensure_future(perform(request)))
            await asyncio.gather(*calls)
        say(done=True)

    async def _keep(
        self, call: Callable[[], Awaitable[object]], *, in_flight: int = IN_FLIGHT
    ) -> float:
        """Calls again as soon as an answer comes; gives how many came a second."""
        start = time.monotonic()
        warm, end = start + WARM_UP * self._seconds, start + self._seconds
        counted = 0

        async def one_after_another() -> None:
            nonlocal counted
            while (now := time.monotonic()) < end:
                await call()
                counted += now >= warm

        await asyncio.gather(*[one_after_another() for _ in range(in_flight)])
        return counted / (time.monotonic() - warm)


if __name__ == "__main__":
    kind, address, subscriptions, seconds = sys.argv[1:]
    load = Load(address, subscriptions=int(subscriptions), seconds=float(seconds))
    asyncio.run(getattr(load, kind)())
