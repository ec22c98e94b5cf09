"""Makes, submits and completes reset runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from generic_provider_server.commands.reset_definitions import CreateDefinition, Submit
from generic_provider_server.commands.reset_run_decisions import Approve, Cancel
from generic_provider_server.domain.resets.records import (
    DefinitionRecord,
    Entry,
    EntryOutcome,
    ResetDefinition,
    RunRecord,
    Settled,
)
from generic_provider_server.domain.subscription.records import Who
from generic_provider_server.services.resetting import Resetting
from support.bench import Bench
from support.examples import ADD_SPORT, viewer

OLEV = Who(performed_by="Olev")


@dataclass
class Slept:
    """A clock that advances only while the program sleeps."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Runs:
    bench: Bench
    slept: Slept = field(default_factory=Slept)

    def resetting(self) -> Resetting:
        return Resetting(self.bench.store, now=self.slept, sleep=self.slept.sleep)

    async def define(self, **fields: Any) -> DefinitionRecord:
        definition = ResetDefinition(**{"name": "after the outage", "provider": "SAT", **fields})
        create = CreateDefinition(definition=definition, digest=b"", who=OLEV)
        return await self.bench.store.do(create)

    async def submit(self, definition: DefinitionRecord, *, hold: bool = False) -> RunRecord:
        submit = Submit(id=definition.id, digest=b"", hold=hold, who=OLEV)
        _, run = await self.bench.store.do(submit)
        assert run is not None
        return run

    async def work(self) -> None:
        resetting = self.resetting()
        await resetting.step()
        await resetting.finished()

    async def run(self, *, hold: bool = False, **fields: Any) -> RunRecord:
        """Submits the definition, works on the run until nothing is left to do, and returns the
        run.
        """
        run = await self.submit(await self.define(**fields), hold=hold)
        await self.work()
        return await self.get(run)

    async def get(self, run: RunRecord) -> RunRecord:
        found = await self.bench.store.read(lambda queries: queries.reset_run(run.id))
        assert found is not None
        return found

    async def settled(self, run: RunRecord) -> Settled:
        found = await self.bench.store.read(lambda queries: queries.settled_of_runs([run.id]))
        return found[run.id]

    async def approve(self, run: RunRecord) -> RunRecord:
        await self.bench.store.do(Approve(run_number=run.id, reason="looked", who=OLEV))
        await self.work()
        return await self.get(run)

    async def cancel(self, run: RunRecord) -> RunRecord:
        return await self.bench.store.do(Cancel(run_number=run.id, who=OLEV))

    async def entries(self, run: RunRecord) -> list[Entry]:
        return await self.bench.store.read(
            lambda queries: queries.reset_entries(run.id, outcomes=(), after="", limit=1_000)
        )

    async def outcomes(self, run: RunRecord) -> dict[str, EntryOutcome]:
        return {entry.subscription: entry.outcome for entry in await self.entries(run)}

    async def outage(self, *drifting: str, steady: int = 0) -> None:
        """Creates subscriptions, and adds SPORT to the `drifting` subscriptions while SAT is not
        effective.
        """
        calm = [f"C{n:03d}" for n in range(steady)]
        await self.bench.become_all([viewer(number) for number in (*drifting, *calm)])
        await self.bench.accept_all("SAT")
        await self.bench.stop_provider("SAT")
        await asyncio.gather(*[self.bench.perform(ADD_SPORT, number) for number in drifting])
        await self.bench.start_provider("SAT")
