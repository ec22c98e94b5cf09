"""The health of the server: SERVING while it serves and its store can be reached."""

from __future__ import annotations

import asyncio

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from .rpc.servicers import SERVICES
from .services.delivery import Delivery

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
NAMES = ("", *[descriptor.full_name for descriptor in SERVICES])


class Health:
    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._servicer = health.HealthServicer()
        self._serving = False
        self._reached = True
        self._telling: set[asyncio.Task[None]] = set()

    def add_to(self, server: grpc.aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def begin(self) -> None:
        self._serving = True
        await self._tell()

    async def end(self) -> None:
        self._serving = False
        await self._tell()

    def reach(self, reached: bool) -> None:  # noqa: FBT001 - the store's callback
        """Called when the store was lost, so that the state of leases is unknown, or when it is
        back.
        """
        self._reached = reached
        if not reached:
            self._delivery.cut()
        task = asyncio.get_running_loop().create_task(self._tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self) -> None:
        response = health_pb2.HealthCheckResponse
        status = response.SERVING if self._serving and self._reached else response.NOT_SERVING
        for name in NAMES:
            await self._servicer.set(name, status)
