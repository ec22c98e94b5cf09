"""Servers that stand still in the middle of everything, on one PostgreSQL, and go on later."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from generic_provider import AsyncClient, Client, Distributor, Provider, Service, SyncState, actions
from support.figures import Figure
from support.fresh import dice
from support.postgres import Databases
from support.processes import Server, wait_until
from support.raw_adapter import RawAdapter, WatchedPlatform

CODE = "P"
PATIENCE = 1.0
LEASE = 2.0
NEWS = [("MAIN", "NEWS")]


@dataclass
class Load:
    """A CRM that switches a service on and off, through the servers that do not stand still."""

    clients: list[AsyncClient]
    chance: random.Random
    acknowledged: list[str] = field(default_factory=list)
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
        done = await self.chance.choice(self.clients).perform(action, subscription=number)
        self.acknowledged.append(done.action.id)


@contextmanager
def servers_on(folder: Path, database: str, *, count: int) -> Iterator[list[Server]]:
    options = "--patience-seconds", str(PATIENCE)
    servers = [
        Server(folder, *options, database=database, name=f"server-{n}") for n in range(count)
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
    servers: list[Server], platform: WatchedPlatform, *, count: int
) -> AsyncIterator[None]:
    addresses = [server.address for server in servers]
    running = []
    for n in range(count):
        mine = n % len(servers)
        order = [addresses[mine], *addresses[:mine], *addresses[mine + 1 :]]
        adapter = RawAdapter(f"adapter-{n}", order, platform=platform, lease=LEASE)
        running.append(asyncio.create_task(adapter.run(CODE)))
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.postgresql
@pytest.mark.timeout(120)
async def test_a_server_that_stood_still_hands_nothing_over_that_others_have(
    tmp_path: Path, postgres: Databases, figure: Figure
) -> None:
    chance = dice("frozen servers")
    platform = WatchedPlatform(chance, seconds=0.02)
    database = postgres.create_database()
    with servers_on(tmp_path, database, count=2) as servers:
        frozen, other = servers
        async with (
            AsyncClient(other.address, timeout=timedelta(minutes=1)) as client,
            adapters_at(servers, platform, count=2),
        ):
            load = Load([client], chance)
            running = asyncio.create_task(load.run(40))
            await asyncio.sleep(1)
            for seconds in (0.6, 5):
                frozen.send(signal.SIGSTOP)
                await asyncio.sleep(seconds)
                frozen.send(signal.SIGCONT)
                await asyncio.sleep(1)
            load.stopped = True
            await running
            with Client(other.address) as crm:
                await asyncio.to_thread(check, crm, load, platform)
    figure("requests beside frozen servers", len(platform.pieces))
    postgres.drop_database(database)


def check(crm: Client, load: Load, platform: WatchedPlatform) -> None:
    wait_until(lambda: not crm.get_backlog(CODE).pending, what="the backlog is served")
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
