"""Tests a watcher that is often disconnected, and connects to a random server each time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import pytest

from generic_provider import (
    AsyncClient,
    Event,
    EventKind,
    ProvisioningResponse,
    ResponseStatus,
    actions,
)
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.domain.subscription.records import action_id
from generic_provider_server.domain.subscription.request_records import request_number
from generic_provider_server.store.opening import open_store
from support.figures import Figure
from support.fresh import dice
from support.shop import Shop
from support.soak import ROUNDS, forms
from support.told import Told

SERVERS = 3
SUBSCRIPTIONS = 12
SPORT = [("MAIN", "SPORT")]


@asynccontextmanager
async def three_servers(url: str) -> AsyncIterator[list[str]]:
    settings = Settings(listen="127.0.0.1:0", database=url)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running(settings)) for _ in range(SERVERS)]


class Load:
    """A CRM, and an adapter that rejects some requests. Each call is made to a random server."""

    def __init__(self, crms: Sequence[AsyncClient], chance: random.Random) -> None:
        self.crms = crms
        self.chance = chance
        self.left = 0
        self.changing = True

    async def change(self, changes: int) -> None:
        """This method ends when each of its calls has returned, so that no change is committed
        afterwards.
        """
        self.left = changes
        answering = asyncio.create_task(self._answer())
        await asyncio.gather(*[self._change(f"S{n}") for n in range(SUBSCRIPTIONS)])
        self.changing = False
        await answering

    async def _change(self, number: str) -> None:
        become = actions.BecomeSubscriber(type="DTH", provider="P", services=SPORT)
        await self.chance.choice(self.crms).perform(become, subscription=number)
        while self.left > 0:
            self.left -= 1
            stop = self.chance.random() < 0.5
            action = actions.StopServices if stop else actions.StartServices
            one = actions.request(action(services=SPORT), subscription=number)
            # the server refuses some of these actions
            await self.chance.choice(self.crms).batch_perform([one])

    async def _answer(self) -> None:
        while self.changing:
            handed = await self.chance.choice(self.crms).pull("P", adapter="a")
            responses = [
                ProvisioningResponse(
                    request=request.number, lease_token=each.lease_token, status=self._status()
                )
                for each in handed.subscriptions
                for request in each.requests[:1]
            ]
            if responses:
                await self.chance.choice(self.crms).send_responses("P", responses=responses)
            await asyncio.sleep(0.01)

    def _status(self) -> ResponseStatus.ValueType:
        return ResponseStatus.REJECTED if self.chance.random() < 0.1 else ResponseStatus.ACCEPTED


class MovedWatcher:
    """A watcher that needs only the cursor of the last event to connect to another server."""

    def __init__(self, crms: Sequence[AsyncClient], chance: random.Random) -> None:
        self.crms = crms
        self.chance = chance
        self.heard: list[Event] = []
        self.moves = 0

    async def watch(self) -> None:
        while True:
            cursor = self.heard[-1].cursor if self.heard else ""
            crm = self.chance.choice(self.crms)
            events = crm.watch_events(start_after=cursor, from_beginning=True)
            try:
                async with asyncio.timeout(self.chance.uniform(0, 0.3)), aclosing(events):  # type: ignore[type-var]
                    async for event in events:
                        self.heard.append(event)
            except TimeoutError:
                self.moves += 1


@pytest.mark.timeout(300)
@forms("changes", suite=300, soak=10_000 * ROUNDS)
async def test_a_watcher_hears_everything_once_and_in_order_wherever_it_is(
    postgres_url: str, changes: int, figure: Figure
) -> None:
    chance = dice("moving watcher")
    async with three_servers(postgres_url) as addresses, AsyncExitStack() as stack:
        crms = [await stack.enter_async_context(AsyncClient(each)) for each in addresses]
        await Shop(addresses[0], crms[0]).open()
        watcher = MovedWatcher(crms, chance)
        watching = asyncio.create_task(watcher.watch())
        await Load(crms, chance).change(changes)
        store = open_store(postgres_url)
        told = Told(store, 1)
        await told.read()
        while len(watcher.heard) < len(told.events):
            await asyncio.sleep(0.05)
        watching.cancel()
        for n in range(SUBSCRIPTIONS):
            await told.check(f"S{n}")
        await store.close()

    assert [facts(event) for event in watcher.heard] == [
        (each.kind, each.subscription, each.number) for each in told.events
    ]
    assert len({event.cursor for event in watcher.heard}) == len(watcher.heard)
    figure("events heard by a watcher that moved", len(watcher.heard))
    figure("moves between servers", watcher.moves)


def facts(event: Event) -> tuple[int, str, int]:
    name = event.WhichOneof("change")
    assert name is not None
    change = getattr(event, name)
    match name:
        case "action_executed" | "action_settled" | "subscription_rolled_back":
            number = _number(change.action.id)
        case "request_created" | "request_settled":
            number = _number(change.request.number)
        case "sync_state_changed":
            number = change.sync_state
        case _:
            number = change.state
    return EventKind.of(name.upper()), event.subscription, number


def _number(name: str) -> int:
    assert name in (action_id(int(name[1:])), request_number(int(name[1:])))
    return int(name[1:])
