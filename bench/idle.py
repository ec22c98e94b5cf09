"""Plays idle adapters: `python -m bench.idle ADDRESS COUNT adapters` keeps streams open on which no
request arrives.

With `watchers` it plays CRMs that watch events. Each stream has a connection of its own, as in
production.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc.aio

from generic_provider import AsyncClient, Distributor, Provider, Service
from generic_provider.v1.provisioning_service_pb2 import StreamPendingRequestsRequest
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from generic_provider.v1.subscription_service_pb2 import WatchEventsRequest
from generic_provider.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from .channels import channels
from .processes import say

PROVIDER = "IDLE"


async def main(address: str, count: str, kind: str) -> None:
    if kind == "adapters":
        await _set_up(address)
    stream = {"adapters": _adapter, "watchers": _watcher}[kind]
    async with channels(address, count=int(count)) as opened:
        streams = [stream(each, f"idle-{n}") for n, each in enumerate(opened)]
        for each in streams:
            await anext(each)
        say(open=True)
        await asyncio.gather(*map(_drain, streams))


async def _set_up(address: str) -> None:
    provider = Provider(
        code=PROVIDER,
        distributors=[Distributor(code="MAIN")],
        services=[Service(code="SPORT", provider_service_id="1")],
    )
    async with AsyncClient(address) as client:
        await client.create_provider(provider)
        await client.set_provider_state(PROVIDER, state="EFFECTIVE")


def _adapter(channel: grpc.aio.Channel, name: str) -> AsyncIterator[object]:
    request = StreamPendingRequestsRequest(provider=PROVIDER, adapter=name)
    return aiter(ProvisioningServiceStub(channel).StreamPendingRequests(request))


def _watcher(channel: grpc.aio.Channel, name: str) -> AsyncIterator[object]:
    request = WatchEventsRequest(subscription=name)
    return aiter(SubscriptionServiceStub(channel).WatchEvents(request))


async def _drain(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
