"""Reports the health of the server: SERVING while the server serves and its store can be
reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from .domain.refusals import InvalidField, Reason, Refused
from .rpc.errors import refuse
from .rpc.servicers import SERVICES
from .store.store import Store

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
NAMES = ("", *[descriptor.full_name for descriptor in SERVICES])


MOST_OF_NAME = 200


class _Servicer(health.HealthServicer):
    """Limits the number of clients that watch at the same time. Anybody who reaches the address may
    watch, and each watcher keeps its message in memory.
    """

    def __init__(self, max_watchers: int) -> None:
        super().__init__()
        self._most = max_watchers
        self._count = 0

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802 - gRPC names it
        if self._count >= self._most:
            text = f"{self._most} clients watch the health of this server already; use Check"
            await refuse(context, Refused(Reason.TOO_MANY_STREAMS, text))
        if len(request.service) > MOST_OF_NAME:
            await refuse(context, InvalidField(("service", "is not the name of a service")))
        self._count += 1
        try:
            await super().Watch(request, context)
        finally:
            self._count -= 1


class Health:
    """Answers the health checks.

    The answer can be SERVING only within the block `serving`.
    """

    def __init__(self, store: Store, *, max_watchers: int) -> None:
        self._servicer = _Servicer(max_watchers)
        self._serving = False
        self._reached = True
        self._updates: set[asyncio.Task[None]] = set()
        store.listeners.reached.append(self._reach)

    def add_to(self, server: grpc.aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        self._serving = True
        await self._update()
        try:
            yield
        finally:
            self._serving = False
            await self._update()

    def _reach(self, reached: bool) -> None:  # noqa: FBT001 - a listener of the store
        self._reached = reached
        task = asyncio.get_running_loop().create_task(self._update())
        self._updates.add(task)
        task.add_done_callback(self._updates.discard)

    async def _update(self) -> None:
        response = health_pb2.HealthCheckResponse
        status = response.SERVING if self._serving and self._reached else response.NOT_SERVING
        for name in NAMES:
            await self._servicer.set(name, status)
