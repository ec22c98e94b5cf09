"""Reports the health of the server: SERVING while the server serves, and its database can be
reached and is not damaged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from .domain.refusals import InvalidField, Reason, Refused
from .rpc.errors import refuse
from .rpc.servicers import SERVICES
from .rpc.unregistered import Unregistered
from .store.store import Store

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
NAMES = frozenset({"", *[descriptor.full_name for descriptor in SERVICES]})
RESPONSE = health_pb2.HealthCheckResponse


MOST_OF_NAME = 200


class _Servicer(health_pb2_grpc.HealthServicer):
    """Answers with the same status for each service of this server.

    Everybody who reaches the address may watch the health, and each call of Watch needs memory, so
    the number of these calls is limited. The servicer of the gRPC library writes under a lock: a
    client that does not read its messages would block all other clients. In this servicer, a client
    that does not read blocks no other client.
    """

    def __init__(self, max_watchers: int) -> None:
        self._most = max_watchers
        self._count = 0
        self._status: int = RESPONSE.NOT_SERVING
        self._changed = asyncio.Event()

    def set(self, *, serving: bool) -> None:
        self._status = RESPONSE.SERVING if serving else RESPONSE.NOT_SERVING
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name is given by gRPC
        if request.service not in NAMES:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return RESPONSE(status=self._status)

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802 - the name is given by gRPC
        if self._count >= self._most:
            text = f"{self._most} clients watch the health of this server already; use Check"
            await refuse(context, Refused(Reason.TOO_MANY_STREAMS, text))
        if len(request.service) > MOST_OF_NAME:
            await refuse(context, InvalidField(("service", "is not the name of a service")))
        self._count += 1
        try:
            await self._send(context, known=request.service in NAMES)
        finally:
            self._count -= 1

    async def _send(self, context: Any, *, known: bool) -> None:
        sent = None
        while True:
            changed = self._changed
            status = self._status if known else RESPONSE.SERVICE_UNKNOWN
            if status != sent:
                await context.write(RESPONSE(status=status))
                sent = status
            await changed.wait()


class Health:
    """Answers the health checks.

    The status can be SERVING only within the `with` block of `serving`.
    """

    def __init__(self, store: Store, *, max_watchers: int) -> None:
        self._servicer = _Servicer(max_watchers)
        self._serving = False
        self._reached = True
        store.listeners.reached.append(self._reach)

    def add_to(self, server: grpc.aio.Server) -> None:
        add: Any = health_pb2_grpc.add_HealthServicer_to_server
        add(self._servicer, Unregistered(server))

    @contextmanager
    def serving(self) -> Iterator[None]:
        self._serving = True
        self._update()
        try:
            yield
        finally:
            self._serving = False
            self._update()

    def _reach(self, reached: bool) -> None:  # noqa: FBT001 - a listener of the store
        self._reached = reached
        self._update()

    def _update(self) -> None:
        self._servicer.set(serving=self._serving and self._reached)
