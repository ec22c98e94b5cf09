"""Runs all scenarios against one adapter, and returns the verdicts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc

from generic_provider.v1.provisioning_service_pb2_grpc import (
    add_ProvisioningServiceServicer_to_server,
)

from . import answering, connecting, working
from .fake_service import FakeService
from .rules import Broken, Findings, Gone, RuleVerdict, Untested
from .scenario_steps import LEAST_CREDIT, Play, Terms

GRACE_SECONDS = 1.0
Scenario = Callable[[Play], Awaitable[None]]
Tell = Callable[[str], object]
SCENARIOS: tuple[tuple[str, Scenario], ...] = (
    ("requests of one subscription", answering.in_order),
    ("answers that pile up", answering.piled_up),
    ("a large message", connecting.large_message),
    ("what the platform holds already", answering.done_twice),
    ("an unknown type", answering.unknown_type),
    ("a rejection", answering.rejection),
    ("every ResponseCode", answering.verdicts),
    ("lost answers", answering.lost_answers),
    ("leases in work", working.leases_in_work),
    ("the same request again", working.redelivery),
    ("a drain", connecting.drain),
    ("cut streams", connecting.cut_streams),
    ("a lease of a cut stream", working.cut_in_work),
    ("an old lease", working.old_lease),
    ("a platform that is down", working.platform_down),
    ("a server that hangs", connecting.frozen_server),
    ("refused streams", connecting.refused_streams),
    ("the number of streams", connecting.one_stream),
)


class NotJudged(Exception):
    """The check could not begin."""


class Check:
    """Waits until an adapter connects to `address`, and runs the scenarios."""

    def __init__(
        self, address: str, service: FakeService, findings: Findings, *, terms: Terms
    ) -> None:
        self.address = address
        self._findings = findings
        self._play = Play(service, findings, terms)

    async def connected(self) -> str:
        """Waits until the adapter has connected, and returns its name."""
        service, seconds = self._play.service, self._play.terms.first_stream.total_seconds()
        if not await service.until(lambda: service.streams, seconds=seconds):
            done, why = "connected", ""
            if service.polled:
                done, why = "opened a stream", "; one polls, but the check tests only streams"
            raise NotJudged(f"no adapter {done} to {self.address} within {seconds:g} s{why}")
        request = service.streams[0].request
        if request.HasField("max_in_flight") and request.max_in_flight < LEAST_CREDIT:
            raise NotJudged(f"max_in_flight must be {LEAST_CREDIT} at least for this check")
        return request.adapter

    @property
    def complete(self) -> bool:
        """Tells whether the adapter accepted all requests that the scenarios needed."""
        return self._findings.complete

    async def verdicts(self, *, tell: Tell = lambda _: None) -> list[RuleVerdict]:
        for name, scenario in SCENARIOS:
            tell(name)
            try:
                await scenario(self._play)
            except Gone as gone:
                self._findings.broken(gone.rule, str(gone))
                self._findings.ended_early("the check ended early, because the adapter was gone")
                break
            except Broken as broken:
                self._findings.broken(broken.rule, str(broken))
            except Untested as untested:
                self._findings.untested(untested.rule, str(untested))
        return self._findings.verdicts()


@asynccontextmanager
async def checking(listen: str, *, terms: Terms) -> AsyncIterator[Check]:
    """Starts the fake server of the check. Raises OSError if the server cannot listen on the
    address.
    """
    findings = Findings()
    service = FakeService(findings)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_ProvisioningServiceServicer_to_server(service, server)
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError:
        raise OSError(
            f"cannot serve on {listen}: is another program there? Stop it, or give another --listen"
        ) from None
    address = f"{listen.rpartition(':')[0]}:{port}"
    await server.start()
    try:
        yield Check(address, service, findings, terms=terms)
    finally:
        service.cut_all()
        await server.stop(GRACE_SECONDS)
