"""Random histories on a store, with simulated platforms as the truth; see support.histories.

A failure tells the steps of the shortest history found that leads to it, and its story.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from generic_provider_server.domain.values import SyncState
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.store.store import open_store
from support.bench import Bench, HandClock
from support.figures import Figure
from support.fresh import play_fresh
from support.histories import WEIGHTS, History
from support.platform import SimulatedPlatform
from support.setting_up import two_providers
from support.soak import histories

Steps = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class World:
    """A store on which histories can be played one after the other, and the platforms."""

    bench: Bench
    delivery: Delivery
    platforms: dict[str, SimulatedPlatform]

    async def play(self, start: int, steps: Steps, story: list[str]) -> list[SyncState]:
        history = History(
            self.bench, self.delivery, self.platforms, two_providers(), seed=start, log=story
        )
        return await history.play(steps)


@asynccontextmanager
async def world(url: str) -> AsyncIterator[World]:
    clock = HandClock()
    store = open_store(url, clock=clock)
    delivery = Delivery(store, max_streams=100)
    bench = Bench(store, clock)
    for provider in two_providers():
        await bench.add_provider(provider)
    try:
        yield World(bench, delivery, {each.code: SimulatedPlatform() for each in two_providers()})
    finally:
        await store.close()


@pytest.mark.timeout(600)  # for making a failing history short; one that holds takes no second
@histories(suite=500, soak=5_000, at_once=50)
async def test_whatever_happens_what_is_in_sync_is_on_the_platform(
    url: str, tmp_path: Path, chunk: str, count: int, figure: Figure
) -> None:
    """On PostgreSQL, which takes longer, an eighth of them."""
    states: Counter[SyncState] = Counter()
    kind = url.partition(":")[0]
    count = count if kind == "sqlite" else -(-count // 8)

    async def alone(start: int, steps: Steps, story: list[str]) -> None:
        with TemporaryDirectory(dir=tmp_path) as folder:
            async with world(f"sqlite:///{folder}/store.db") as fresh:
                await fresh.play(start, steps, story)

    async with world(url) as shared:

        async def play(start: int, steps: Steps, story: list[str]) -> None:
            states.update(await shared.play(start, steps, story))

        await play_fresh(kind, chunk, count=count, weights=WEIGHTS, play=play, alone=alone)

    figure(f"histories on a store ({kind})", count)
    assert states[SyncState.IN_SYNC] > states[SyncState.OUT_OF_SYNC]
