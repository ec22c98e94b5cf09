"""Describes the contract to known callers (server reflection)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc.aio
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from ..domain.refusals import Refused
from .access import Context
from .calls import Calls


class Reflection(reflection_pb2_grpc.ServerReflectionServicer):
    def __init__(self, names: Iterable[str], calls: Calls) -> None:
        self._reflection: Any = reflection.aio.ReflectionServicer([*names, reflection.SERVICE_NAME])
        self._calls = calls

    async def ServerReflectionInfo(
        self, requests: AsyncIterator[Any], context: Context
    ) -> AsyncIterator[Any]:
        try:
            self._calls.admit("ServerReflectionInfo", context)
        except Refused as refused:
            await self._calls.refuse(context, refused)
        async for answer in self._reflection.ServerReflectionInfo(requests, context):
            yield answer


def add_reflection(server: grpc.aio.Server, names: Iterable[str], calls: Calls) -> None:
    add: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
    add(Reflection(names, calls), server)
