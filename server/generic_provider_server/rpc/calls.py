"""Registers a servicer's methods, and adds what all calls share: refusals, logging, draining."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from ..domain.refusals import InvalidField, Reason, Refused
from ..domain.subscription.records import Who
from .access import Identity
from .checks import CALLERS_ID, Checks
from .errors import details_of
from .intake import Intake, size_of
from .timing import Observe, timed

Request = TypeVar("Request", bound=Message)
Context = grpc.aio.ServicerContext[Any, Any]

log = structlog.get_logger()


class IncomingCall:
    """A call, with the identity of its caller."""

    __slots__ = ("_context", "_identity", "_secure")

    def __init__(self, context: Context, *, secure: bool) -> None:
        self._context = context
        self._secure = secure
        self._identity: Identity | None = None

    @property
    def peer(self) -> str:
        return str(self._context.peer())

    @property
    def identity(self) -> Identity:
        if self._identity is None:  # many calls never ask, and asking takes microseconds
            peer = self.peer
            self._identity = Identity(name=self._certificate() or peer, peer=peer)
        return self._identity

    def who(self, checks: Checks, performed_by: str) -> Who:
        performed_by = checks.text("performed_by", performed_by, most=CALLERS_ID)
        return Who(performed_by=performed_by, caller=self.identity.name)

    def _certificate(self) -> str:
        """Returns the name in the client's certificate; empty if it has none."""
        names = self._context.auth_context().get("x509_common_name") if self._secure else None
        return b"".join(names or ()).decode(errors="replace")


class Undecodable:
    """Stands for a request whose bytes are not a message of its type."""


class Calls:
    """Counts the running calls. When a server drains, it refuses new calls and waits for the
    running ones.

    `secure`: callers may have certificates. Reading them costs time in each call.
    """

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure
        self._count = 0
        self._draining = False
        self._idle = asyncio.Event()

    def check(self, request: Message | Undecodable | None) -> None:
        """Raises Refused if the server drains, or if the bytes are not a message of this RPC."""
        if self._draining:
            raise Refused(Reason.DRAINING, "this server process is shutting down")
        if isinstance(request, Undecodable):
            why = "is not a message of this RPC (broken bytes, or text that is not UTF-8)"
            raise InvalidField(("request", why))

    def begin(self, request: Message | Undecodable | None, context: Context) -> IncomingCall:
        """Begins a call, which must be ended by `end`. Raises Refused.

        `request` is None if the client sends a stream of messages.
        """
        self.check(request)
        self._count += 1
        return IncomingCall(context, secure=self._secure)

    def end(self) -> None:
        self._count -= 1
        if self._draining and not self._count:
            self._idle.set()

    async def drain(self, *, seconds: float) -> bool:
        """Waits until all calls have ended. Returns whether they ended in time."""
        self._draining = True
        if not self._count:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


def add_service(
    server: grpc.aio.Server,
    descriptor: ServiceDescriptor,
    servicer: object,
    calls: Calls,
    observe: Observe | None = None,
) -> None:
    """Registers every RPC of the service.

    Each RPC is a method `(request, call)` of the servicer. `observe` is called when a call has
    ended.
    """
    intake = Intake()
    handlers = {
        method.name: timed(
            method.name, _handler(method, getattr(servicer, method.name), calls, intake), observe
        )
        for method in descriptor.methods
    }
    generic = grpc.method_handlers_generic_handler(descriptor.full_name, handlers)
    server.add_generic_rpc_handlers((generic,))


def _handler(
    method: MethodDescriptor, behaviour: Callable[..., Any], calls: Calls, intake: Intake
) -> grpc.RpcMethodHandler[Any, Any]:
    message = GetMessageClass(method.input_type)

    def decode(raw: bytes) -> Message | Undecodable:
        try:
            return message.FromString(raw)
        except DecodeError:
            return Undecodable()

    encode = GetMessageClass(method.output_type).SerializeToString
    if method.server_streaming:
        stream = _streaming(method.full_name, behaviour, calls)
        return grpc.unary_stream_rpc_method_handler(stream, decode, encode)
    if method.client_streaming:
        streamed = _streamed(method.full_name, behaviour, calls)
        return grpc.stream_unary_rpc_method_handler(streamed, decode, encode)
    unary = _unary(method.full_name, behaviour, calls, intake)
    return grpc.unary_unary_rpc_method_handler(unary, decode, encode)


def _unary(
    name: str,
    behaviour: Callable[[Any, IncomingCall], Awaitable[Message]],
    calls: Calls,
    intake: Intake,
) -> Callable[[Any, Context], Awaitable[Message]]:
    async def run(request: Message | Undecodable, context: Context) -> Message:
        try:
            call = calls.begin(request, context)
            try:
                with intake.taken(size_of(request)):
                    return await behaviour(request, call)
            finally:
                calls.end()
        except Refused as refused:
            await refuse(context, refused)
        except Exception:  # noqa: BLE001 - whatever it is, it leaves as INTERNAL
            await refuse(context, internal(name))

    return run


def _streaming(
    name: str, behaviour: Callable[[Any, IncomingCall], AsyncIterator[Message]], calls: Calls
) -> Callable[[Any, Context], AsyncIterator[Message]]:
    async def run(request: Message | Undecodable, context: Context) -> AsyncIterator[Message]:
        try:
            call = calls.begin(request, context)
            try:
                async for response in behaviour(request, call):
                    yield response
            finally:
                calls.end()
        except Refused as refused:
            await refuse(context, refused)
        except Exception:  # noqa: BLE001 - whatever it is, it leaves as INTERNAL
            await refuse(context, internal(name))

    return run


def _streamed(
    name: str, behaviour: Callable[[Any, IncomingCall], Awaitable[Message]], calls: Calls
) -> Callable[[AsyncIterator[Message | Undecodable], Context], Awaitable[Message]]:
    async def checked(requests: AsyncIterator[Message | Undecodable]) -> AsyncIterator[Any]:
        async for request in requests:
            calls.check(request)
            yield request

    async def run(requests: AsyncIterator[Message | Undecodable], context: Context) -> Message:
        try:
            call = calls.begin(None, context)
            try:
                return await behaviour(checked(requests), call)
            finally:
                calls.end()
        except Refused as refused:
            await refuse(context, refused)
        except Exception:  # noqa: BLE001 - whatever it is, it leaves as INTERNAL
            await refuse(context, internal(name))

    return run


def internal(name: str) -> Refused:
    """Logs the exception under an id. Only the id leaves the server."""
    error = secrets.token_hex(4)
    log.error("call_failed", rpc=name, error=error, exc_info=sys.exception())
    return Refused(
        Reason.INTERNAL,
        f"the service has a fault; report this id to the operator: {error}",
        error=error,
    )


async def refuse(context: Context, refused: Refused) -> NoReturn:
    status = details_of(refused)
    code = next(c for c in grpc.StatusCode if c.value[0] == status.code)
    details = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(code, status.message, trailing_metadata=details)
