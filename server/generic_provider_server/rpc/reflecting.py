"""Implements server reflection of gRPC for known callers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc.aio
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from ..domain.refusals import Refused
from .access import Context
from .call_limit import StreamLimit
from .calls import Calls
from .incoming import Rpc
from .unregistered import Unregistered

RPC = Rpc(
    name="ServerReflectionInfo",
    full_name=f"{reflection.SERVICE_NAME}.ServerReflectionInfo",
    lasting=True,
    names_provider=False,
    message=reflection_pb2.ServerReflectionRequest,
)


class Reflection(reflection_pb2_grpc.ServerReflectionServicer):
    def __init__(self, names: Iterable[str], calls: Calls) -> None:
        self._reflection: Any = reflection.aio.ReflectionServicer([*names, reflection.SERVICE_NAME])
        self._calls = calls
        self._streams = StreamLimit(calls.max_streams)

    async def ServerReflectionInfo(
        self, requests: AsyncIterator[Any], context: Context
    ) -> AsyncIterator[Any]:
        call = self._calls.incoming(RPC, context)
        try:
            self._calls.let_in(call)
            with self._streams.opened():
                async for answer in self._reflection.ServerReflectionInfo(requests, context):
                    yield answer
        except Refused as refused:
            await self._calls.fail(call, refused)
        finally:
            self._calls.let_out(call)


def add_reflection(server: grpc.aio.Server, names: Iterable[str], calls: Calls) -> None:
    add: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
    add(Reflection(names, calls), Unregistered(server))
