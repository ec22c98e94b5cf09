"""Tests several servers and adapters on one PostgreSQL server. Each server and adapter fails at
some time.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from generic_provider import (
    AsyncClient,
    Client,
    DifferenceKind,
    RequestState,
    Subscription,
    SyncState,
    actions,
)
from generic_provider_server.demo.aluxsat import SERVICES, provider
from generic_provider_server.simulator.platform import Platform, platform_in
from support.figures import Figure
from support.fresh import dice
from support.postgres import PostgresServer, own_postgres
from support.processes import Server, SimulatedAdapter, simulated_adapter, wait_until
from support.soak import ROUNDS, forms

CODE = "ALUXSAT"
SERVERS = 3


@dataclass(frozen=True)
class Size:
    """`rounds`: how often each fault happens. `calm`: the seconds before the first fault, and after
    the last fault.
    """

    rounds: int
    adapters: int
    subscribers: int
    calm: float


@dataclass
class Load:
    """A CRM that changes subscriptions through any server, and records the acknowledged actions."""

    clients: list[AsyncClient]
    chance: random.Random
    subscribers: int
    acknowledged: list[str] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    stopped: bool = False

    async def run(self) -> None:
        await asyncio.gather(*[self._change(f"K{n:03}") for n in range(self.subscribers)])

    async def _change(self, number: str) -> None:
        become = actions.BecomeSubscriber(
            type="DTH",
            provider=CODE,
            items=[("MAIN", "SMARTCARD", f"C{number}"), ("MAIN", "DECODER", f"B{number}")],
            services=[("MAIN", "SPORT")],
        )
        await self._perform(become, number)
        news = [("MAIN", "NEWS")]
        while not self.stopped:
            for change in (
                actions.AddServices(services=news),
                actions.RemoveServices(services=news),
            ):
                await self._perform(change, number)
                await asyncio.sleep(self.chance.uniform(0, 0.7))

    async def _perform(self, action: actions.Action, number: str) -> None:
        done = await self.chance.choice(self.clients).perform(action, subscription=number)
        self.acknowledged.append(done.action.id)
        self.at.append(time.monotonic())

    def rate(self, start: float, end: float) -> float:
        return sum(start <= at < end for at in self.at) / (end - start)


@dataclass
class Faults:
    chance: random.Random
    postgres: PostgresServer
    servers: list[Server]
    adapters: list[SimulatedAdapter]
    counted: Counter[str] = field(default_factory=Counter)
    frozen: list[tuple[float, SimulatedAdapter]] = field(default_factory=list)
    freezes: Counter[str] = field(default_factory=Counter)

    async def happen(self, rounds: int) -> None:
        """Causes each fault once in a round, one after the other."""
        kinds = [
            self.kill_a_server,
            self.kill_an_adapter,
            self.freeze_an_adapter,
            self.end_sessions,
            self.restart_the_database,
        ]
        for _ in range(rounds):
            for fault in self.chance.sample(kinds, len(kinds)):
                await asyncio.sleep(self.chance.uniform(0.1, 0.6))
                await asyncio.to_thread(fault)
                self.counted[fault.__name__] += 1
                self.thaw()
        while self.frozen:
            await asyncio.sleep(0.1)
            self.thaw()

    def kill_a_server(self) -> None:
        server = self.chance.choice(self.servers)
        server.stop(signal.SIGKILL)
        server.start()

    def kill_an_adapter(self) -> None:
        adapter = self.chance.choice(self.adapters)
        adapter.kill()
        adapter.start()

    def freeze_an_adapter(self) -> None:
        """Freezes an adapter for a time that is shorter or longer than a lease."""
        adapter = self.chance.choice(self.adapters)
        adapter.send(signal.SIGSTOP)
        self.freezes[adapter.name] += 1
        self.frozen.append((time.monotonic() + self.chance.uniform(0.5, 4), adapter))

    def thaw(self) -> None:
        for each in [each for each in self.frozen if each[0] <= time.monotonic()]:
            each[1].send(signal.SIGCONT)
            self.frozen.remove(each)

    def end_sessions(self) -> None:
        self.postgres.sql(
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity "
            "WHERE application_name = 'generic-provider' ORDER BY random() LIMIT %s) AS chosen",
            self.chance.randint(1, 6),
        )

    def restart_the_database(self) -> None:
        self.postgres.stop(self.chance.choice(("fast", "immediate")))
        time.sleep(self.chance.uniform(0, 0.5))
        self.postgres.start()


@contextmanager
def cluster(folder: Path, postgres: PostgresServer) -> Iterator[list[Server]]:
    database = postgres.create_database()
    servers = [Server(folder, database=database, name=f"server-{n}") for n in range(SERVERS)]
    with ExitStack() as stack:
        for server in servers:
            stack.push(server)
            server.begin()
        for server in servers:
            server.wait()
        with Client(servers[0].address) as crm:
            crm.create_provider(provider(CODE))
            crm.set_provider_state(CODE, state="EFFECTIVE")
        yield servers
        assert [server.stop(signal.SIGTERM) for server in servers] == [0] * SERVERS


@pytest.mark.postgresql
@forms(
    "size",
    suite=Size(rounds=1, adapters=3, subscribers=40, calm=0.5),
    soak=Size(rounds=40 * ROUNDS, adapters=6, subscribers=150, calm=4),
)
async def test_whatever_fails_nothing_is_lost_and_order_holds(
    tmp_path: Path, size: Size, figure: Figure
) -> None:
    chance = dice("faults", size)
    with own_postgres() as postgres, cluster(tmp_path, postgres) as servers, ExitStack() as stack:
        adapters = [
            stack.enter_context(_adapter(n, servers[n % SERVERS])) for n in range(size.adapters)
        ]
        clients = [AsyncClient(s.address, timeout=timedelta(minutes=2)) for s in servers]
        load = Load(clients, chance, size.subscribers)
        running = asyncio.create_task(load.run())
        await asyncio.sleep(size.calm)
        faults = Faults(chance, postgres, servers, adapters)
        start = time.monotonic()
        await faults.happen(size.rounds)
        end = time.monotonic()
        await asyncio.sleep(size.calm)
        load.stopped = True
        await running
        for fault, count in faults.counted.items():
            figure(fault.replace("_", " "), count)
        before, after = load.rate(start - size.calm / 2, start), load.rate(end, end + size.calm)
        figure("actions/s before and after faults", f"{before:.0f}, {after:.0f}")
        for client in clients:
            await client.close()
        with Client(servers[-1].address) as crm:
            await asyncio.to_thread(_check, crm, load, tmp_path, faults.freezes)


def _adapter(n: int, server: Server) -> AbstractContextManager[SimulatedAdapter]:
    options = ("--delay=0.002", "--lease=2")
    return simulated_adapter(f"adapter-{n}", *options, server=server, provider=CODE)


def _check(crm: Client, load: Load, folder: Path, freezes: Counter[str]) -> None:
    wait_until(lambda: not crm.get_backlog(CODE).pending, what="the backlog is served")
    settled = {each.id for each in crm.list_actions() if each.HasField("settle_time")}
    assert len(load.acknowledged) > load.subscribers
    assert set(load.acknowledged) <= settled
    states = {each.number: each.state for each in crm.list_requests(provider=CODE)}
    assert set(states.values()) == {RequestState.COMPLETED}
    with platform_in(folder / "platform.db") as platform:
        assert {line.request for line in platform.journal()} == states.keys()
        touched_late = _out_of_order(platform, freezes)
        for each in crm.list_subscriptions():
            _check_platform(platform, crm.get_subscription(each.number), late=touched_late)


def _out_of_order(platform: Platform, freezes: Counter[str]) -> set[str]:
    """Returns the subscriptions for which a frozen adapter finished a request after a later
    request. The adapter had begun the earlier request under a live lease.

    An adapter works on one request at a time, so each freeze causes at most one such request.
    """
    last: dict[str, str] = {}
    late: Counter[str] = Counter()
    subscriptions = set()
    for line in platform.journal():
        if line.request < last.get(line.subscription, ""):
            late[line.adapter] += 1
            subscriptions.add(line.subscription)
        last[line.subscription] = max(line.request, last.get(line.subscription, ""))
    assert late <= freezes
    return subscriptions


def _check_platform(platform: Platform, subscription: Subscription, *, late: set[str]) -> None:
    """Checks that the platform holds what the CRM says. On the platform, a subscription in `late`
    may differ from the CRM, but then its link must not be IN_SYNC.
    """
    (link,) = subscription.provider_links
    number = subscription.number
    holds = platform.holds(number)
    assert holds is not None
    wanted = sorted(
        f"MAIN {SERVICES[each.service]} C{number} B{number}" for each in subscription.services
    )
    in_sync = link.sync_state == SyncState.IN_SYNC
    assert in_sync == (not link.differences)
    assert {each.kind for each in link.differences} <= {DifferenceKind.UNCERTAIN}
    assert holds["services"] == wanted or (number in late and not in_sync)
