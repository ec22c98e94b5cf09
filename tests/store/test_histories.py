"""Histories made up by chance, with simulated platforms as the truth; see support.histories.

A failure names the history's seed and tells its story; a History with that seed on an empty store
goes the same way again.
"""

from __future__ import annotations

from collections import Counter

import pytest

from generic_provider_server.domain.values import SyncState
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.store.store import open_store
from support.bench import Bench, HandClock
from support.histories import History
from support.platform import SimulatedPlatform
from support.setting_up import two_providers

CHUNKS = 16
HISTORIES, HISTORIES_ON_POSTGRESQL = 70, 10
STEPS = 40


@pytest.mark.parametrize("chunk", range(CHUNKS))
async def test_whatever_happens_what_is_in_sync_is_on_the_platform(
    url: str, clock: HandClock, chunk: int
) -> None:
    store = open_store(url, clock=clock)
    delivery = Delivery(store, max_streams=100)
    bench = Bench(store, clock)
    for provider in two_providers():
        await bench.add_provider(provider)
    platforms = {provider.code: SimulatedPlatform() for provider in two_providers()}
    states: Counter[SyncState] = Counter()
    count = HISTORIES_ON_POSTGRESQL if store.shared else HISTORIES
    for seed in range(chunk * count, (chunk + 1) * count):
        history = History(bench, delivery, platforms, two_providers(), seed)
        states.update(await history.play(STEPS))
    await store.close()

    assert states[SyncState.IN_SYNC] > states[SyncState.OUT_OF_SYNC]
