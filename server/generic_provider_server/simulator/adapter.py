"""Runs the adapter of a simulated platform. The adapter can simulate faults."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from generic_provider import (
    Adapter,
    PlatformDown,
    ProvisioningRequest,
    Reject,
    RequestType,
    RetryLater,
    TlsFiles,
)

from .platform import Platform
from .rules import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The faults that the adapter simulates.

    `fail`: the share of the requests, from 0 to 1, that the adapter answers RETRY_LATER. `lose`:
    the share of the applied requests that the adapter does not answer. `die_after` and
    `freeze_after`: the number of applied requests after which the process ends or freezes; 0 means
    never. `delay`: the time for which the adapter works on each request.
    """

    rules: tuple[Rule, ...] = ()
    delay: timedelta = timedelta()
    fail: float = 0.0
    lose: float = 0.0
    die_after: int = 0
    freeze_after: int = 0


class Simulation:
    """Applies requests on the platform, and simulates the faults that `behaviour` describes."""

    def __init__(self, platform: Platform, adapter: str, behaviour: Behaviour) -> None:
        self._platform = platform
        self._adapter = adapter
        self._behaviour = behaviour
        self._performed = 0

    async def handle(self, request: ProvisioningRequest) -> str | None:
        """Applies a request, and waits for the delay afterwards, so that the request is applied
        while its lease is live. Returns the account number of a new subscriber, otherwise None.
        """
        try:
            return self._do(request)
        finally:
            if self._behaviour.delay:
                await asyncio.sleep(self._behaviour.delay.total_seconds())

    def _do(self, request: ProvisioningRequest) -> str | None:
        behaviour = self._behaviour
        if random.random() < behaviour.fail:
            raise RetryLater(timedelta(seconds=1))
        for rule in behaviour.rules:
            if rule.rejects(request):
                self._platform.refuse(request, adapter=self._adapter, code=rule.code)
                raise Reject(rule.code, rule.text)
        self._platform.perform(request, adapter=self._adapter)
        self._misbehave()
        if request.type == RequestType.BECOME_SUBSCRIBER:
            return f"P-{request.subscription}"
        return None

    def _misbehave(self) -> None:
        """Kills the process, freezes the process or loses the answer, if `Behaviour` contains this
        fault for the request. The platform has already applied the request.
        """
        self._performed += 1
        if self._performed == self._behaviour.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._performed == self._behaviour.freeze_after:
            os.kill(os.getpid(), signal.SIGSTOP)
        if random.random() < self._behaviour.lose:
            raise PlatformDown(timedelta(milliseconds=200))


def simulate(
    server: str,
    *,
    provider: str,
    name: str,
    memory: Path,
    behaviour: Behaviour,
    on_connect: Callable[[], object],
    token: str | None = None,
    tls: TlsFiles | bool | None = None,
    max_in_flight: int = 100,
    lease_duration: timedelta = timedelta(seconds=30),
) -> None:
    """Serves the provider until SIGTERM or Ctrl-C. `on_connect` is called for each connection."""
    platform = Platform(memory)
    adapter = Adapter(
        server,
        provider=provider,
        name=name,
        token=token,
        tls=tls,
        max_in_flight=max_in_flight,
        lease_duration=lease_duration,
    )
    adapter.on_connect(on_connect)
    adapter.on(*RequestType.values())(Simulation(platform, name, behaviour).handle)
    try:
        adapter.run()
    finally:
        platform.close()
