"""Histories made up by chance, each healed by one reset run at the end; see support.histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from generic_provider_server.domain.resets.records import RunState
from generic_provider_server.domain.values import SyncState
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.store.store import open_store
from support.bench import Bench, HandClock
from support.fresh import play_fresh
from support.histories import WEIGHTS, History
from support.platform import SimulatedPlatform
from support.resets import Runs
from support.setting_up import two_providers

CHUNKS = 4
HISTORIES, HISTORIES_ON_POSTGRESQL = 25, 4


@dataclass(slots=True)
class Healed(History):
    """With a reset run at every provider, plain or in full, before the end."""

    async def _say_goodbye(self) -> None:
        full = self.chance.random() < 0.3
        assert await self._reset(full=full) >= 0
        await self._drain()
        for aggregate in await self.truth.aggregates():
            for link in aggregate.links:
                assert link.sync_state is SyncState.IN_SYNC, (aggregate.desired.number, link)
        await self.truth.check_all()
        assert await self._reset(full=False) == 0, "a second run has something to do"
        await History._say_goodbye(self)  # noqa: SLF001 - slots leave `super` no class

    async def _reset(self, *, full: bool) -> int:
        """Returns the number of requests that were created."""
        created = 0
        for provider in self.providers:
            run = await Runs(self.bench).run(
                provider=provider.code,
                subscriptions=self.subscriptions,
                full=full,
            )
            assert run.state is RunState.COMPLETED
            created += run.requests_created
        return created


@pytest.mark.parametrize("chunk", range(CHUNKS))
async def test_one_run_brings_everybody_in_sync_whatever_has_happened(
    url: str, clock: HandClock, chunk: int
) -> None:
    store = open_store(url, clock=clock)
    delivery = Delivery(store, max_streams=100)
    bench = Bench(store, clock)
    for provider in two_providers():
        await bench.add_provider(provider)
    platforms = {provider.code: SimulatedPlatform() for provider in two_providers()}

    async def play(start: int, steps: Sequence[tuple[str, int]], story: list[str]) -> None:
        healed = Healed(bench, delivery, platforms, two_providers(), seed=start, log=story)
        await healed.play(steps)

    count = HISTORIES_ON_POSTGRESQL if store.shared else HISTORIES
    await play_fresh("resets", url[:6], chunk, count=count, weights=WEIGHTS, play=play)
    await store.close()
