from __future__ import annotations

import asyncio
import random
import signal
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

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
from support.processes import Server, SimulatedAdapter, simulated_adapter, wait_until
from support.soak import ROUNDS, forms

CODE = "ALUXSAT"
SUBSCRIBERS = 30


@dataclass
class Load:
    """A CRM that changes subscriptions until `stopped`, and records the acknowledged actions."""

    client: AsyncClient
    chance: random.Random
    acknowledged: list[str] = field(default_factory=list)
    stopped: bool = False

    async def run(self) -> None:
        numbers = [f"K{n:03}" for n in range(SUBSCRIBERS)]
        await asyncio.gather(*[self._change(each) for each in numbers])

    async def _change(self, number: str) -> None:
        become = actions.BecomeSubscriber(
            type="DTH",
            provider=CODE,
            items=[("MAIN", "SMARTCARD", f"C{number}"), ("MAIN", "DECODER", f"B{number}")],
            services=[("MAIN", "SPORT")],
        )
        await self._perform(become, number)
        on = False
        while not self.stopped:
            services = [("MAIN", "NEWS")]
            change: actions.Action = (
                actions.RemoveServices(services=services)
                if on
                else actions.AddServices(services=services)
            )
            await self._perform(change, number)
            on = not on
            await asyncio.sleep(self.chance.uniform(0, 0.2))

    async def _perform(self, action: actions.Action, number: str) -> None:
        done = await self.client.perform(action, subscription=number)
        self.acknowledged.append(done.action.id)


@forms("rounds", suite=1, soak=40 * ROUNDS)
async def test_killed_at_random_under_load_nothing_is_lost_and_order_holds(
    tmp_path: Path, rounds: int, figure: Figure
) -> None:
    chance = dice("kills", rounds)
    options = ("--delay=0.005", "--lease=2")
    with (
        Server(tmp_path) as server,
        Client(server.address) as crm,
        simulated_adapter("one", *options, server=server, provider=CODE) as one,
        simulated_adapter("two", *options, server=server, provider=CODE) as two,
    ):
        crm.create_provider(provider(CODE))
        crm.set_provider_state(CODE, state="EFFECTIVE")
        adapters = [one, two]
        faults = [_kill_server, _kill_adapter, _drain]
        async with AsyncClient(server.address, timeout=timedelta(minutes=2)) as client:
            load = Load(client, chance)
            running = asyncio.create_task(load.run())
            for fault in [each for _ in range(rounds) for each in chance.sample(faults, 3)]:
                await asyncio.sleep(chance.uniform(0.05, 0.6))
                await asyncio.to_thread(fault, server, chance.choice(adapters))
            load.stopped = True
            await running
        figure("processes killed or drained on SQLite", 3 * rounds)
        await asyncio.to_thread(_check, crm, load.acknowledged, tmp_path)
        assert [adapter.stop() for adapter in adapters] == [0, 0]
        assert server.stop(signal.SIGTERM) == 0
        server.start()
        assert len(list(crm.list_subscriptions())) == SUBSCRIBERS


def _kill_server(server: Server, _: SimulatedAdapter) -> None:
    server.stop(signal.SIGKILL)
    server.start()


def _kill_adapter(_: Server, adapter: SimulatedAdapter) -> None:
    adapter.kill()
    adapter.start()


def _drain(server: Server, _: SimulatedAdapter) -> None:
    assert server.stop(signal.SIGTERM) == 0
    server.start()


def _check(crm: Client, acknowledged: list[str], folder: Path) -> None:
    wait_until(lambda: not crm.get_backlog(CODE).pending, what="the backlog is served")
    settled = {each.id for each in crm.list_actions() if each.HasField("settle_time")}
    assert len(acknowledged) > SUBSCRIBERS
    assert set(acknowledged) <= settled
    states = {each.number: each.state for each in crm.list_requests(provider=CODE)}
    assert set(states.values()) == {RequestState.COMPLETED}
    with platform_in(folder / "platform.db") as platform:
        for each in crm.list_subscriptions():
            _check_platform(platform, crm.get_subscription(each.number))
        _check_order(platform)
        assert {line.request for line in platform.journal()} == states.keys()


def _check_platform(platform: Platform, subscription: Subscription) -> None:
    """Checks that the platform holds what the CRM says. After a late answer an element may be
    uncertain. Then the service shows the element as uncertain, and after a reset the element is
    certain.
    """
    (link,) = subscription.provider_links
    assert {each.kind for each in link.differences} <= {DifferenceKind.UNCERTAIN}
    assert link.sync_state == (SyncState.OUT_OF_SYNC if link.differences else SyncState.IN_SYNC)
    number = subscription.number
    holds = platform.holds(number)
    assert holds is not None
    assert holds["services"] == sorted(
        f"MAIN {SERVICES[each.service]} C{number} B{number}" for each in subscription.services
    )


def _check_order(platform: Platform) -> None:
    """Checks the order of the requests that arrived for a subscription: only the last of them may
    arrive again, and each new request has a greater number.
    """
    last: dict[str, str] = defaultdict(str)
    for line in platform.journal():
        assert line.request >= last[line.subscription], line
        last[line.subscription] = line.request


def test_a_frozen_adapters_work_goes_to_another_and_the_server_notices_it(tmp_path: Path) -> None:
    with Server(tmp_path) as server, Client(server.address) as crm:
        crm.create_provider(provider(CODE))
        crm.set_provider_state(CODE, state="EFFECTIVE")
        options = ("--lease=1", "--max-in-flight=1")
        with simulated_adapter("frozen", *options, server=server, provider=CODE) as frozen:
            wait_until(lambda: _adapters(crm) == ["frozen"], what="the adapter is connected")
            frozen.send(signal.SIGSTOP)
            for n in range(5):
                crm.perform(
                    actions.BecomeSubscriber(type="DTH", provider=CODE, services=[]),
                    subscription=f"F{n}",
                )
            wait_until(lambda: crm.get_backlog(CODE).leased == 1, what="the work is handed over")
            with simulated_adapter("other", *options, server=server, provider=CODE):
                wait_until(lambda: not crm.get_backlog(CODE).pending, what="the work is done")
                done = {each.last_adapter for each in crm.list_requests(provider=CODE)}
                assert done == {"other"}
                wait_until(lambda: _adapters(crm) == ["other"], what="the frozen adapter is gone")
                frozen.send(signal.SIGCONT)
                wait_until(
                    lambda: _adapters(crm) == ["frozen", "other"], what="the frozen adapter is back"
                )


def _adapters(crm: Client) -> list[str]:
    return sorted(each.adapter for each in crm.list_adapters())
