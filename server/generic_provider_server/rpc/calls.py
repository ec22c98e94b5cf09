"""Registers the methods of a servicer. For every call, checks the caller, encodes refusals, and
handles a drain.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ..domain.refusals import Reason, Refused
from ..services.auditing import Auditing
from .access import Access, Context
from .call_limit import CALL, CallLimit, StreamLimit, size_of
from .errors import STATUS, internal, refuse
from .incoming import IncomingCall, Rpc, rpc_of
from .timing import Observe, timed
from .wrong_credentials import WrongCredentials

Result = TypeVar("Result")


class Calls:
    """Counts the running calls, and checks their callers.

    When a server drains, it refuses new calls and waits for the running calls. `access` is None if
    every caller may make every call. `secure` is True if callers may have certificates. If `secure`
    is False, no call spends time on reading a certificate. `max_streams`: the greatest number of
    open streams of each RPC.
    """

    def __init__(
        self,
        auditing: Auditing,
        *,
        access: Access | None = None,
        secure: bool,
        max_streams: int,
    ) -> None:
        self.max_streams = max_streams
        self.incoming = partial(IncomingCall, auditing=auditing, secure=secure)
        self._access = access
        self._wrong_credentials = WrongCredentials()
        self._count = 0
        self._draining = asyncio.get_running_loop().create_future()
        self._idle = asyncio.Event()
        self._lasting: dict[IncomingCall, asyncio.Task[Any]] = {}
        self.on_refused_credentials: list[Callable[[str], None]] = []
        """Functions that are called with the host of every call whose credentials were refused."""
        self._ending = set[asyncio.Task[None]]()

    def check_serving(self) -> None:
        """Raises Refused if the server drains."""
        if self._draining.done():
            raise Refused(Reason.DRAINING, "this server process is shutting down")

    async def while_serving(self, awaited: Awaitable[Result]) -> Result:
        """Waits for the result. Raises Refused as soon as the server drains."""
        result = asyncio.ensure_future(awaited)
        try:
            await asyncio.wait((result, self._draining), return_when=asyncio.FIRST_COMPLETED)
            self.check_serving()
            return await result
        finally:
            result.cancel()

    def begin(self, call: IncomingCall) -> None:
        """Begins a call, and checks the caller before the message is decoded.

        Raises Refused if the caller may not make the call, or if the server drains. If `begin`
        returns, a call of `end` must follow.
        """
        self.let_in(call)
        self._count += 1

    def let_in(self, call: IncomingCall) -> None:
        """Checks the caller of a call.

        Raises Refused if the caller may not make the call, or if the server drains. If `let_in`
        returns, a call of `let_out` must follow. A drain waits only for calls that `begin` has
        begun.
        """
        access, rpc = self._access, call.rpc.name
        admitted = call.admitted = access.admit(rpc, call.context) if access else None
        self.check_serving()
        if admitted:
            admitted.check()
        if admitted and call.rpc.lasting and (task := asyncio.current_task()):
            self._lasting[call] = task

    def let_out(self, call: IncomingCall) -> None:
        self._lasting.pop(call, None)

    def end(self, call: IncomingCall) -> None:
        self.let_out(call)
        self._count -= 1
        if not self._count and self._draining.done():
            self._idle.set()

    def judge_again(self) -> None:
        """Checks again the callers of all streams and waiting calls (`Rpc.lasting`), and ends each
        such call whose caller has lost the right to make it. All other calls soon end by
        themselves.
        """
        for call, task in list(self._lasting.items()):
            try:
                if call.admitted is not None:
                    call.admitted.check()
            except Refused as refused:
                ending = asyncio.create_task(_end(task, call, refused))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

    async def fail(self, call: IncomingCall, error: Exception, *, size: int = 0) -> NoReturn:
        """Refuses the call with the status that belongs to the exception. `size`: the size of the
        message in bytes.
        """
        refused = error if isinstance(error, Refused) else internal(call.rpc.full_name)
        if refused.reason is not Reason.UNAUTHENTICATED:
            call.audit.refused(refused)
        elif self._access:
            host = call.peer.rpartition(":")[0]
            for each in self.on_refused_credentials:
                each(host)
            await self._wrong_credentials.slow_down(host, size=size)
        await refuse(call.context, refused)

    async def drain(self, *, seconds: float) -> bool:
        """Refuses new calls, and waits at most `seconds` until all running calls have ended.
        Returns True if all have ended.
        """
        self._draining.set_result(None)
        if not self._count:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


async def _end(task: asyncio.Task[Any], call: IncomingCall, refused: Refused) -> None:
    """Cancels the task of a call, and sends the status of the refusal.

    The cancelled task itself cannot always send the status: if the client reads slowly, the task is
    in the code of gRPC when it is cancelled. The task is not cancelled while it writes the first
    message: gRPC would then send the initial metadata again, together with the status, and fail.
    """
    if call.first_write:
        written = asyncio.create_task(call.first_write.wait())
        await asyncio.wait([task, written], return_when=asyncio.FIRST_COMPLETED)
        written.cancel()
    call.context.set_code(STATUS[refused.reason])  # for the metrics, which the task counts
    task.cancel()
    await asyncio.wait([task])
    with suppress(grpc.aio.BaseError):  # `refuse` ends the call with `abort`, which raises
        await refuse(call.context, refused)


async def _check_not_cut(call: IncomingCall) -> None:
    """Raises CancelledError if the stream of the call's messages was cut.

    gRPC ends the iterator of a cut stream in the same way as if the client had closed the stream,
    and often cancels the task of the call only later. But on a cut stream gRPC cannot send the
    initial metadata. `first_write` keeps `_end` from cancelling the task in the meantime.
    """
    call.first_write = asyncio.Event()
    try:
        await call.context.send_initial_metadata(())
    except grpc.aio.BaseError as error:
        raise asyncio.CancelledError from error
    finally:
        call.first_write.set()


def add_service(
    server: grpc.aio.Server,
    descriptor: ServiceDescriptor,
    servicer: object,
    calls: Calls,
    observe: Observe | None = None,
) -> None:
    """Registers every RPC of the service.

    The servicer has a method `(request, call)` for each RPC. `observe` is called when a call has
    ended.
    """
    limits = CallLimit(), CallLimit()
    handlers = {
        method.name: timed(
            method.name, _handler(method, getattr(servicer, method.name), calls, limits), observe
        )
        for method in descriptor.methods
    }
    generic = grpc.method_handlers_generic_handler(descriptor.full_name, handlers)
    server.add_generic_rpc_handlers((generic,))


def _handler(
    method: MethodDescriptor,
    behaviour: Callable[..., Any],
    calls: Calls,
    limits: tuple[CallLimit, CallLimit],
) -> grpc.RpcMethodHandler[Any, Any]:
    rpc = rpc_of(method)
    encode = GetMessageClass(method.output_type).SerializeToString
    streams = StreamLimit(calls.max_streams)
    # no deserializer: gRPC would decode the message before the caller is checked
    if method.server_streaming:
        stream = _streaming(rpc, behaviour, calls, streams)
        return grpc.unary_stream_rpc_method_handler(stream, None, encode)
    if method.client_streaming:
        streamed = _streamed(rpc, behaviour, calls, streams)
        return grpc.stream_unary_rpc_method_handler(streamed, None, encode)
    unary = _unary(rpc, behaviour, calls, limits)
    return grpc.unary_unary_rpc_method_handler(unary, None, encode)


def _unary(
    rpc: Rpc,
    behaviour: Callable[[Any, IncomingCall], Awaitable[Message]],
    calls: Calls,
    limits: tuple[CallLimit, CallLimit],
) -> Callable[[bytes, Context], Awaitable[Message]]:
    """`limits`: the limits of calls that do not wait for an event, and of calls that wait."""

    async def run(raw: bytes, context: Context) -> Message:
        call = calls.incoming(rpc, context)
        try:
            calls.begin(call)
            try:
                request = rpc.checked(raw, call)
                size = size_of(request) if rpc.is_batch else CALL
                with limits[rpc.waits(request)].taken(size):
                    response = await behaviour(request, call)
                call.succeeded()
                return response
            finally:
                calls.end(call)
        except Exception as error:  # noqa: BLE001 - every exception becomes a status
            await calls.fail(call, error, size=len(raw))

    return run


def _streaming(
    rpc: Rpc,
    behaviour: Callable[[Any, IncomingCall], AsyncIterator[Message]],
    calls: Calls,
    limit: StreamLimit,
) -> Callable[[bytes, Context], AsyncIterator[Message]]:
    async def run(raw: bytes, context: Context) -> AsyncIterator[Message]:
        call = calls.incoming(rpc, context)
        try:
            calls.begin(call)
            try:
                request = rpc.checked(raw, call)
                with limit.opened():
                    async for response in behaviour(request, call):
                        call.succeeded()
                        call.first_write = call.first_write or asyncio.Event()
                        yield response
                        call.first_write.set()
            finally:
                calls.end(call)
        except Exception as error:  # noqa: BLE001 - every exception becomes a status
            await calls.fail(call, error, size=len(raw))

    return run


def _streamed(
    rpc: Rpc,
    behaviour: Callable[[Any, IncomingCall], Awaitable[Message]],
    calls: Calls,
    limit: StreamLimit,
) -> Callable[[AsyncIterator[bytes], Context], Awaitable[Message]]:
    async def decoded(raws: AsyncIterator[bytes], call: IncomingCall) -> AsyncIterator[Any]:
        # only the first message names the provider
        read: Callable[[bytes], Any] = partial(rpc.checked, call=call)
        while (raw := await calls.while_serving(anext(raws, None))) is not None:
            yield read(raw)
            read = rpc.decode
        await _check_not_cut(call)

    async def run(raws: AsyncIterator[bytes], context: Context) -> Message:
        call = calls.incoming(rpc, context)
        try:
            calls.begin(call)
            try:
                with limit.opened():
                    response = await behaviour(decoded(raws, call), call)
                call.succeeded()
                return response
            finally:
                calls.end(call)
        except Exception as error:  # noqa: BLE001 - every exception becomes a status
            await calls.fail(call, error)

    return run
