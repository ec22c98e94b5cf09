# ruff: noqa: ARG002, N802 - the protos define the names of methods and arguments
"""Contains a ProvisioningService that scenarios control, and that records the calls of an
adapter.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

import grpc

from generic_provider.v1 import provisioning_service_pb2 as v1
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceServicer
from generic_provider.v1.resources_pb2 import ProvisioningRequest

from .lease import CheckedLease, CheckedStream, Message, duration, now
from .rules import Findings

Code: TypeAlias = v1.ResponseCode.ValueType
Status: TypeAlias = v1.ResponseStatus.ValueType


class Answer(NamedTuple):
    at: float
    request: str
    token: str
    status: Status
    error_code: str
    account_number: str
    code: Code
    """The verdict that the adapter got."""


class FakeService(ProvisioningServiceServicer):
    def __init__(self, findings: Findings) -> None:
        self.streams: list[CheckedStream] = []
        self.answers: list[Answer] = []
        self.forced: dict[str, Code] = {}
        """The keys are numbers of requests. The next answer to such a request gets the verdict in
        the value, even if another verdict would be right.
        """
        self.lost: dict[str, grpc.StatusCode] = {}
        """The keys are numbers of requests. The next call that answers such a request fails with
        the status in the value. The answers of the call are applied nevertheless.
        """
        self.held: dict[str, float] = {}
        """The keys are numbers of requests. The response to the next call that answers such a
        request is delayed by the seconds in the value. The answers of the call are applied without
        the delay.
        """
        self.refusing = 0
        """The number of further streams that the server refuses."""
        self.polled = False
        """True if an adapter has called PullPendingRequests."""
        self._findings = findings
        self._leases: dict[str, CheckedLease] = {}
        self._newest: dict[str, CheckedLease] = {}
        self._outcomes: dict[str, Status] = {}
        self._something = asyncio.Event()

    def current(self) -> CheckedStream | None:
        """Returns the newest stream, or None if the newest stream has ended or is about to end."""
        newest = self.streams[-1] if self.streams else None
        usable = newest and newest.open and not (newest.drained or newest.stopped)
        return newest if usable else None

    def answers_to(self, request: ProvisioningRequest) -> list[Answer]:
        return [each for each in self.answers if each.request == request.number]

    async def until(self, condition: Callable[[], object], *, seconds: float) -> bool:
        """Waits until the condition is true or the time is over.

        Returns whether the condition is true. The condition is checked after each call of the
        adapter.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._something.wait()
        return bool(condition())

    def give(
        self,
        requests: Sequence[ProvisioningRequest],
        *,
        on: CheckedStream,
        timed: bool,
        spent: float = 0,
        seconds: float = 0,
    ) -> CheckedLease:
        """Hands the requests over on a new lease. An older lease of these requests ends.

        `spent`: the share of the lease's duration, from 0 to 1, that has passed when the message
        arrives.
        """
        token = f"lease-{len(self._leases) + 1}"
        lease = CheckedLease(token, requests, stream=on, timed=timed, seconds=seconds)
        self._leases[lease.token] = lease
        for each in requests:
            if each.number in self._newest:
                self._newest[each.number].end()
            self._newest[each.number] = lease
        on.say(lease.message(late=spent * lease.seconds))
        return lease

    def cut(self, stream: CheckedStream) -> None:
        self._end_leases_of(stream)
        stream.end(grpc.StatusCode.UNAVAILABLE)

    def cut_all(self) -> None:
        """Cuts all streams, and refuses all further streams."""
        self.refusing = sys.maxsize
        for stream in self.streams:
            self.cut(stream)

    def drain(self, stream: CheckedStream) -> None:
        stream.drained = True
        stream.say(Message(drain=Message.Drain(reason="the check simulates a drain")))

    async def StreamPendingRequests(
        self, request: v1.StreamPendingRequestsRequest, context: Any
    ) -> AsyncIterator[Message]:
        stream = CheckedStream(request)
        self.streams.append(stream)
        self._look_at(context.time_remaining())
        self._happened()
        try:
            if self.refusing:
                self.refusing -= 1
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the check simulates a refusal")
            async for message in stream.messages():
                if isinstance(message, Message):
                    yield message
                    continue
                if message is not grpc.StatusCode.OK:
                    await context.abort(message, "the check simulates a cut stream")
                return
        finally:
            stream.closed_at = now()
            if not stream.drained:
                self._end_leases_of(stream)
            self._happened()

    async def PullPendingRequests(
        self, request: v1.PullPendingRequestsRequest, context: Any
    ) -> v1.PullPendingRequestsResponse:
        self.polled = True
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "the check tests only streams")
        raise AssertionError

    async def SendResponses(
        self, request: v1.SendResponsesRequest, context: Any
    ) -> v1.SendResponsesResponse:
        results = [self._take(each) for each in request.responses]
        self._end_stopped_streams()
        self._happened()
        held = [self.held.pop(each.request, 0) for each in request.responses]
        await asyncio.sleep(max(held, default=0))
        for each in request.responses:
            if (status := self.lost.pop(each.request, None)) is not None:
                await context.abort(status, "the check simulates a lost answer")
        return v1.SendResponsesResponse(results=results)

    async def ExtendLeases(
        self, request: v1.ExtendLeasesRequest, context: Any
    ) -> v1.ExtendLeasesResponse:
        asked = request.lease_duration.ToTimedelta().total_seconds()
        results = [self._extend(token, asked) for token in request.lease_tokens]
        self._happened()
        return v1.ExtendLeasesResponse(results=results)

    async def ReleaseLeases(
        self, request: v1.ReleaseLeasesRequest, context: Any
    ) -> v1.ReleaseLeasesResponse:
        results = [self._release(token, stop=request.stop) for token in request.lease_tokens]
        self._end_stopped_streams()
        self._happened()
        return v1.ReleaseLeasesResponse(results=results)

    async def ReportPlatformState(
        self, requests: AsyncIterator[v1.ReportPlatformStateRequest], context: Any
    ) -> v1.ReportPlatformStateResponse:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "the check tests only streams")
        raise AssertionError

    def _look_at(self, time_remaining: float | None) -> None:
        if time_remaining is not None:
            self._findings.broken(1, f"a stream with a deadline of {time_remaining:.0f} s")

    def _take(self, response: v1.ProvisioningResponse) -> v1.ResponseResult:
        code = self.forced.pop(response.request, None) or self._judge(response)
        self.answers.append(
            Answer(
                at=now(),
                request=response.request,
                token=response.lease_token,
                status=response.status,
                error_code=response.error_code,
                account_number=response.account_number,
                code=code,
            )
        )
        return v1.ResponseResult(
            request=response.request, code=code, message="verdict of the check"
        )

    def _judge(self, response: v1.ProvisioningResponse) -> Code:
        number, status = response.request, response.status
        lease, newest = self._leases.get(response.lease_token), self._newest.get(number)
        if newest is None:
            self._findings.broken(9, f"an answer to {number!r}, which was never handed over")
            return v1.RESPONSE_CODE_NOT_FOUND
        if lease is None or not lease.covers(number) or not status:
            wrong = (
                "without a status"
                if not status
                else "with a token that was not issued for the request"
            )
            self._findings.broken(9, f"an answer to {number} {wrong}")
            return v1.RESPONSE_CODE_INVALID
        if number in self._outcomes:
            return self._judge_again(number, status)
        if lease is not newest or not lease.live:
            return v1.RESPONSE_CODE_STALE
        if lease.waiting[0] != number:
            self._findings.broken(3, f"{number} was answered before {lease.waiting[0]}")
            return v1.RESPONSE_CODE_OUT_OF_ORDER
        return self._apply(lease, status)

    def _judge_again(self, number: str, status: Status) -> Code:
        if self._outcomes[number] == status:
            return v1.RESPONSE_CODE_DUPLICATE
        self._findings.broken(8, f"{number} was answered again with another status")
        completed = self._outcomes[number] == v1.RESPONSE_STATUS_ACCEPTED
        return v1.RESPONSE_CODE_CONFLICT if completed else v1.RESPONSE_CODE_STALE

    def _apply(self, lease: CheckedLease, status: Status) -> Code:
        number = lease.waiting.popleft()
        if status != v1.RESPONSE_STATUS_RETRY_LATER:
            self._outcomes[number] = status
        if status != v1.RESPONSE_STATUS_ACCEPTED:
            lease.end()
        return v1.RESPONSE_CODE_APPLIED

    def _extend(self, token: str, asked: float) -> v1.LeaseResult:
        lease = self._leases.get(token)
        seconds = asked or (lease.seconds if lease else 0)
        if lease is None or not lease.extend(seconds):
            return v1.LeaseResult(lease_token=token, live=False)
        return v1.LeaseResult(lease_token=token, live=True, lease_duration=duration(seconds))

    def _release(self, token: str, *, stop: bool) -> v1.LeaseResult:
        lease = self._leases.get(token)
        if lease is None:
            return v1.LeaseResult(lease_token=token, live=False)
        was_live = lease.live
        lease.released = True
        lease.stream.stopped = lease.stream.stopped or stop
        lease.end()
        return v1.LeaseResult(lease_token=token, live=was_live)

    def _end_leases_of(self, stream: CheckedStream) -> None:
        for lease in self._leases.values():
            if lease.stream is stream:
                lease.end()

    def _end_stopped_streams(self) -> None:
        held = {lease.stream for lease in self._leases.values() if lease.live and not lease.done}
        for stream in self.streams:
            if stream.stopped and stream.open and stream not in held:
                stream.end(grpc.StatusCode.OK)

    def _happened(self) -> None:
        self._something.set()
        self._something = asyncio.Event()
