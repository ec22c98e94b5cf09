"""Histories made up by chance, each healed by one reset run at the end; see support.histories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from generic_provider_server.domain.resets.records import RunState
from generic_provider_server.domain.values import SyncState
from support.figures import Figure
from support.histories import History
from support.resets import Runs
from support.soak import histories
from support.store_histories import play_on_store


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


@pytest.mark.timeout(600)  # for making a failing history short; one that holds takes no second
@histories(suite=150, soak=2_000, at_once=50)
async def test_one_run_brings_everybody_in_sync_whatever_has_happened(
    url: str, tmp_path: Path, chunk: str, count: int, figure: Figure
) -> None:
    await play_on_store(url, tmp_path, chunk=chunk, count=count, figure=figure, kind=Healed)
