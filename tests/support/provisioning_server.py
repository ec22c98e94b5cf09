# ruff: noqa: ARG002, N802 - the contract names methods and arguments
"""Contains a fake ProvisioningService: the test decides which messages it sends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from generic_provider import Adapter, RequestType, ResponseCode, ResponseStatus
from generic_provider.v1 import provisioning_service_pb2 as v1
from generic_provider.v1 import provisioning_service_pb2_grpc as rpc
from generic_provider.v1.resources_pb2 import PlatformTarget, ProvisioningRequest

Message = v1.StreamPendingRequestsResponse


def sent_time(*, late: float = 0) -> Timestamp:
    stamp = Timestamp()
    stamp.FromNanoseconds(time.time_ns() - int(late * 1e9))
    return stamp


def heartbeat() -> Message:
    return Message(heartbeat=Message.Heartbeat(backlog=7), sent_time=sent_time())


def details(reason: str, *, retry_after: float | None = None) -> tuple[tuple[str, bytes], ...]:
    """Returns the details of a refusal, as trailing metadata."""
    status = Status()
    status.details.add().Pack(ErrorInfo(reason=reason, domain="generic_provider"))
    if retry_after is not None:
        status.details.add().Pack(RetryInfo(retry_delay=span(retry_after)))
    return (("grpc-status-details-bin", status.SerializeToString()),)


def span(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(int(seconds * 1e6))
    return duration


class OpenStream:
    def __init__(self, request: v1.StreamPendingRequestsRequest) -> None:
        self.request = request
        self.messages: asyncio.Queue[Message | grpc.StatusCode] = asyncio.Queue()
        self.closed = asyncio.Event()
        self.leases: dict[str, set[str]] = {}
        """The unanswered requests of each live lease, by the token of the lease."""
        self.stopped = False

    def give(
        self,
        subscription: str,
        token: str,
        *requests: str,
        type: RequestType.ValueType = RequestType.ACTIVATE_SERVICE,  # noqa: A002 - as in the contract
        target: PlatformTarget | None = None,
        seconds: float = 30,
        late: float = 0,
    ) -> None:
        """Hands the requests over on one lease. `late`: how many seconds ago the message was sent
        according to its `sent_time`.
        """
        lease = v1.SubscriptionRequests(
            subscription=subscription,
            lease_token=token,
            lease_duration=span(seconds),
            requests=[
                ProvisioningRequest(number=number, type=type, subscription=subscription)
                for number in requests
            ],
            target=target,
        )
        self.leases[token] = set(requests)
        batch = Message.Batch(subscriptions=[lease])
        self.messages.put_nowait(Message(batch=batch, sent_time=sent_time(late=late)))

    def beat(self) -> None:
        self.messages.put_nowait(heartbeat())

    def drain(self) -> None:
        drain = Message.Drain(reason="shutting down")
        self.messages.put_nowait(Message(drain=drain, sent_time=sent_time()))

    def cut(self) -> None:
        self.messages.put_nowait(grpc.StatusCode.UNAVAILABLE)

    def answered(self, answer: v1.ProvisioningResponse) -> None:
        left = self.leases.get(answer.lease_token, set())
        left.discard(answer.request)
        if answer.status != ResponseStatus.ACCEPTED:
            left.clear()
        self.end_if_done()

    def released(self, token: str, *, stop: bool) -> None:
        if token in self.leases:
            self.leases[token].clear()
            self.stopped = self.stopped or stop
        self.end_if_done()

    def end_if_done(self) -> None:
        if self.stopped and not any(self.leases.values()):
            self.messages.put_nowait(grpc.StatusCode.OK)


class Server(rpc.ProvisioningServiceServicer):
    def __init__(self) -> None:
        self.address = ""
        self.opened: asyncio.Queue[OpenStream] = asyncio.Queue()
        self.streams: list[OpenStream] = []
        self.received: asyncio.Queue[v1.ProvisioningResponse] = asyncio.Queue()
        self.batches: list[list[str]] = []
        self.released: asyncio.Queue[v1.ReleaseLeasesRequest] = asyncio.Queue()
        self.extended: asyncio.Queue[list[str]] = asyncio.Queue()
        self.most_seconds: float | None = None
        """If this number is set, an extended lease lasts for this number of seconds, instead of the
        requested time.
        """
        self.dead: set[str] = set()
        self.silent = False
        self.losing = 0
        """The number of the next calls of SendResponses whose result is lost: the server takes the
        answers, and then ends the call as UNAVAILABLE.
        """
        self.full = False
        """If True, the server refuses the next stream, and asks the adapter to wait a second."""
        self.busy = False
        """If True, the server refuses the next call of SendResponses with TOO_MANY_CALLS."""
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.refused: set[str] = set()
        self.judge: Callable[[v1.ProvisioningResponse], ResponseCode.ValueType] = lambda _: (
            ResponseCode.APPLIED
        )

    async def stream(self) -> OpenStream:
        return await self.opened.get()

    async def answers(self, count: int) -> list[tuple[str, str]]:
        """Returns the request numbers and tokens of the next answers."""
        found = [await self.received.get() for _ in range(count)]
        return [(each.request, each.lease_token) for each in found]

    async def StreamPendingRequests(
        self, request: v1.StreamPendingRequestsRequest, context: Any
    ) -> AsyncIterator[Message]:
        stream = OpenStream(request)
        self.opened.put_nowait(stream)
        self.streams.append(stream)
        if self.full:
            self.full, asked = False, details("TOO_MANY_STREAMS", retry_after=1)
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", asked)
        try:
            if not self.silent:
                yield heartbeat()
            while isinstance(message := await stream.messages.get(), Message):
                yield message
            if message is not grpc.StatusCode.OK:
                await context.abort(message, "cut")
        finally:
            stream.closed.set()

    async def PullPendingRequests(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def SendResponses(
        self, request: v1.SendResponsesRequest, context: Any
    ) -> v1.SendResponsesResponse:
        if self.busy:
            self.busy, busy = False, details("TOO_MANY_CALLS")
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", busy)
        self.batches.append([each.request for each in request.responses])
        if self.refused & set(self.batches[-1]):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not so")
        await self.may_answer.wait()
        for each in request.responses:
            self.received.put_nowait(each)
            for stream in self.streams:
                stream.answered(each)
        if self.losing:
            self.losing -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
        return v1.SendResponsesResponse(
            results=[
                v1.ResponseResult(request=each.request, code=self.judge(each))
                for each in request.responses
            ]
        )

    async def ExtendLeases(
        self, request: v1.ExtendLeasesRequest, context: Any
    ) -> v1.ExtendLeasesResponse:
        granted = request.lease_duration if self.most_seconds is None else span(self.most_seconds)
        results = self._results(request.lease_tokens, duration=granted)
        self.extended.put_nowait(list(request.lease_tokens))
        return v1.ExtendLeasesResponse(results=results)

    async def ReleaseLeases(
        self, request: v1.ReleaseLeasesRequest, context: Any
    ) -> v1.ReleaseLeasesResponse:
        self.released.put_nowait(request)
        for stream in self.streams:
            for token in request.lease_tokens:
                stream.released(token, stop=request.stop)
        return v1.ReleaseLeasesResponse(results=self._results(request.lease_tokens))

    async def ReportPlatformState(
        self, requests: AsyncIterator[v1.ReportPlatformStateRequest], context: Any
    ) -> v1.ReportPlatformStateResponse:
        raise NotImplementedError

    def _results(
        self, tokens: Sequence[str], *, duration: Duration | None = None
    ) -> list[v1.LeaseResult]:
        return [
            v1.LeaseResult(lease_token=each, live=each not in self.dead, lease_duration=duration)
            for each in tokens
        ]


@asynccontextmanager
async def provisioning_server() -> AsyncIterator[Server]:
    servicer = Server()
    server = grpc.aio.server()
    rpc.add_ProvisioningServiceServicer_to_server(servicer, server)
    servicer.address = f"localhost:{server.add_insecure_port('localhost:0')}"
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(None)


@asynccontextmanager
async def serving(adapter: Adapter) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(adapter.serve())
    try:
        yield task
    finally:
        adapter.stop()
        await task
