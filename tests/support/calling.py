"""Calls any RPC by its name, with bytes or a message, and returns the answer or the refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from generic_provider_server.rpc.servicers import SERVICES

METHODS: dict[str, MethodDescriptor] = {
    method.name: method for service in SERVICES for method in service.methods
}


@dataclass(frozen=True)
class Refusal:
    code: str
    reason: str
    message: str
    metadata: dict[str, str]
    fields: tuple[str, ...]
    size: int


@dataclass
class Caller:
    """Calls any RPC on one channel. `largest`: the size in bytes of the largest answer so far."""

    channel: grpc.aio.Channel
    largest: int = field(default=0)
    metadata: tuple[tuple[str, str], ...] = ()

    async def call(self, rpc: str, request: Message | bytes) -> Any:
        """Returns the answer (the first message of a stream), or the Refusal."""
        method = METHODS[rpc]
        path = f"/{method.containing_service.full_name}/{rpc}"
        raw = request if isinstance(request, bytes) else request.SerializeToString()
        try:
            if method.client_streaming:
                send: Any = self.channel.stream_unary(path, None, self._reader(method))
                return await send(iter([raw]), timeout=20, metadata=self.metadata)
            if not method.server_streaming:
                call: Any = self.channel.unary_unary(path, None, self._reader(method))
                return await call(raw, timeout=60, metadata=self.metadata)
            open_stream: Any = self.channel.unary_stream(path, None, self._reader(method))
            stream = open_stream(raw, timeout=60, metadata=self.metadata)
            first = await stream.read()
            stream.cancel()
        except grpc.aio.AioRpcError as error:
            return _refusal(error)
        return first

    def _reader(self, method: MethodDescriptor) -> Any:
        message = GetMessageClass(method.output_type)

        def read(raw: bytes) -> Message:
            self.largest = max(self.largest, len(raw))
            return message.FromString(raw)

        return read


def _refusal(error: grpc.aio.AioRpcError) -> Refusal:
    raw = next(
        (v for k, v in error.trailing_metadata() or () if k == "grpc-status-details-bin"), b""
    )
    info, bad = ErrorInfo(), BadRequest()
    for detail in Status.FromString(raw if isinstance(raw, bytes) else b"").details:
        detail.Unpack(info)
        detail.Unpack(bad)
    assert info.domain == "generic_provider", error
    return Refusal(
        code=error.code().name,
        reason=info.reason,
        message=error.details() or "",
        metadata=dict(info.metadata),
        fields=tuple(each.field for each in bad.field_violations),
        size=len(raw) + len(error.details() or ""),
    )
