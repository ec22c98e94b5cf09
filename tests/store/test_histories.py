"""Plays random histories, and compares them with simulated platforms; see support.histories."""

from __future__ import annotations

from pathlib import Path

import pytest

from generic_provider_server.domain.values import SyncState
from support.figures import Figure
from support.soak import histories
from support.store_histories import play_on_store

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)  # to shorten a history that fails takes long
@histories(suite=430, soak=5_000, at_once=86)
async def test_whatever_happens_what_is_in_sync_is_on_the_platform(
    url: str, tmp_path: Path, chunk: str, count: int, figure: Figure
) -> None:
    states = await play_on_store(url, tmp_path, chunk=chunk, count=count, figure=figure)

    assert states[SyncState.IN_SYNC]
