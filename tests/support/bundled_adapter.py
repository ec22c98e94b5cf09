"""Runs the client library's adapter with the server of `provisioning_server`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from generic_provider import (
    Adapter,
    ProvisioningRequest,
)
from support.provisioning_server import Server


def make(server: Server, **settings: int | timedelta) -> Adapter:
    return Adapter(server.address, provider="P", name="a", **settings)  # type: ignore[arg-type]


class Platform:
    """A platform that finishes no request before the test sets `finish`."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.finish = asyncio.Event()

    async def do(self, request: ProvisioningRequest) -> None:
        self.begun.put_nowait(request.number)
        await self.finish.wait()


async def until(reached: Callable[[], bool]) -> None:
    while not reached():
        await asyncio.sleep(0.001)
