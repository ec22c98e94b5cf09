"""Plays new histories on a store, one after the other; see support.histories."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from generic_provider_server.domain.values import SyncState
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.store.opening import open_store

from .bench import PATIENT, Bench, HandClock
from .figures import Figure
from .fresh import play_fresh
from .histories import WEIGHTS, History
from .platform import SimulatedPlatform
from .setting_up import two_providers

Steps = Sequence[tuple[str, int]]

FEWER_ON_POSTGRESQL = 20
"""On PostgreSQL the number of histories is divided by this number, because a history takes much
longer on PostgreSQL than on SQLite.
"""


@dataclass(frozen=True, slots=True)
class World:
    """A store on which histories are played, and the platforms."""

    bench: Bench
    delivery: Delivery
    platforms: dict[str, SimulatedPlatform]
    kind: type[History]

    async def play(self, start: int, steps: Steps, story: list[str]) -> list[SyncState]:
        history = self.kind(
            self.bench, self.delivery, self.platforms, two_providers(), seed=start, log=story
        )
        return await history.play(steps)


async def play_on_store(
    url: str, folder: Path, *, chunk: str, count: int, figure: Figure, kind: type[History] = History
) -> Counter[SyncState]:
    """Plays `count` histories, or fewer on PostgreSQL. A history is a
    series of random steps of the CRM, the adapters, operators and the clock. Returns how often each
    sync state occurred at the end of a history.
    """
    states: Counter[SyncState] = Counter()
    database = url.partition(":")[0]
    if database != "sqlite":
        count = -(-count // FEWER_ON_POSTGRESQL)

    async def alone(start: int, steps: Steps, story: list[str]) -> None:
        with TemporaryDirectory(dir=folder) as empty:
            async with _world(f"sqlite:///{empty}/store.db", kind) as world:
                await world.play(start, steps, story)

    async with _world(url, kind) as shared:

        async def play(start: int, steps: Steps, story: list[str]) -> None:
            states.update(await shared.play(start, steps, story))

        names = kind.__name__, database, chunk
        await play_fresh(*names, count=count, weights=WEIGHTS, play=play, alone=alone)

    figure(f"histories on {database}", count)
    return states


@asynccontextmanager
async def _world(url: str, kind: type[History]) -> AsyncIterator[World]:
    clock = HandClock()
    store = open_store(url, clock=clock, waits=PATIENT)
    bench, delivery = Bench(store, clock), Delivery(store)
    for provider in two_providers():
        await bench.add_provider(provider)
    platforms = {provider.code: SimulatedPlatform() for provider in two_providers()}
    try:
        yield World(bench, delivery, platforms, kind)
    finally:
        await store.close()
