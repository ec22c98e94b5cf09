from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.provisioning_server import Server, provisioning_server


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generic_provider._streams.RECONNECT_SECONDS", (0.01, 0.05))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with provisioning_server() as running:
        yield running
