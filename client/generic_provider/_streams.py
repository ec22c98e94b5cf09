"""Keeps one stream of pending requests open, and reconnects after every end of the stream."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

import grpc

from generic_provider._connection import Target, delays
from generic_provider._failures import error_of, retry_delay
from generic_provider.stats import Stats
from generic_provider.v1.provisioning_service_pb2 import (
    StreamPendingRequestsRequest,
    StreamPendingRequestsResponse,
    SubscriptionRequests,
)
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub

log = logging.getLogger("generic_provider")
SILENCE_SECONDS = 30.0
"""The seconds without a message after which the stream is opened again."""
SILENT_SECONDS = 12.0
"""The seconds without a message after which no request begins.

The server sends heartbeats at least every 10 s.
"""
RECONNECT_SECONDS = (0.5, 30.0)
END_SECONDS = 5.0
"""The longest time, in seconds, that the adapter waits until the server ends a stopped stream. If
the leases of the stream have ended, the server needs less time.
"""


class Stream:
    """A stream on a channel of its own, so that each stream can reach another server process."""

    def __init__(self) -> None:
        self._opened_at = time.monotonic()
        self._ahead: float | None = None
        self._sent = 0.0
        self.heard = False
        self.drained = False
        self.left = asyncio.Event()
        """Is set when the stream has ended, or when a new stream must be opened because this stream
        will deliver no more requests.
        """
        self.token = ""
        """The token of the stream's newest lease; empty before the first lease. A release with this
        token can stop the stream.
        """
        self.retry_delay = 0.0
        """The seconds that the adapter waits before it opens the next stream, because the server
        has asked for this delay.
        """
        self.stopped = False
        """True as soon as the adapter begins the call that asks the server to stop the stream. If
        this call succeeds, the server hands over no more requests on the stream.
        """

    def time(self) -> float:
        """Estimates the server's time in seconds since 1970. If both clocks run equally fast, the
        estimate is never earlier than the server's time.
        """
        return time.monotonic() + (self._ahead or 0.0)

    def set_clock(self, message: StreamPendingRequestsResponse) -> float:
        """Corrects the estimate by the time in the message, and returns the time at which the
        message was sent.

        A message of an older server does not contain this time; then the estimate is returned.
        """
        sent = self.time()
        if message.HasField("sent_time"):
            sent = message.sent_time.ToNanoseconds() / 1e9
            if self._ahead is None:
                self._ahead = sent - self._opened_at
            self._ahead = max(self._ahead, sent - time.monotonic())
        self._sent = max(self._sent, sent)
        return sent

    def silent(self) -> bool:
        return not self.drained and self.time() - self._sent > SILENT_SECONDS


TokenOnStream = tuple[str, Stream]
"""The token of a lease, and the stream on which the lease was given."""


class Receiver(Protocol):
    def receive(self, given: SubscriptionRequests, *, source: Stream, sent: float) -> None: ...

    def cut(self, source: Stream) -> None:
        """This method is called when a stream has ended without a drain: the leases of the stream
        have ended too.
        """

    async def ready(self) -> None:
        """Returns when a stream may be opened."""


class Hooks:
    """The functions that the user of the adapter has registered for the beginning and the end of
    streams. They are called on the event loop, one after the other.
    """

    def __init__(self) -> None:
        self.on_connect: list[Callable[[], object]] = []
        self.on_disconnect: list[Callable[[str], object]] = []

    def connected(self) -> None:
        for each in self.on_connect:
            _call(each)

    def disconnected(self, reason: str) -> None:
        for each in self.on_disconnect:
            _call(each, reason)


def _call(hook: Callable[..., object], *arguments: str) -> None:
    try:
        hook(*arguments)
    except (Exception, SystemExit, asyncio.CancelledError):
        log.exception("a hook of the adapter failed")


class Streams:
    def __init__(
        self,
        target: Target,
        request: StreamPendingRequestsRequest,
        *,
        receiver: Receiver,
        hooks: Hooks,
        stats: Stats,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._target = target
        self._request = request
        self._receiver = receiver
        self._hooks = hooks
        self._stats = stats
        self._tasks = tasks
        self._open: dict[Stream, asyncio.Task[None]] = {}

    async def stay_connected(self) -> None:
        pauses, drained_before = delays(*RECONNECT_SECONDS), False
        while True:
            await self._receiver.ready()
            stream = Stream()
            self._start(stream)
            await stream.left.wait()
            if stream.heard:
                pauses = delays(*RECONNECT_SECONDS)
            if drained_before or not stream.drained:
                await asyncio.sleep(stream.retry_delay + next(pauses))
            drained_before = stream.drained

    def unstopped(self) -> list[TokenOnStream]:
        """Returns one lease of each stream that has delivered leases and was not stopped."""
        return [(each.token, each) for each in self._open if each.token and not each.stopped]

    async def end(self) -> None:
        """Closes all streams.

        First waits, for at most END_SECONDS, until the server has ended the stopped streams,
        because leases may still arrive on them.
        """
        stopped = [task for stream, task in self._open.items() if stream.stopped]
        if stopped:
            await asyncio.wait(stopped, timeout=END_SECONDS)
        for task in self._open.values():
            task.cancel()

    def _start(self, stream: Stream) -> None:
        task = self._tasks.create_task(self._read(stream))
        self._open[stream] = task
        task.add_done_callback(lambda _: self._open.pop(stream))

    async def _read(self, stream: Stream) -> None:
        reason = "ended by the server"
        try:
            async with self._target.aio_channel() as channel:
                await self._listen(stream, channel)
        except TimeoutError:
            reason = f"no message for {SILENCE_SECONDS:g} s"
        except grpc.RpcError as error:
            reason = str(error_of(error))
            stream.retry_delay = retry_delay(error) or 0.0
        except asyncio.CancelledError:
            reason = "closed"
            raise
        finally:
            if not stream.drained:
                self._receiver.cut(stream)
            if stream.heard:
                self._stats.streams -= 1
                self._hooks.disconnected(reason)
            wanted = stream.drained or stream.stopped or reason == "closed"
            level = logging.INFO if wanted else logging.WARNING
            log.log(level, "stream of %s: %s", self._request.provider, reason)
            stream.left.set()

    async def _listen(self, stream: Stream, channel: grpc.aio.Channel) -> None:
        loop = asyncio.get_running_loop()
        call = ProvisioningServiceStub(channel).StreamPendingRequests(
            self._request, metadata=self._target.metadata()
        )
        try:
            async with asyncio.timeout(SILENCE_SECONDS) as silence:
                async for message in call:
                    silence.reschedule(loop.time() + SILENCE_SECONDS)
                    self._hear(stream, message)
        finally:
            call.cancel()

    def _hear(self, stream: Stream, message: StreamPendingRequestsResponse) -> None:
        sent = stream.set_clock(message)
        if not stream.heard:
            stream.heard = True
            self._stats.streams += 1
            self._stats.connects += 1
            log.info("stream of %s: open", self._request.provider)
            self._hooks.connected()
        match message.WhichOneof("message"):
            case "batch":
                for each in message.batch.subscriptions:
                    stream.token = each.lease_token
                    self._receiver.receive(each, source=stream, sent=sent)
            case "heartbeat":
                self._stats.backlog = message.heartbeat.backlog
                self._stats.oldest_age = message.heartbeat.oldest_age.ToTimedelta()
            case "drain":
                log.info("stream of %s: draining: %s", self._request.provider, message.drain.reason)
                stream.drained = True
                stream.left.set()
            case None:
                pass  # a newer server may send a message that this version does not know
