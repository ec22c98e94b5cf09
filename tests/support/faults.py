"""Causes the faults for which there are alerts. Each fault lasts until its block ends."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import grpc

from generic_provider import (
    Account,
    Client,
    ProvisioningError,
    ResetRunDefinition,
    ResetRunState,
    actions,
)
from generic_provider.v1 import subscription_service_pb2 as api
from generic_provider.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from .processes import Server, simulated_adapter, wait_until

CODE = "ALUXSAT"
SMALL_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1_024))
"""With these options gRPC receives only little data ahead of the program that reads the data."""

BECOME = actions.BecomeSubscriber(type="DTH", provider=CODE)


@dataclass
class Stage:
    """A server, and a CRM that waits at most a minute for the server."""

    server: Server
    crm: Client
    token: str
    numbers: Iterator[int] = field(default_factory=count)

    def subscribe(self, subscribers: int) -> list[str]:
        numbers = [f"S{next(self.numbers):06}" for _ in range(subscribers)]
        self.crm.batch_perform([actions.request(BECOME, subscription=each) for each in numbers])
        return numbers

    def heal(self) -> None:
        """Runs a working adapter that accepts all pending requests."""
        with simulated_adapter("good", server=self.server, provider=CODE):
            wait_until(lambda: not self.crm.get_backlog(CODE).pending, what="the backlog is empty")

    @contextmanager
    def adapter(self, *options: str) -> Iterator[None]:
        with simulated_adapter("bad", *options, server=self.server, provider=CODE):
            yield
        self.heal()

    @contextmanager
    def busy(self, *, threads: int = 1, token: str = "") -> Iterator[None]:
        """Tries to create new subscribers while the `with` block runs. With a wrong token all calls
        fail.
        """
        stopping = threading.Event()

        def work() -> None:
            patience = timedelta(minutes=1)
            with Client(self.server.address, token=token or self.token, timeout=patience) as crm:
                while not stopping.wait(0.1):
                    self._try(crm)

        busy = [threading.Thread(target=work) for _ in range(threads)]
        for each in busy:
            each.start()
        try:
            yield
        finally:
            stopping.set()
            for each in busy:
                each.join()

    def _try(self, crm: Client) -> None:
        try:
            crm.perform(BECOME, subscription=f"S{next(self.numbers):06}")
        except ProvisioningError:
            return

    @contextmanager
    def locked(self) -> Iterator[sqlite3.Connection]:
        """Holds the write lock of the database, as another program might."""
        path = self.server.folder / "generic-provider.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield other


Fault = Callable[[Stage], Iterator[None]]


def killed(stage: Stage) -> Iterator[None]:
    stage.server.stop(signal.SIGKILL)
    yield
    stage.server.start()


def locked_database(stage: Stage) -> Iterator[None]:
    (number,) = stage.subscribe(1)
    stage.heal()
    soon = datetime.now(tz=UTC) + timedelta(seconds=2)
    stage.crm.perform(actions.Rest(until=soon), subscription=number)
    with stage.busy(threads=8), stage.locked():
        yield
    stage.heal()


def slow_disk(stage: Stage) -> Iterator[None]:
    stopping = threading.Event()

    def disturb() -> None:
        while not stopping.is_set():
            with stage.locked():
                time.sleep(0.9)
            time.sleep(0.02)

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    with stage.busy(threads=4):
        yield
        stopping.set()
        disturbing.join()
    stage.heal()


def no_adapter(stage: Stage) -> Iterator[None]:
    stage.subscribe(3)
    yield
    stage.heal()


def slow_platform(stage: Stage) -> Iterator[None]:
    with stage.adapter("--delay=3", "--max-in-flight=1"):
        stage.subscribe(20)
        yield


def rejecting_platform(stage: Stage) -> Iterator[None]:
    with stage.adapter("--reject=*=E42:not on this card"), stage.busy():
        yield


def failing_platform(stage: Stage) -> Iterator[None]:
    with stage.adapter("--fail=1"):
        stage.subscribe(10)
        yield


def dying_adapter(stage: Stage) -> Iterator[None]:
    with simulated_adapter("dying", "--delay=60", server=stage.server, provider=CODE):
        stage.subscribe(10)
        wait_until(lambda: stage.crm.get_backlog(CODE).leased >= 10, what="ten requests are leased")
    yield
    stage.heal()


def provider_off(stage: Stage) -> Iterator[None]:
    numbers = stage.subscribe(5)
    stage.heal()
    stage.crm.set_provider_state(CODE, state="NOT_EFFECTIVE")
    for number in numbers:
        stage.crm.perform(
            actions.ChangeSubscriber(holder=Account(name="Mari")), subscription=number
        )
    yield
    stage.crm.set_provider_state(CODE, state="EFFECTIVE")


def not_reset(stage: Stage) -> Iterator[None]:
    """The subscriptions that `provider_off` has changed stay out of sync until the block ends. Then
    a reset run resets them.
    """
    yield
    definition = stage.crm.create_reset_run_definition(
        ResetRunDefinition(provider=CODE, name="all")
    )
    stage.crm.submit_reset_run_definition(definition.id)
    stage.heal()


def held_run(stage: Stage) -> Iterator[None]:
    definition = stage.crm.create_reset_run_definition(
        ResetRunDefinition(provider=CODE, name="all")
    )
    run = stage.crm.submit_reset_run_definition(definition.id, hold=True).reset_run
    held = ResetRunState.HELD
    wait_until(lambda: stage.crm.get_reset_run(run.id).state == held, what="the run is held")
    yield
    stage.crm.cancel_reset_run(run.id)


def watcher_that_does_not_read(stage: Stage) -> Iterator[None]:
    with grpc.insecure_channel(stage.server.address, options=SMALL_WINDOW) as channel:
        request = api.WatchEventsRequest(from_beginning=True)
        proof = (("authorization", f"Bearer {stage.token}"),)
        stream = SubscriptionServiceStub(channel).WatchEvents(request, metadata=proof)
        for _ in range(4):
            stage.subscribe(250)
        yield
        stream.cancel()
    stage.heal()


def wrong_token(stage: Stage) -> Iterator[None]:
    with stage.busy(threads=8, token="guessed"):
        yield


FAULTS: dict[Fault, tuple[str, ...]] = {
    no_adapter: ("NoAdapter", "RequestsExpireSoon"),
    slow_platform: ("BacklogOld", "CreditUsedUp"),
    rejecting_platform: ("ManyRejections",),
    failing_platform: ("PlatformFails",),
    dying_adapter: ("LeasesLost",),
    provider_off: ("NotEffective",),
    not_reset: ("OutOfSync",),
    held_run: ("ResetRunHeld",),
    watcher_that_does_not_read: ("WatcherBehind",),
    wrong_token: ("WrongCredentials",),
    slow_disk: ("CommitsSlow",),
    locked_database: ("StoreUnreachable", "DueWorkLate", "CallsFail"),
    killed: ("Down",),
}
"""For each fault: the alerts that fire while the fault lasts."""
