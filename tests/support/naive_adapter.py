"""Contains adapters on raw stubs that break the rules, as an author might who has not read them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc
from google.protobuf.duration_pb2 import Duration

from generic_provider.v1 import provisioning_service_pb2 as v1
from generic_provider.v1 import resources_pb2 as resources
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub

if TYPE_CHECKING:
    from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceAsyncStub

SLOW = resources.REQUEST_TYPE_UPDATE_ADDRESS


class NaiveAdapter:
    """An adapter that begins each request when it arrives, drops an answer whose call fails, and
    never extends a lease.
    """

    def __init__(
        self, *, reconnects: bool = True, rejecting: str = "", lease_seconds: int = 1
    ) -> None:
        self._reconnects = reconnects
        self._rejecting = rejecting
        self._request = v1.StreamPendingRequestsRequest(
            provider="P", adapter="naive", lease_duration=Duration(seconds=lease_seconds)
        )

    async def serve(self, address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as tasks:
            stub = ProvisioningServiceStub(channel)
            while True:
                with suppress(grpc.RpcError):
                    async for message in stub.StreamPendingRequests(self._request):
                        for lease in message.batch.subscriptions:
                            for each in lease.requests:
                                tasks.create_task(self._do(stub, each, lease.lease_token))
                if not self._reconnects:
                    return

    async def _do(
        self,
        stub: ProvisioningServiceAsyncStub,
        request: resources.ProvisioningRequest,
        token: str,
    ) -> None:
        await asyncio.sleep(_seconds(request.type))
        answer = v1.ProvisioningResponse(
            request=request.number, lease_token=token, status=v1.RESPONSE_STATUS_ACCEPTED
        )
        if self._rejecting and request.service.service == self._rejecting:
            answer.status = v1.RESPONSE_STATUS_REJECTED
        with suppress(grpc.RpcError):
            await stub.SendResponses(v1.SendResponsesRequest(provider="P", responses=[answer]))


class DeafAdapter:
    """An adapter that extends its leases and obeys `live = false`, but works on after its stream
    has ended.
    """

    async def serve(self, address: str) -> None:
        request = v1.StreamPendingRequestsRequest(
            provider="P", adapter="deaf", lease_duration=Duration(seconds=3)
        )
        async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as tasks:
            stub = ProvisioningServiceStub(channel)
            while True:
                with suppress(grpc.RpcError):
                    async for message in stub.StreamPendingRequests(request):
                        for lease in message.batch.subscriptions:
                            tasks.create_task(self._work(stub, lease))
                await asyncio.sleep(0.1)

    async def _work(
        self, stub: ProvisioningServiceAsyncStub, lease: v1.SubscriptionRequests
    ) -> None:
        seconds = lease.lease_duration.ToTimedelta().total_seconds()
        extending = asyncio.create_task(self._extend(stub, lease.lease_token, seconds))
        for each in lease.requests:
            await asyncio.sleep(_seconds(each.type))
            await _accept(stub, lease, each.number)
            if extending.done():
                return
        extending.cancel()

    async def _extend(self, stub: ProvisioningServiceAsyncStub, token: str, seconds: float) -> None:
        """Extends the lease until it has ended."""
        live = True
        while live:
            await asyncio.sleep(seconds / 3)
            with suppress(grpc.RpcError):
                asked = v1.ExtendLeasesRequest(lease_tokens=[token])
                live = (await stub.ExtendLeases(asked)).results[0].live


class LeavingAdapter:
    """An adapter that opens a new stream after a drain, but releases the leases of the old stream
    instead of finishing the work on them.
    """

    async def serve(self, address: str) -> None:
        request = v1.StreamPendingRequestsRequest(provider="P", adapter="leaving")
        async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as tasks:
            stub = ProvisioningServiceStub(channel)
            while True:
                work = dict[str, asyncio.Task[None]]()
                with suppress(grpc.RpcError):
                    async for message in stub.StreamPendingRequests(request):
                        for lease in message.batch.subscriptions:
                            work[lease.lease_token] = tasks.create_task(self._work(stub, lease))
                        if message.HasField("drain"):
                            await self._leave(stub, work)
                            break
                await asyncio.sleep(0.1)

    async def _work(
        self, stub: ProvisioningServiceAsyncStub, lease: v1.SubscriptionRequests
    ) -> None:
        for each in lease.requests:
            await asyncio.sleep(_seconds(each.type))
            await _accept(stub, lease, each.number)

    async def _leave(
        self, stub: ProvisioningServiceAsyncStub, work: dict[str, asyncio.Task[None]]
    ) -> None:
        for task in work.values():
            task.cancel()
        await stub.ReleaseLeases(v1.ReleaseLeasesRequest(lease_tokens=list(work)))


class StackingAdapter:
    """An adapter that does the requests of a lease one after the other, and sends the newest of its
    waiting answers first.

    The adapter drops an answer after the call, whatever the verdict is.
    """

    def __init__(self) -> None:
        self._waiting: list[v1.ProvisioningResponse] = []
        self._some = asyncio.Event()

    async def serve(self, address: str) -> None:
        request = v1.StreamPendingRequestsRequest(provider="P", adapter="stacking")
        async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as tasks:
            stub = ProvisioningServiceStub(channel)
            tasks.create_task(self._send(stub))
            while True:
                with suppress(grpc.RpcError):
                    async for message in stub.StreamPendingRequests(request):
                        for lease in message.batch.subscriptions:
                            tasks.create_task(self._work(lease))
                await asyncio.sleep(0.1)

    async def _work(self, lease: v1.SubscriptionRequests) -> None:
        for each in lease.requests:
            await asyncio.sleep(0.02)
            self._waiting.append(
                v1.ProvisioningResponse(
                    request=each.number,
                    lease_token=lease.lease_token,
                    status=v1.RESPONSE_STATUS_ACCEPTED,
                )
            )
            self._some.set()

    async def _send(self, stub: ProvisioningServiceAsyncStub) -> None:
        while True:
            await self._some.wait()
            answers, self._waiting = self._waiting[::-1], []
            self._some.clear()
            with suppress(grpc.RpcError):
                await stub.SendResponses(v1.SendResponsesRequest(provider="P", responses=answers))


async def _accept(
    stub: ProvisioningServiceAsyncStub, lease: v1.SubscriptionRequests, request: str
) -> None:
    answer = v1.ProvisioningResponse(
        request=request,
        lease_token=lease.lease_token,
        status=v1.RESPONSE_STATUS_ACCEPTED,
    )
    with suppress(grpc.RpcError):
        await stub.SendResponses(v1.SendResponsesRequest(provider="P", responses=[answer]))


def _seconds(kind: resources.RequestType.ValueType) -> float:
    """Returns the seconds that a request takes. UPDATE_ADDRESS takes longest, then
    BECOME_SUBSCRIBER, so that later requests overtake them.
    """
    if kind == SLOW:
        return 1.5
    return 0.1 if kind == resources.REQUEST_TYPE_BECOME_SUBSCRIBER else 0
