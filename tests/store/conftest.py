from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from generic_provider_server.store.store import Store, open_store
from support.bench import Bench, HandClock
from support.examples import SATELLITE, WEB
from support.postgres import Databases

STORES = ("sqlite", "postgresql")
"""Every kind of store passes the whole suite; a new kind is a name here and a case in `url`."""


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of one kind."""
    match request.param:
        case "sqlite":
            yield f"sqlite:///{tmp_path / 'store.db'}"
        case "postgresql":
            postgres: Databases = request.getfixturevalue("postgres")
            yield (made := postgres.create_database())
            postgres.drop_database(made)
        case kind:
            raise ValueError(f"no database for a store of kind {kind!r}")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest_asyncio.fixture
async def store(url: str, clock: HandClock) -> AsyncIterator[Store]:
    opened = open_store(url, on_commit=lambda _: None, clock=clock)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def bench(store: Store, clock: HandClock) -> Bench:
    """The store with two providers, SAT and WEB, both effective."""
    bench = Bench(store, clock)
    await bench.add_provider(SATELLITE)
    await bench.add_provider(WEB)
    return bench
