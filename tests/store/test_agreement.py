"""Tests that lists, filters, the backlog and claims agree with each other after any history."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from generic_provider_server.commands.live_leases import Release
from generic_provider_server.domain.platform.request import Request
from generic_provider_server.domain.subscription.names_used import (
    Use,
    goods_named,
    uses_named,
    uses_of,
)
from generic_provider_server.domain.subscription.records import ActionState, SubscriptionRecord
from generic_provider_server.domain.subscription.request_records import RequestRecord, WaitingFor
from generic_provider_server.domain.values import Goods, RequestState, SyncState, Value
from generic_provider_server.store.database.models import ItemRow, ProviderUse
from generic_provider_server.store.read.filters import (
    ActionFilter,
    RequestFilter,
    SubscriptionFilter,
)
from generic_provider_server.store.read.queries import Queries
from support.figures import Figure
from support.histories import History
from support.soak import histories
from support.store_histories import play_on_store

MOST = 100_000
Values = Callable[[Any], Sequence[Any]]
"""Gets a request, an action or a subscription. Returns the values with which one field of a filter
finds this object.
"""


def serials(request: Request) -> list[str]:
    services = [request.service] if request.service else request.services
    items = [*request.items, *[item for service in services for item in service.items]]
    return [item.serial_number for item in [*items, *filter(None, [request.item])]]


REQUESTS: dict[str, Values] = {
    "provider": lambda r: [r.provider],
    "subscription": lambda r: [r.subscription],
    "account_number": lambda r: [r.account_number],
    "types": lambda r: [r.type],
    "states": lambda r: [r.state],
    "origins": lambda r: [r.origin],
    "action": lambda r: [r.action],
    "last_adapter": lambda r: [r.last_adapter],
    "error_code": lambda r: [r.error_code],
    "item_serial": lambda r: serials(r.request),
}
ACTIONS: dict[str, Values] = {
    "subscription": lambda a: [a.subscription],
    "kinds": lambda a: [a.kind],
    "states": lambda a: [a.state],
    "performed_by": lambda a: [a.who.performed_by],
}
SUBSCRIPTIONS: dict[str, Values] = {
    "provider": lambda s: [link.provider for link in s.aggregate.links],
    "type": lambda s: [s.aggregate.desired.type],
    "states": lambda s: [s.aggregate.desired.state],
    "sync_states": lambda s: [link.sync_state for link in s.aggregate.links],
    "account_number": lambda s: [link.account_number for link in s.aggregate.links],
    "item_serial": lambda s: [goods.serial_number for goods in goods_named(s.aggregate)],
}


@dataclass(slots=True)
class Listed(History):
    """Plays a history. Then checks that every filter of a list shows the matching elements of the
    whole list, and that the counts agree with the lists.
    """

    async def play(self, steps: Sequence[tuple[str, int]]) -> list[SyncState]:
        await self._do(steps)
        await self._compare(REQUESTS, Queries.requests, RequestFilter, after=0)
        await self._compare(ACTIONS, Queries.actions, ActionFilter, before=0)
        await self._compare(SUBSCRIPTIONS, Queries.subscriptions, SubscriptionFilter, after="")
        await self._check_names()
        await self.bench.pass_time(0)
        self._take_handed_over()
        for provider in self.providers:
            await self._check_backlog(provider.code)
        return await History.play(self, ())  # `super()` fails in a class with slots

    async def _check_names(self) -> None:
        """Checks which items are reserved, and how often each part of a provider is used."""
        owners, uses = defaultdict[Goods, set[str]](set), Counter[Use]()
        for aggregate in [each.aggregate for each in await self._everybody()]:
            uses.update(uses_of(aggregate))
            for goods in goods_named(aggregate):
                owners[goods].add(aggregate.desired.number)
        wanted = ActionFilter(states=(ActionState.SCHEDULED,))
        for each in await self.bench.store.read(lambda q: q.actions(wanted, before=0, limit=MOST)):
            uses.update(uses_named(each.action) if each.action else ())
        items, used = await self.bench.store.read(_names)
        assert {goods for goods, _ in items} == owners.keys()
        assert all(owner in owners[goods] for goods, owner in items)
        assert used == uses

    async def _check_backlog(self, provider: str) -> None:
        wanted = RequestFilter(provider=provider, states=(RequestState.PENDING,))
        pending = await self.bench.store.read(lambda q: q.requests(wanted, after=0, limit=MOST))
        backlog = await self.bench.store.read(lambda q: q.backlog(provider))
        waiting = defaultdict[WaitingFor | None, list[RequestRecord]](list)
        for each in pending:
            waiting[each.waiting_for].append(each)
        server = self.bench.store.server
        gauges = (await self.bench.store.read(lambda q: q.gauges(server))).providers[provider]
        assert gauges.waiting == {each: len(waiting[each]) for each in WaitingFor}
        links = [s.aggregate.link(provider) for s in await self._everybody()]
        drifted = [link for link in links if link and link.sync_state is SyncState.OUT_OF_SYNC]
        assert gauges.out_of_sync == backlog.out_of_sync_subscriptions == len(drifted)
        stopped = [*waiting[WaitingFor.ANSWER], *waiting[WaitingFor.RETRY]]
        behind = {each.subscription for each in waiting[WaitingFor.EARLIER_REQUEST]}
        assert backlog.pending == len(pending) == sum(count for _, count in backlog.by_age)
        assert backlog.leased == len(waiting[WaitingFor.ANSWER])
        if self.truth.effective(provider):
            assert backlog.waiting_for_retry == len(waiting[WaitingFor.RETRY])
            assert backlog.blocked_subscriptions == len(behind & {r.subscription for r in stopped})
        assert dict(backlog.by_type) == Counter([each.type for each in pending])
        claimed = await self.bench.claim(provider, credit=MOST)
        handed = {request.number for each in claimed for request in each.requests}
        assert handed == {each.number for each in waiting[WaitingFor.ADAPTER]}
        await self.bench.store.do(Release(leases=tuple([each.lane.lease for each in claimed])))

    async def _everybody(self) -> list[SubscriptionRecord]:
        wanted = SubscriptionFilter()
        return await self.bench.store.read(lambda q: q.subscriptions(wanted, after="", limit=MOST))

    async def _compare(
        self, fields: Mapping[str, Values], question: Any, kind: type[Value], **start: Any
    ) -> None:
        async def ask(**wanted: Any) -> list[Any]:
            chosen = kind(**wanted)
            return await self.bench.store.read(lambda q: question(q, chosen, limit=MOST, **start))

        everything = await ask()
        for field, values in fields.items():
            shown = sorted({value for each in everything for value in values(each) if value})
            for wanted in self.chance.sample(shown, min(len(shown), 3)):
                one = (wanted,) if field.endswith("s") else wanted
                found = [each for each in everything if wanted in values(each)]
                assert await ask(**{field: one}) == found, (field, wanted)


def _names(queries: Queries) -> tuple[list[tuple[Goods, str]], dict[Use, int]]:
    items, uses = ItemRow.select(), ProviderUse.select().where(ProviderUse.uses != 0)
    return (
        [(Goods(r.goods_type, r.serial_number), r.subscription) for r in queries._rows(items)],  # noqa: SLF001 - the tables themselves
        {(row.provider, row.thing): row.uses for row in queries._rows(uses)},  # noqa: SLF001
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@histories(suite=10, soak=200, at_once=10)
async def test_lists_filters_backlog_and_claims_agree(
    url: str, tmp_path: Path, chunk: str, count: int, figure: Figure
) -> None:
    await play_on_store(url, tmp_path, chunk=chunk, count=count, figure=figure, kind=Listed)
