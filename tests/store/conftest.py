from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from generic_provider_server.store.opening import open_store
from generic_provider_server.store.store import Store
from support.archives import Archivist
from support.bench import PATIENT, Bench, HandClock
from support.examples import SATELLITE, WEB


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest_asyncio.fixture
async def store(url: str, clock: HandClock) -> AsyncIterator[Store]:
    opened = open_store(url, clock=clock, waits=PATIENT)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def bench(store: Store, clock: HandClock) -> Bench:
    """Returns a bench whose store has two providers, SAT and WEB, both effective."""
    bench = Bench(store, clock)
    await bench.add_provider(SATELLITE)
    await bench.add_provider(WEB)
    return bench


@pytest.fixture
def archivist(bench: Bench, tmp_path: Path) -> Archivist:
    return Archivist(bench, tmp_path / "archives")
