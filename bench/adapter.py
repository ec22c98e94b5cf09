"""Runs an adapter that holds STREAMS streams and accepts each request immediately: `python -m
bench.adapter KIND ADDRESS STREAMS`.

Kinds: `counted` prints twice a second how many requests it has answered; `timed` prints when each
request of an action arrived.
"""

from __future__ import annotations

import asyncio
import sys
import time

import grpc.aio

from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from support.filling import PROVIDER

from .channels import channels
from .processes import say

IN_FLIGHT = 2_000


class Accepting:
    def __init__(self, channel: grpc.aio.Channel, *, times: bool) -> None:
        self._stub = ProvisioningServiceStub(channel)
        self._times = times
        self._answers: asyncio.Queue[api.ProvisioningResponse] = asyncio.Queue()
        self.answered = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive())
            tasks.create_task(self._answer())
            tasks.create_task(self._answer())

    async def _receive(self) -> None:
        request = api.StreamPendingRequestsRequest(
            provider=PROVIDER, adapter="bench", max_in_flight=IN_FLIGHT
        )
        async for message in self._stub.StreamPendingRequests(request):
            if message.HasField("heartbeat"):
                say(ready=True)
            for each in message.batch.subscriptions:
                self._take(each)

    def _take(self, each: api.SubscriptionRequests) -> None:
        for request in each.requests:
            if self._times and request.action:
                say(subscription=each.subscription, arrived=time.time())
            self._answers.put_nowait(
                api.ProvisioningResponse(
                    request=request.number,
                    lease_token=each.lease_token,
                    status=api.RESPONSE_STATUS_ACCEPTED,
                )
            )

    async def _answer(self) -> None:
        while True:
            answers = [await self._answers.get()]
            while not self._answers.empty() and len(answers) < 1_000:
                answers.append(self._answers.get_nowait())
            request = api.SendResponsesRequest(provider=PROVIDER, responses=answers)
            done = await self._stub.SendResponses(request)
            self.answered += sum(r.code == api.RESPONSE_CODE_APPLIED for r in done.results)


async def tell(streams: list[Accepting]) -> None:
    while True:
        say(answered=sum(each.answered for each in streams), at=time.monotonic())
        await asyncio.sleep(0.5)


async def main(kind: str, address: str, count: str) -> None:
    async with channels(address, count=int(count)) as opened, asyncio.TaskGroup() as tasks:
        streams = [Accepting(each, times=kind == "timed") for each in opened]
        for each in streams:
            tasks.create_task(each.run())
        if kind == "counted":
            tasks.create_task(tell(streams))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
