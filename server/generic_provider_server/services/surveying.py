"""Computes the findings of a reset run from the committed state, and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import structlog

from ..commands.reset_runs import share
from ..domain.platform.request import Request
from ..domain.resets.examine import Finding, examine, holds, loses
from ..domain.resets.records import GUARD_LEAST, ResetDefinition
from ..domain.subscription.records import SubscriptionRecord
from ..domain.subscription.transition import Circumstances
from ..domain.values import RequestType, SyncState
from ..store.read.queries import Queries
from ..store.store import Store

AT_ONCE = 100
"""The greatest number of subscriptions that one query examines, so that other queries do not wait
long.
"""

log = structlog.get_logger()


class Survey(NamedTuple):
    """The findings among the next subscriptions.

    `cursor`: the number of the last examined subscription. `examined`: the number of examined
    subscriptions. `holding`: the number of examined subscriptions that hold an entitlement.
    `losing`: the number of examined subscriptions that would lose an entitlement. `last`: true if
    the examination is complete, because there is no further subscription, or because there are
    already as many findings as the run may have.
    `broken`: the subscriptions that cannot be read or examined.
    """

    findings: tuple[Finding, ...]
    cursor: str
    examined: int
    holding: int
    losing: int
    last: bool
    broken: tuple[str, ...] = ()

    def plus(self, following: Survey) -> Survey:
        """Adds the survey of the following subscriptions."""
        return Survey(
            findings=self.findings + following.findings,
            cursor=following.cursor,
            examined=self.examined + following.examined,
            holding=self.holding + following.holding,
            losing=self.losing + following.losing,
            last=following.last,
            broken=self.broken + following.broken,
        )


def survey(
    queries: Queries,
    definition: ResetDefinition,
    *,
    after: str,
    most: int | None = None,
    described: bool = False,
) -> Survey:
    """Examines at most AT_ONCE subscriptions: the next subscriptions after the number `after`.
    Stops earlier when there are `most` findings.
    """
    records = queries.reset_candidates(definition, after=after, limit=AT_ONCE)
    lost = _lost(queries, definition, subscriptions=[number for number, _ in records])
    circumstances = Circumstances(
        now=queries.now(), catalogues=queries.catalogues(), next_numbers=lambda _: 1
    )
    findings, broken = list[Finding](), list[str]()
    examined = holding = losing = 0
    for number, record in records:
        if most is not None and len(findings) >= most:
            break
        examined, after = examined + 1, number
        try:
            found, holds_one, loses_one = _examined(
                record, definition, circumstances, lost=lost.get(number, ()), described=described
            )
        except Exception:
            log.exception("not_examined", subscription=number)
            broken.append(number)
            continue
        holding, losing = holding + holds_one, losing + loses_one
        findings += [found] if found else []
    complete = most is not None and len(findings) >= most
    last = complete or len(records) < AT_ONCE
    return Survey(tuple(findings), after, examined, holding, losing, last, tuple(broken))


def _examined(
    record: SubscriptionRecord | None,
    definition: ResetDefinition,
    circumstances: Circumstances,
    *,
    lost: Sequence[Request],
    described: bool,
) -> tuple[Finding | None, bool, bool]:
    """Returns the finding about one subscription, and whether the subscription holds an entitlement
    and would lose one. `record`: None if the subscription cannot be read.
    """
    if record is None:
        raise LookupError("the row of the subscription cannot be read")
    aggregate, provider = record.aggregate, definition.provider
    found = examine(
        aggregate, definition, circumstances=circumstances, lost=lost, described=described
    )
    would_lose = found is not None and loses(aggregate, provider, circumstances)
    return found, holds(aggregate, provider, circumstances), would_lose


def _lost(
    queries: Queries, definition: ResetDefinition, *, subscriptions: Sequence[str]
) -> dict[str, list[Request]]:
    """Returns for each subscription the requests that the platform may have lost when it was
    restored.
    """
    restored = definition.platform_restored_to
    if restored is None:
        return {}
    return queries.accepted_since(definition.provider, restored, subscriptions=subscriptions)


class Totals(NamedTuple):
    """The totals of a whole run. `unknown`: the sorted numbers of subscriptions that the definition
    lists although they do not exist or the provider does not serve them.
    """

    subscriptions: int
    requests: Counter[RequestType]
    holding: int
    losing: int
    unknown: Sequence[str]

    @property
    def switch_off_percent(self) -> float:
        return share(self.losing, self.holding)

    def held(self, definition: ResetDefinition) -> bool:
        most = definition.guard_percent
        return self.holding >= GUARD_LEAST and 0 < most < self.switch_off_percent


async def totals_of(store: Store, definition: ResetDefinition) -> Totals:
    requests, subscriptions, losing = Counter[RequestType](), 0, 0
    holding = await holding_besides(store, definition)
    cursor, last = "", False
    while not last:
        left = None if definition.first is None else definition.first - subscriptions
        found = await store.read(
            partial(
                survey,
                definition=definition,
                after=cursor,
                most=left,
            )
        )
        cursor, last = found.cursor, found.last
        holding += found.holding
        losing += found.losing
        for each in found.findings:
            subscriptions += 1
            requests.update(each.types)
    unknown = await store.read(lambda queries: queries.unknown_listed(definition))
    return Totals(subscriptions, requests, holding, losing, unknown)


def passes_guard(definition: ResetDefinition, *, candidates: int, besides: int) -> bool:
    """Returns True if the guard cannot hold the run, whatever the differences of the subscriptions
    are: even if each of the `candidates` holds an entitlement and would lose it.

    `candidates`: the number of subscriptions that a plain run examines. `besides`: the number of
    other subscriptions that hold an entitlement (`holding_besides`).
    """
    losing = candidates if definition.first is None else min(candidates, definition.first)
    few = besides + candidates < GUARD_LEAST
    return few or share(losing, besides + losing) <= definition.guard_percent


async def holding_besides(store: Store, definition: ResetDefinition) -> int:
    """Returns the number of subscriptions that are expected to hold an entitlement, but that the
    run does not examine, because they are not OUT_OF_SYNC.
    """
    if not definition.plain:
        return 0
    holding = await store.read(lambda queries: queries.count_holding(definition))
    after = None
    while after != "":
        ask = partial(_change_of_holding, definition=definition, after=after or "")
        change, after = await store.read(ask)
        holding += change
    return holding


def _change_of_holding(
    queries: Queries, definition: ResetDefinition, *, after: str
) -> tuple[int, str]:
    """Examines the next subscriptions after `after` that have pending requests, and leaves out
    subscriptions that are OUT_OF_SYNC. Returns by how much these requests change the number of
    subscriptions that hold an entitlement. Also returns the number of the last examined
    subscription, or an empty text at the end.
    """
    records, end = queries.with_pending(definition, after=after, limit=AT_ONCE)
    change, now = 0, queries.now()
    for link in [record.aggregate.link(definition.provider) for record in records]:
        if link is not None and link.sync_state is not SyncState.OUT_OF_SYNC:
            change += bool(link.expected(now=now).entitlements) - bool(link.confirmed.entitlements)
    return change, end
