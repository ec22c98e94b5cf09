"""Defines the streams and leases of the fake server."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import grpc
from google.protobuf.duration_pb2 import Duration

from generic_provider.v1.provisioning_service_pb2 import (
    StreamPendingRequestsRequest,
    StreamPendingRequestsResponse,
    SubscriptionRequests,
)
from generic_provider.v1.resources_pb2 import (
    PROVIDER_STATE_EFFECTIVE,
    PlatformTarget,
    ProvisioningRequest,
)

Message = StreamPendingRequestsResponse
HEARTBEAT_SECONDS = 10.0
DEFAULT_LEASE = timedelta(seconds=30)


def now() -> float:
    return asyncio.get_running_loop().time()


class CheckedStream:
    """One call of StreamPendingRequests, and the messages that are sent on it."""

    def __init__(self, request: StreamPendingRequestsRequest) -> None:
        self.request = request
        self.opened_at = now()
        self.closed_at: float | None = None
        self.silent = False
        self.drained = False
        self.stopped = False
        self._messages: asyncio.Queue[Message | grpc.StatusCode] = asyncio.Queue()

    @property
    def open(self) -> bool:
        return self.closed_at is None

    def say(self, message: Message) -> None:
        self._messages.put_nowait(message)

    def end(self, status: grpc.StatusCode) -> None:
        self._messages.put_nowait(status)

    async def messages(self) -> AsyncIterator[Message | grpc.StatusCode]:
        """Yields the messages of the stream, and at the end the status of the stream. If there is
        no message for HEARTBEAT_SECONDS, yields a heartbeat.
        """
        yield heartbeat(sent_at=now())
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    message = await self._messages.get()
            except TimeoutError:
                message = heartbeat()
            if isinstance(message, Message):
                if self.silent:
                    continue
                if not message.HasField("sent_time"):
                    message.sent_time.FromMicroseconds(int(now() * 1e6))
            yield message


class CheckedLease:
    def __init__(
        self,
        token: str,
        requests: Sequence[ProvisioningRequest],
        *,
        stream: CheckedStream,
        timed: bool,
        seconds: float = 0,
    ) -> None:
        """Creates a lease.

        If `timed` is False, the lease does not run out: the lease stays live until `end` is called.
        If `seconds` is 0, the lease has the duration that the adapter asked for.
        """
        self.token = token
        self.stream = stream
        self.requests = tuple(requests)
        self.waiting = deque(each.number for each in requests)
        self.given_at = now()
        self.extended_at: list[float] = []
        self.to_be_taken = False
        """True if the server ends the lease at the next extension."""
        self.released = False
        self.told_ended = False
        """True if an extension was answered with live = false."""
        asked = stream.request.lease_duration.ToTimedelta() or DEFAULT_LEASE
        self.seconds = seconds or asked.total_seconds()
        self._runs_out_at = self.given_at + self.seconds if timed else math.inf

    @property
    def live(self) -> bool:
        return now() < self._runs_out_at

    @property
    def done(self) -> bool:
        return not self.waiting

    def covers(self, number: str) -> bool:
        return any(each.number == number for each in self.requests)

    def extend(self, seconds: float) -> bool:
        self.extended_at.append(now())
        if self.to_be_taken:
            self.end()
        if not self.live:
            self.told_ended = True
            return False
        self._runs_out_at = max(self._runs_out_at, now() + seconds)
        return True

    def end(self) -> None:
        self._runs_out_at = -math.inf

    def message(self, *, late: float) -> Message:
        """Returns the message that hands the lease over.

        `late`: the seconds by which `sent_time` is before the present time, as if the message
        arrived late.
        """
        first = self.requests[0]
        given = SubscriptionRequests(
            subscription=first.subscription,
            account_number=first.account_number,
            lease_token=self.token,
            lease_duration=duration(self.seconds),
            delivery_attempt=1,
            requests=self.requests,
        )
        if self.stream.request.include_target:
            given.target.CopyFrom(PlatformTarget())
        message = Message(batch=Message.Batch(subscriptions=[given]))
        if late:
            message.sent_time.FromMicroseconds(int((now() - late) * 1e6))
        return message


def duration(seconds: float) -> Duration:
    span = Duration()
    span.FromTimedelta(timedelta(seconds=seconds))
    return span


def heartbeat(*, sent_at: float | None = None) -> Message:
    beat = Message.Heartbeat(backlog=1, provider_state=PROVIDER_STATE_EFFECTIVE)
    message = Message(heartbeat=beat)
    if sent_at is not None:
        message.sent_time.FromMicroseconds(int(sent_at * 1e6))
    return message
