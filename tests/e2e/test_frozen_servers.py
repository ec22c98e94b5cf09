"""Servers and connections are frozen for some seconds, and rows stay locked, while a CRM changes
subscriptions.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from generic_provider import AsyncClient, Client, Distributor, Provider, Service, SyncState, actions
from support.figures import Figure
from support.fresh import dice
from support.hanging import Hanging, StepClock
from support.postgres import own_postgres
from support.processes import Server, wait_until
from support.raw_adapter import RawAdapter, WatchedPlatform
from support.soak import ROUNDS, forms
from support.stalling import StallingProxy

CODE = "P"
NEWS = [("MAIN", "NEWS")]
LONGEST_RETRY = 420.0
"""The test waits at most this many seconds for the last requests: after many failed attempts, the
pause before the next hand-over grows to five minutes, plus 20 %.
"""


@dataclass
class Load:
    """A CRM that switches a service on and off, through any server. The CRM gives up some calls,
    and repeats these calls.
    """

    clients: list[AsyncClient]
    chance: random.Random
    acknowledged: list[str] = field(default_factory=list)
    given_up: int = 0
    stopped: bool = False

    async def run(self, subscribers: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            for n in range(subscribers):
                tasks.create_task(self._change(f"K{n:03}"))

    async def _change(self, number: str) -> None:
        become = actions.BecomeSubscriber(type="DTH", provider=CODE, services=[("MAIN", "SPORT")])
        await self._perform(become, number)
        while not self.stopped:
            await self._perform(actions.AddServices(services=NEWS), number)
            await asyncio.sleep(self.chance.uniform(0, 0.5))
            await self._perform(actions.RemoveServices(services=NEWS), number)
            await asyncio.sleep(self.chance.uniform(0, 0.5))

    async def _perform(self, action: actions.Action, number: str) -> None:
        request_id = str(uuid4())
        while True:
            client = self.chance.choice(self.clients)
            patience = self.chance.choice([None, None, None, self.chance.uniform(0, 0.1)])
            try:
                async with asyncio.timeout(patience):
                    done = await client.perform(action, subscription=number, request_id=request_id)
            except TimeoutError:
                self.given_up += 1
            else:
                self.acknowledged.append(done.action.id)
                return


@dataclass(frozen=True)
class Size:
    """`seconds`: how long faults happen. `faults`: False if servers are only frozen. True
    if, in addition, connections stall, rows are locked, database sessions are ended, the database
    restarts, and its clock is set.
    """

    seconds: float
    servers: int
    adapters: int
    subscribers: int
    patience: float
    lease: float
    faults: bool


@contextmanager
def servers_on(folder: Path, databases: list[str], *, patience: float) -> Iterator[list[Server]]:
    options = "--patience-seconds", str(patience)
    servers = [
        Server(folder, *options, database=database, name=f"server-{n}")
        for n, database in enumerate(databases)
    ]
    with ExitStack() as stack:
        for server in servers:
            stack.push(server)
            server.start()
        with Client(servers[0].address) as crm:
            services = [Service(code=c, provider_service_id=c) for c in ("SPORT", "NEWS")]
            crm.create_provider(
                Provider(code=CODE, distributors=[Distributor(code="MAIN")], services=services)
            )
            crm.set_provider_state(CODE, state="EFFECTIVE")
        yield servers


@asynccontextmanager
async def adapters_at(
    servers: list[Server], platform: WatchedPlatform, size: Size
) -> AsyncIterator[Counter[str]]:
    """Runs the adapters, and yields a counter of the adapters that have died. A dead adapter
    forgets what it has applied, and is replaced by a new adapter with the same name.
    """
    addresses, died = [server.address for server in servers], Counter[str]()

    async def live_and_die(n: int) -> None:
        mine = n % len(servers)
        order = [addresses[mine], *addresses[:mine], *addresses[mine + 1 :]]
        while True:
            adapter = RawAdapter(f"adapter-{n}", order, platform=platform, lease=size.lease)
            with suppress(TimeoutError):
                async with asyncio.timeout(platform.chance.uniform(1, 10) * size.patience):
                    await adapter.run(CODE)
            died["adapters died"] += 1

    running = [asyncio.create_task(live_and_die(n)) for n in range(size.adapters)]
    try:
        yield died
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.postgresql
@forms(
    "size",
    suite=Size(5, servers=2, adapters=2, subscribers=40, patience=1, lease=2, faults=False),
    soak=Size(
        120 * ROUNDS, servers=3, adapters=6, subscribers=120, patience=2, lease=5, faults=True
    ),
)
@pytest.mark.timeout(120)
async def test_whoever_stands_still_no_request_is_in_two_hands(
    tmp_path: Path, size: Size, figure: Figure
) -> None:
    chance = dice("hanging", size)
    platform = WatchedPlatform(chance, seconds=0.02)
    with own_postgres() as postgres, ExitStack() as stack:
        database = postgres.create_database()
        clock = StepClock(postgres, urlsplit(database).path[1:])
        proxies = [
            stack.enter_context(closing(StallingProxy(database))) for _ in range(size.servers)
        ]
        urls = [proxy.url for proxy in proxies]
        servers = stack.enter_context(servers_on(tmp_path, urls, patience=size.patience))
        faults = Hanging(chance, size.patience, postgres, servers, proxies, clock)
        clients = [AsyncClient(s.address, timeout=timedelta(minutes=2)) for s in servers]
        async with adapters_at(servers, platform, size) as died:
            load = Load(clients, chance)
            running = asyncio.create_task(load.run(size.subscribers))
            await asyncio.sleep(1)
            await faults.happen(size.seconds, everything=size.faults)
            load.stopped = True
            await running
            for client in clients:
                await client.close()
            with Client(servers[-1].address) as crm:
                await asyncio.to_thread(check, crm, load, platform)
    faults.counted.update(died, calls_given_up=load.given_up)
    for fault, count in faults.counted.items():
        figure(fault.replace("_", " "), count)
    figure("requests while something stood still", len(platform.pieces))


def check(crm: Client, load: Load, platform: WatchedPlatform) -> None:
    served = "the backlog is served"
    wait_until(lambda: not crm.get_backlog(CODE).pending, what=served, patience=LONGEST_RETRY)
    settled = {each.id for each in crm.list_actions() if each.HasField("settle_time")}
    assert set(load.acknowledged) <= settled
    assert platform.at_once() == []
    assert platform.out_of_order() == []
    for each in crm.list_subscriptions():
        subscription = crm.get_subscription(each.number)
        (link,) = subscription.provider_links
        wanted = {service.service for service in subscription.services}
        if link.sync_state == SyncState.IN_SYNC:
            assert platform.holds[each.number] == wanted, each.number
