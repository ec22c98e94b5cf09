"""Puts a servicer's methods on a server: what every call has in common is done here once."""

from __future__ import annotations

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

from ..domain.records import Who
from ..domain.refusals import InvalidField, Reason, Refused
from .errors import details_of

Request = TypeVar("Request", bound=Message)
Context = grpc.aio.ServicerContext[Any, Any]

log = structlog.get_logger()


class Call:
    """Who calls, and from where."""

    __slots__ = ("context",)

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def peer(self) -> str:
        return str(self.context.peer())

    @property
    def caller(self) -> str:
        """The proven identity of the client's certificate, else the peer's address."""
        for name, values in self.context.auth_context().items():
            if name == "x509_common_name":
                return b"".join(values).decode(errors="replace")
        return self.peer

    def who(self, performed_by: str) -> Who:
        return Who(performed_by=performed_by, caller=self.caller)


class Undecodable:
    """Stands for a request whose bytes are no message of its type."""


def add_service(server: grpc.aio.Server, descriptor: ServiceDescriptor, servicer: object) -> None:
    """Registers every RPC of the service; each is a method `(request, call)` of the servicer."""
    handlers = {
        method.name: _handler(method, getattr(servicer, method.name))
        for method in descriptor.methods
    }
    generic = grpc.method_handlers_generic_handler(descriptor.full_name, handlers)
    server.add_generic_rpc_handlers((generic,))


def _handler(
    method: MethodDescriptor, behaviour: Callable[..., Any]
) -> grpc.RpcMethodHandler[Any, Any]:
    message = GetMessageClass(method.input_type)

    def decode(raw: bytes) -> Message | Undecodable:
        try:
            return message.FromString(raw)
        except DecodeError:
            return Undecodable()

    encode = GetMessageClass(method.output_type).SerializeToString
    if method.server_streaming:
        stream = _streaming(method.full_name, behaviour)
        return grpc.unary_stream_rpc_method_handler(stream, decode, encode)
    unary = _unary(method.full_name, behaviour)
    return grpc.unary_unary_rpc_method_handler(unary, decode, encode)


def _unary(
    name: str, behaviour: Callable[[Any, Call], Awaitable[Message]]
) -> Callable[[Any, Context], Awaitable[Message]]:
    async def run(request: Message | Undecodable, context: Context) -> Message:
        try:
            _check(request)
            return await behaviour(request, Call(context))
        except Refused as refused:
            await refuse(context, refused)
        except Exception:  # noqa: BLE001 - whatever it is, it leaves as INTERNAL
            await refuse(context, internal(name))

    return run


def _streaming(
    name: str, behaviour: Callable[[Any, Call], AsyncIterator[Message]]
) -> Callable[[Any, Context], AsyncIterator[Message]]:
    async def run(request: Message | Undecodable, context: Context) -> AsyncIterator[Message]:
        try:
            _check(request)
            async for response in behaviour(request, Call(context)):
                yield response
        except Refused as refused:
            await refuse(context, refused)
        except Exception:  # noqa: BLE001 - whatever it is, it leaves as INTERNAL
            await refuse(context, internal(name))

    return run


def _check(request: Message | Undecodable) -> None:
    if isinstance(request, Undecodable):
        raise InvalidField(
            ("request", "is not a message of this RPC (broken bytes, or text that is not UTF-8)")
        )


def internal(name: str) -> Refused:
    """Logs the exception under an id; nothing of it leaves the server."""
    error = secrets.token_hex(4)
    log.error("call_failed", rpc=name, error=error, exc_info=sys.exception())
    return Refused(
        Reason.INTERNAL, f"an error of ours; tell the operator its id: {error}", error=error
    )


async def refuse(context: Context, refused: Refused) -> NoReturn:
    status = details_of(refused)
    code = next(c for c in grpc.StatusCode if c.value[0] == status.code)
    details = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(code, status.message, trailing_metadata=details)
