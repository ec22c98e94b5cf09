"""Histories made up by chance, with simulated platforms as the truth; see support.histories.

A failure names the history's seed and tells its story; a History with that seed on an empty store
goes the same way again.
"""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec.structs import replace

from generic_provider_server.domain.values import (
    SECOND,
    DeliverySettings,
    Provider,
    Service,
    ServiceKind,
    SyncState,
)
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.store.store import open_store
from support.bench import Bench, HandClock
from support.catalogues import aluxsat, ott
from support.histories import History
from support.platform import SimulatedPlatform

CHUNKS = 16
HISTORIES, HISTORIES_ON_POSTGRESQL = 70, 10
STEPS = 40


def providers() -> list[Provider]:
    """Both post usage; one gives up after three attempts, the other after five."""
    rent = Service(code="RENT", provider_service_id="R", kind=ServiceKind.USAGE)
    return [
        replace(
            provider,
            services=(*provider.services, rent),
            delivery_settings=DeliverySettings(
                max_delivery_attempts=attempts, max_lease_time=3_600 * SECOND + SECOND // 4
            ),
        )
        for provider, attempts in ((aluxsat(), 3), (ott(), 5))
    ]


@pytest.mark.parametrize("chunk", range(CHUNKS))
async def test_whatever_happens_what_is_in_sync_is_on_the_platform(
    url: str, clock: HandClock, chunk: int
) -> None:
    store = open_store(url, clock=clock)
    delivery = Delivery(store, max_streams=100)
    bench = Bench(store, clock)
    for provider in providers():
        await bench.add_provider(provider)
    platforms = {provider.code: SimulatedPlatform() for provider in providers()}
    states: Counter[SyncState] = Counter()
    count = HISTORIES_ON_POSTGRESQL if store.shared else HISTORIES
    for seed in range(chunk * count, (chunk + 1) * count):
        history = History(bench, delivery, platforms, providers(), seed)
        states.update(await history.play(STEPS))
    await store.close()

    assert states[SyncState.IN_SYNC] > states[SyncState.OUT_OF_SYNC]
