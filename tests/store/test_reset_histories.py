"""Plays random histories. At the end of each history, one reset run at each provider must bring all
links in sync. See support.histories.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from generic_provider_server.domain.platform.named_elements import names
from generic_provider_server.domain.resets.records import (
    EntryOutcome,
    ResetDefinition,
    RunRecord,
    RunState,
)
from generic_provider_server.domain.subscription.differences import DifferenceKind
from generic_provider_server.domain.subscription.request_records import RequestRecord
from generic_provider_server.domain.values import Instant, RequestState, RequestType, SyncState
from generic_provider_server.services.surveying import totals_of
from generic_provider_server.store.read.filters import RequestFilter
from support.figures import Figure
from support.histories import History
from support.platform import REMOVING, Subscriber
from support.resets import Runs
from support.soak import histories
from support.store_histories import play_on_store

pytestmark = pytest.mark.slow


@dataclass(slots=True)
class Healed(History):
    """Plays a history. Before its end, performs a reset run at every provider, in some cases with
    `full`.
    """

    async def _say_goodbye(self) -> None:
        await self._approve_later()
        full = self.chance.random() < 0.3
        await self._heal(full=full)
        assert await self._reset() == [], "a second run has something to do"
        await History._say_goodbye(self)  # noqa: SLF001 - no `super` with slots

    async def _approve_later(self) -> None:
        """Checks that an approved run creates for each planned subscription either exactly the
        planned requests or no requests, whatever has happened since the plan was made.
        """
        provider, runs = self.chance.choice(self.providers).code, Runs(self.bench)
        kinds = self.chance.sample(list(DifferenceKind), self.chance.randrange(5))
        run = await runs.run(
            hold=True,
            provider=provider,
            subscriptions=self.subscriptions,
            difference_kinds=tuple(kinds),
        )
        planned = {each.subscription: each for each in await runs.entries(run)}
        if self.chance.random() < 0.5:
            await self.bench.stop_provider(provider)
        for _ in range(self.chance.randrange(4)):
            await self._act()
        await self.bench.start_provider(provider)
        await self._check_guard(run.definition)
        states = await self._sync_states(provider)
        created = await self._created(await runs.approve(run))
        for each in await runs.entries(run):
            types = tuple([r.type for r in created if r.subscription == each.subscription])
            sent = each.outcome is EntryOutcome.REQUESTS_CREATED
            assert types == (planned[each.subscription].types if sent else ()), each
            in_sync = states[each.subscription] is not SyncState.OUT_OF_SYNC
            assert in_sync or each.outcome is not EntryOutcome.SUPERSEDED, each

    async def _check_guard(self, definition: ResetDefinition) -> None:
        """Checks that the guard counts the subscriptions that hold an entitlement after all pending
        requests.
        """
        links = [a.link(definition.provider) for a in await self.truth.aggregates()]
        now = self.bench.clock.now
        holding = sum(bool(link.expected(now=now).entitlements) for link in links if link)
        assert (await totals_of(self.bench.store, definition)).holding == holding

    async def _sync_states(self, provider: str) -> dict[str, SyncState]:
        found = [(a.desired.number, a.link(provider)) for a in await self.truth.aggregates()]
        return {number: link.sync_state for number, link in found if link}

    async def _heal(self, **fields: Any) -> None:
        """Checks that every subscription is in sync after one run whose requests are accepted."""
        await self._reset(**fields)
        await self._drain()
        for aggregate in await self.truth.aggregates():
            for link in aggregate.links:
                assert link.sync_state is SyncState.IN_SYNC, (aggregate.desired.number, link)
        await self.truth.check_all()

    async def _reset(self, **fields: Any) -> list[RequestRecord]:
        """Runs a reset at each provider, and checks that it creates the requests of its preview.
        Returns these requests.
        """
        created: list[RequestRecord] = []
        for provider in self.providers:
            chosen = {"provider": provider.code, "subscriptions": self.subscriptions, **fields}
            definition = ResetDefinition(name="preview", **chosen)
            totals = await totals_of(self.bench.store, definition)
            made = await self._created(await Runs(self.bench).run(**chosen))
            assert totals.requests == Counter([each.type for each in made])
            assert totals.subscriptions == len({each.subscription for each in made})
            created += made
        return created

    async def _created(self, run: RunRecord) -> list[RequestRecord]:
        assert run.state is RunState.COMPLETED
        made = await self.bench.requests(RequestFilter(reset_run=run.id, oldest_first=True))
        assert run.requests_created == len(made)
        self.log += [f"run {run.id}: {each.number} {each.request}" for each in made]
        return made


@dataclass(slots=True)
class Recreated(Healed):
    """Lets the platforms lose accounts at the end of the history, in some cases while requests are
    pending.

    No request is handed over in the meantime, because `recreate` does not reset a subscription with
    a live lease.
    """

    async def _say_goodbye(self) -> None:
        for stream in list(self.streams):
            self._disconnect(stream)
        for _ in range(self.chance.randrange(4)):
            await self._act()
        for provider in self.providers:
            for number in self.subscriptions:
                if self.chance.random() < 0.7:
                    self.log.append(f"{provider.code} loses {number}")
                    self.platforms[provider.code].subscribers.pop(number, None)
        await self._reset(recreate=True)
        for provider in self.providers:
            self._connect(provider.code)
        await self._heal()
        assert await self._reset() == [], "a second run has something to do"
        await History._say_goodbye(self)  # noqa: SLF001 - no `super` with slots

    async def _created(self, run: RunRecord) -> list[RequestRecord]:
        made = await Healed._created(self, run)  # noqa: SLF001 - no `super` with slots
        for number in self.subscriptions if run.definition.recreate else ():
            types = [each.type for each in made if each.subscription == number]
            if RequestType.BECOME_SUBSCRIBER in types:
                assert types[0] is RequestType.BECOME_SUBSCRIBER
                assert set(types[1:]) <= {RequestType.ADD_UDR, RequestType.CANCEL_UDR}
            else:  # the CRM wants nothing on this platform
                assert set(types) <= REMOVING
        return made


@dataclass(slots=True)
class Restored(Healed):
    """Backs up the platforms in the middle of a history, and restores these backups at the end."""

    async def play(self, steps: Sequence[tuple[str, int]]) -> list[SyncState]:
        half = len(steps) // 2
        await self._do(steps[:half])
        await self._drain()
        await self._heal()
        backup, time = deepcopy(self._held()), self.bench.clock.now
        await self._do(steps[half:])
        await self._drain()
        await self._heal()
        self._restore(backup)
        sent = await self._reset(platform_restored_to=time)
        await self._check_only_what_was_lost(sent, time)
        await self._drain()
        states = await self.truth.check_all()
        assert set(states) <= {SyncState.IN_SYNC}
        assert await self._reset() == [], "a second run has something to do"
        await History._say_goodbye(self)  # noqa: SLF001 - no `super` with slots
        return states

    def _held(self) -> dict[tuple[str, str], Subscriber | None]:
        return {
            (code, number): self.platforms[code].subscribers.get(number)
            for code in self.platforms
            for number in self.subscriptions
        }

    def _restore(self, backup: dict[tuple[str, str], Subscriber | None]) -> None:
        self.log.append("the platforms are restored")
        for (code, number), held in backup.items():
            self.platforms[code].subscribers.pop(number, None)
            if held is not None:
                self.platforms[code].subscribers[number] = held

    async def _check_only_what_was_lost(self, sent: list[RequestRecord], time: Instant) -> None:
        """Checks that the run sent only elements in requests that the platform accepted after
        `time`. If an account was created after `time`, the run may send all its elements.
        """
        for request in sent:
            lost = await self._accepted(request, time)
            named = {name for each in lost for name in names(each.request)}
            account = any(each.type is RequestType.BECOME_SUBSCRIBER for each in lost)
            assert account or names(request.request) <= named, (request, lost)

    async def _accepted(self, request: RequestRecord, time: Instant) -> list[RequestRecord]:
        found = await self.bench.requests(
            RequestFilter(
                subscription=request.subscription,
                provider=request.provider,
                states=(RequestState.COMPLETED,),
            )
        )
        return [each for each in found if (each.settle_time or 0) > time]


@pytest.mark.timeout(600)  # to shorten a history that fails takes long
@histories(suite=25, soak=2_000, at_once=25)
async def test_one_run_brings_everybody_in_sync_whatever_has_happened(
    url: str, tmp_path: Path, chunk: str, count: int, figure: Figure
) -> None:
    await play_on_store(url, tmp_path, chunk=chunk, count=count, figure=figure, kind=Healed)


@pytest.mark.timeout(600)
@histories(suite=10, soak=2_000, at_once=10)
async def test_one_run_brings_accounts_back_that_a_platform_has_lost(
    url: str, tmp_path: Path, chunk: str, count: int, figure: Figure
) -> None:
    await play_on_store(url, tmp_path, chunk=chunk, count=count, figure=figure, kind=Recreated)


@pytest.mark.timeout(600)
@histories(suite=10, soak=2_000, at_once=10)
async def test_one_run_sends_a_restored_platform_exactly_what_it_has_lost(
    url: str, tmp_path: Path, chunk: str, count: int, figure: Figure
) -> None:
    await play_on_store(url, tmp_path, chunk=chunk, count=count, figure=figure, kind=Restored)
