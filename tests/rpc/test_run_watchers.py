"""Tests which messages callers get who read or watch a reset run."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from generic_provider import AsyncClient, Provider, ResetRunDefinition, ResetRunState
from generic_provider.v1 import reset_service_pb2 as resets
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.domain.resets.records import Settled
from generic_provider_server.store.read.resets import ResetReads
from support.calling import Caller, Refusal

MOST = 40


async def test_many_watchers_of_a_run_read_it_once_and_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, read = list[Any](), ResetReads.settled_of_runs

    def settled_of_runs(self: Any, runs: Any) -> Any:
        reads.append(runs)
        return read(self, runs)

    database = f"sqlite:///{tmp_path / 'x.db'}"
    settings = Settings(listen="127.0.0.1:0", database=database, max_streams=MOST)
    async with running(settings) as address, AsyncClient(address) as client:
        run = await _held(client)
        watchers = [aiter(client.watch_reset_run(run)) for _ in range(MOST)]
        for each in watchers:
            await anext(each)
        request = resets.WatchResetRunRequest(reset_run=run)
        refused = await Caller(client.channel).call("WatchResetRun", request)
        assert isinstance(refused, Refusal)
        assert refused.reason == "TOO_MANY_STREAMS"

        monkeypatch.setattr(ResetReads, "settled_of_runs", settled_of_runs)
        await client.cancel_reset_run(run)
        ends = [await anext(each) for each in watchers]

    assert {each.state for each in ends} == {ResetRunState.CANCELLED}
    assert len(reads) < MOST / 2


async def test_the_numbers_of_requests_add_up_while_a_run_creates_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settled_of_runs(_: Any, runs: Collection[int]) -> dict[int, Settled]:
        """Counts requests that the run created after its record was read."""
        return {run: Settled(completed=1, rejected=2, pending=3) for run in runs}

    database = f"sqlite:///{tmp_path / 'x.db'}"
    settings = Settings(listen="127.0.0.1:0", database=database)
    async with running(settings) as address, AsyncClient(address) as client:
        number = await _held(client)
        monkeypatch.setattr(ResetReads, "settled_of_runs", settled_of_runs)
        run = await client.get_reset_run(number)

    assert run.requests_created == 6
    assert (run.requests_completed, run.requests_rejected, run.requests_pending) == (1, 2, 3)


async def _held(client: AsyncClient) -> str:
    provider = Provider(code="P")
    provider.distributors.add(code="MAIN")
    provider.services.add(code="S", provider_service_id="1")
    await client.create_provider(provider)
    await client.set_provider_state("P", state="EFFECTIVE")
    fields = ResetRunDefinition(name="n", provider="P")
    definition = await client.create_reset_run_definition(fields)
    submitted = await client.submit_reset_run_definition(definition.id, hold=True)
    run = submitted.reset_run
    while run.state != ResetRunState.HELD:
        await asyncio.sleep(0.01)
        run = await client.get_reset_run(run.id)
    return run.id
