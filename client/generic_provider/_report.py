"""Sends the messages of a platform report."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from datetime import datetime
from typing import Any

import grpc

from generic_provider._arguments import named
from generic_provider._failures import error_of
from generic_provider._values import instant
from generic_provider.errors import Internal, ServerUnavailable
from generic_provider.v1 import provisioning_service_pb2 as v1

MOST_IN_MESSAGE = 1_000
MOST_BYTES = 1024 * 1024

Message = v1.ReportPlatformStateRequest
Entry = v1.PlatformSubscription
Response = v1.ReportPlatformStateResponse


class Report:
    """A platform report. Its entries are read only as fast as the server accepts them."""

    @named
    def __init__(
        self,
        provider: str,
        *,
        observed_time: datetime,
        complete: bool,
        max_missing_percent: float | None,
    ) -> None:
        self._nobody = Message(
            provider=provider, observed_time=instant("observed_time", observed_time)
        )
        self._message = Message(complete=complete, max_missing_percent=max_missing_percent)
        self._message.MergeFrom(self._nobody)
        self._size = 0
        self._failure: Exception | None = None
        self._call: Any = None
        self._begun = threading.Event()

    def send(self, rpc: Any, entries: Iterable[Entry], *, metadata: Any) -> Response:
        self._call = call = rpc.future(self._messages(entries), metadata=metadata)
        self._begun.set()
        try:
            told: Response = call.result()
        except grpc.FutureCancelledError as cancelled:
            raise self._failure or cancelled from None
        except grpc.RpcError as error:
            raise self._failure or error_of(error) from None
        finally:
            call.cancel()
        return told

    async def send_async(
        self, rpc: Any, entries: AsyncIterable[Entry] | Iterable[Entry], *, metadata: Any
    ) -> Response:
        self._call = call = rpc(metadata=metadata)
        writing = asyncio.create_task(self._write(entries))
        try:
            return await _told(call)
        except asyncio.CancelledError:
            if self._failure:
                raise self._failure from None
            raise
        except Internal as error:
            if error.reason:
                raise
        finally:
            writing.cancel()
            await asyncio.wait([writing])
        # A failed write hides the server's status from grpc.aio, so a second call asks for the
        # status.
        await _told(rpc([self._nobody], metadata=metadata))
        raise ServerUnavailable("the server has ended the report; send it again")

    def _messages(self, entries: Iterable[Entry]) -> Iterator[Message]:
        """Yields the messages of the report.

        A thread of gRPC calls this iterator, and would only log an exception that the entries
        raise. So `send` raises this exception.
        """
        try:
            for entry in entries:
                if (full := self._add(entry)) is not None:
                    yield full
        except Exception as error:  # noqa: BLE001 - `send` raises the exception
            self._failure = error
            self._begun.wait()
            self._call.cancel()
            return
        yield self._message

    async def _write(self, entries: AsyncIterable[Entry] | Iterable[Entry]) -> None:
        """Writes the messages. grpc.aio could write the messages by itself, but after a failed call
        grpc.aio would wait for further entries for ever.
        """
        try:
            async for entry in _each(entries):
                if (full := self._add(entry)) is not None:
                    await self._call.write(full)
            await self._call.write(self._message)
            await self._call.done_writing()
        except asyncio.CancelledError:
            self._call.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - `send_async` raises the exception
            if not self._call.done():  # otherwise the status explains the failure
                self._failure = error
                self._call.cancel()

    def _add(self, entry: Entry) -> Message | None:
        """Adds the entry.

        If the entry does not fit into the current message, returns that message, and begins a new
        message with the entry.
        """
        if not isinstance(entry, Entry):
            raise TypeError(f"an entry of a report is a PlatformSubscription, not {entry!r:.80}")
        full, size = None, entry.ByteSize() + 8
        count = len(self._message.platform_subscriptions)
        if count and (count == MOST_IN_MESSAGE or self._size + size > MOST_BYTES):
            full, self._message, self._size = self._message, Message(), 0
        self._message.platform_subscriptions.append(entry)
        self._size += size
        return full


async def _told(call: Any) -> Response:
    try:
        told: Response = await call
    except grpc.RpcError as error:
        raise error_of(error) from None
    return told


async def _each(entries: AsyncIterable[Entry] | Iterable[Entry]) -> AsyncIterator[Entry]:
    if isinstance(entries, AsyncIterable):
        async for entry in entries:
            yield entry
        return
    for entry in entries:
        yield entry
