"""Contains the queries of reset runs, and of the subscriptions that the runs examine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import MsgspecError
from peewee import SQL, Expression, fn

from ...domain.platform.request import Request
from ...domain.resets.records import (
    HELD_AT_MOST,
    DefinitionRecord,
    DefinitionState,
    Entry,
    EntryOutcome,
    ResetDefinition,
    RunRecord,
    RunState,
    Settled,
)
from ...domain.subscription.records import SubscriptionRecord
from ...domain.values import Instant, RequestState
from ..database import duty_statements as sql
from ..database.archive_models import ArchivedRow
from ..database.models import (
    LaneRow,
    LinkRow,
    RequestRow,
    ResetDefinitionRow,
    ResetEntryRow,
    ResetRunRow,
    SubscriptionRow,
)
from ..database.reset_rows import accepted_of_rows, definition_of_row, entry_of_row, run_of_row
from ..database.rows import subscription_of_row
from .backlog import BacklogQueries

FEW = 20
"""The number of definitions or runs that one query reads."""
IS_OUT_OF_SYNC, HOLDS = LinkRow.sync_state == SQL("3"), LinkRow.holds == SQL("1")
"""The values in these conditions are literals, because a database does not use a partial index if
the value is a parameter.
"""

MOST_KEYS = 500


class ResetsDue(NamedTuple):
    """The definitions that are due, the runs that have to be continued, and the runs that have
    waited too long for an approval.
    """

    definitions: list[int]
    running: list[int]
    held_too_long: list[int]


class ResetReads(BacklogQueries):
    def resets_due(self, server: str) -> ResetsDue:
        """Returns the due work for a server process, without runs on which another living process
        works.
        """
        now = self._memory.now()
        definitions = self._select(sql.DEFINITIONS_DUE, now)
        running = self._select(sql.RUNS_WITHOUT_WORKER, server)
        held = self._select(sql.RUNS_HELD_TOO_LONG, now - HELD_AT_MOST)
        return ResetsDue(*[[row.id for row in rows] for rows in (definitions, running, held)])

    def runs_with_old_entries(self, *, age: int) -> list[int]:
        """Returns the id of the oldest run with entries, if this run ended more than `age` ago. The
        list has at most one id.
        """
        oldest = ResetEntryRow.select(fn.MIN(ResetEntryRow.run))
        rows = self._rows(ResetRunRow.select().where(ResetRunRow.id == oldest))
        limit = self._memory.now() - age
        runs = [run_of_row(row) for row in rows]
        return [run.id for run in runs if run.end_time is not None and run.end_time < limit]

    def reset_definition(self, number: int) -> DefinitionRecord | None:
        query = ResetDefinitionRow.select().where(ResetDefinitionRow.id == number)
        return next((definition_of_row(row) for row in self._rows(query)), None)

    def reset_definitions(
        self, *, provider: str, states: Sequence[DefinitionState], before: int, limit: int
    ) -> Iterator[DefinitionRecord]:
        """Yields the newest definitions.

        If `before` is not 0, only definitions with smaller ids are yielded.
        """
        table = ResetDefinitionRow
        conditions = [table.provider == provider] if provider else []
        conditions += _of_states(table, states)
        return map(definition_of_row, self._newest(table, conditions, before, limit))

    def reset_run(self, number: int) -> RunRecord | None:
        query = ResetRunRow.select().where(ResetRunRow.id == number)
        return next((run_of_row(row) for row in self._rows(query)), None)

    def reset_runs(
        self,
        *,
        definition: int,
        provider: str,
        states: Sequence[RunState],
        before: int,
        limit: int,
    ) -> Iterator[RunRecord]:
        """Yields the newest runs.

        If `before` is not 0, only runs with smaller ids are yielded.
        """
        table = ResetRunRow
        conditions = [table.definition == definition] if definition else []
        conditions += [table.provider == provider] if provider else []
        conditions += _of_states(table, states)
        return map(run_of_row, self._newest(table, conditions, before, limit))

    def _newest(
        self, table: Any, conditions: Sequence[Expression], before: int, limit: int
    ) -> Iterator[Any]:
        """Yields at most `limit` rows, and reads few of them at a time: a row may list 10,000
        subscriptions, and the caller stops when its page is full.
        """
        while limit > 0:
            every = [*conditions, table.id < before] if before else conditions
            query = table.select().where(*every) if every else table.select()
            rows = self._rows(query.order_by(table.id.desc()).limit(min(limit, FEW)))
            yield from rows
            if len(rows) < FEW:
                return
            limit, before = limit - FEW, rows[-1].id

    def reset_entries(
        self, run: int, *, outcomes: Sequence[EntryOutcome], after: str, limit: int
    ) -> list[Entry]:
        """Returns the entries of a run, in the order of their subscriptions."""
        table = ResetEntryRow
        conditions = [table.run == run, table.subscription > after]
        if outcomes:
            conditions.append(table.outcome.in_([int(each) for each in outcomes]))
        query = table.select().where(*conditions).order_by(table.subscription).limit(limit)
        return [entry_of_row(row) for row in self._rows(query)]

    def settled_of_runs(self, runs: Collection[int]) -> dict[int, Settled]:
        """Returns for each run the number of its requests by state, as `Settled` counts them.

        Archived requests are counted too. A single statement counts the requests in the database
        and the archived requests, because a request that is archived between two statements would
        be counted twice.
        """
        counts: dict[int, Counter[int]] = {run: Counter() for run in runs}
        live, archived = (
            table.select(table.reset_run, table.state, fn.COUNT(SQL("1")).alias("requests"))
            .where(table.reset_run.in_(list(runs)), SQL("reset_run <> 0"))
            .group_by(table.reset_run, table.state)
            for table in (RequestRow, ArchivedRow)
        )
        for row in self._rows(live.union_all(archived)) if runs else ():
            counts[row.reset_run][row.state] += row.requests
        return {run: _settled(states) for run, states in counts.items()}

    def reset_numbers(self, definition: ResetDefinition, *, after: str, limit: int) -> list[str]:
        """Returns the numbers of the next subscriptions that a run has to examine."""
        wanted = SubscriptionRow.number if _filters(definition) else LinkRow.subscription
        found = self._candidates(definition, wanted, after=after, limit=limit)
        return [number for (number,) in found]

    def reset_candidates(
        self, definition: ResetDefinition, *, after: str, limit: int
    ) -> list[tuple[str, SubscriptionRecord | None]]:
        """Returns the next subscriptions that a run has to examine, each with its number.

        The record is None if a subscription cannot be read.
        """
        if _filters(definition):
            found = self._candidates(definition, SubscriptionRow, after=after, limit=limit)
        else:
            # without a filter, the table of links alone tells which subscriptions are needed; a
            # join could read many subscriptions that are in sync before it finds an OUT_OF_SYNC
            # subscription
            numbers = self.reset_numbers(definition, after=after, limit=limit)
            chosen = SubscriptionRow.select().where(SubscriptionRow.number.in_(numbers))
            found = self._rows(chosen.order_by(SubscriptionRow.number)) if numbers else []
        return [(row.number, _readable(row)) for row in found]

    def count_candidates(self, definition: ResetDefinition) -> int:
        """Returns the number of subscriptions that a run has to examine."""
        return self._count(definition, [IS_OUT_OF_SYNC] if definition.plain else [])

    def unknown_listed(self, definition: ResetDefinition) -> list[str]:
        """Returns, sorted, the listed subscriptions that the provider does not serve."""
        unknown = {*definition.subscriptions}
        links = LinkRow.select(LinkRow.subscription).where(LinkRow.provider == definition.provider)
        for chunk in _chunks(definition.subscriptions):
            found = self._rows(links.where(LinkRow.subscription.in_(chunk)))
            unknown -= {row.subscription for row in found}
        return sorted(unknown)

    def count_holding(self, definition: ResetDefinition) -> int:
        """Returns how many subscriptions of the definition hold a confirmed entitlement and are not
        OUT_OF_SYNC.
        """
        return self._count(definition, [HOLDS, LinkRow.sync_state != SQL("3")])

    def with_pending(
        self, definition: ResetDefinition, *, after: str, limit: int
    ) -> tuple[list[SubscriptionRecord], str]:
        """Returns the next subscriptions of the definition that have pending requests at the
        provider. Also returns the number of the last examined subscription, or an empty text if no
        further subscription has to be examined.
        """
        lanes = LaneRow.select(LaneRow.subscription).where(
            LaneRow.provider == definition.provider, LaneRow.subscription > after
        )
        lanes = lanes.order_by(LaneRow.subscription).limit(limit)
        numbers = [row.subscription for row in self._rows(lanes)]
        end = numbers[-1] if len(numbers) == limit else ""
        if definition.subscriptions:
            numbers = sorted({*numbers} & {*definition.subscriptions})
        chosen = SubscriptionRow.number.in_(numbers)
        found = SubscriptionRow.select().where(chosen, *_filters(definition))
        records = [_readable(row) for row in self._rows(found)] if numbers else []
        return [record for record in records if record is not None], end

    def accepted_since(
        self, provider: str, since: Instant, *, subscriptions: Collection[str]
    ) -> dict[str, list[Request]]:
        """Returns for each subscription the requests that the provider's platform accepted after
        `since`, in the order in which they were settled.
        """
        query = RequestRow.select().where(
            RequestRow.subscription.in_(list(subscriptions)),
            RequestRow.state == int(RequestState.COMPLETED),
        )
        return accepted_of_rows(self._rows(query) if subscriptions else (), provider, since)

    def _candidates(
        self, definition: ResetDefinition, wanted: Any, *, after: str, limit: int
    ) -> list[Any]:
        """Returns the columns `wanted` of the next subscriptions.

        The condition `after` is repeated for the second table, because PostgreSQL may merge the
        indexes of both tables, and would read the second index from its start for every page
        without this condition.
        """
        conditions = [LinkRow.provider == definition.provider, LinkRow.subscription > after]
        if definition.plain:
            conditions.append(IS_OUT_OF_SYNC)
        joined = LinkRow.select(wanted)
        if wanted is not LinkRow.subscription:
            conditions += [SubscriptionRow.number > after, *_filters(definition)]
            joined = joined.join(
                SubscriptionRow, on=(SubscriptionRow.number == LinkRow.subscription)
            )
        joined = joined.where(*conditions).order_by(LinkRow.subscription).limit(limit)
        if not definition.subscriptions:
            return self._rows(joined)
        rows: list[Any] = []
        for chunk in _chunks([each for each in definition.subscriptions if each > after]):
            rows += self._rows(joined.where(LinkRow.subscription.in_(chunk)))
            if len(rows) >= limit:
                break
        return rows[:limit]

    def _count(self, definition: ResetDefinition, conditions: Sequence[Any]) -> int:
        filters = _filters(definition)
        query = LinkRow.select(fn.COUNT(SQL("1")).alias("links"))
        if filters:
            query = query.join(SubscriptionRow, on=(SubscriptionRow.number == LinkRow.subscription))
        every = [LinkRow.provider == definition.provider, *filters, *conditions]
        query = query.where(*every)
        if not definition.subscriptions:
            return int(self._rows(query)[0].links)
        chunks = _chunks(definition.subscriptions)
        return sum(self._rows(query.where(LinkRow.subscription.in_(c)))[0].links for c in chunks)


def _readable(row: Any) -> SubscriptionRecord | None:
    try:
        return subscription_of_row(row)
    except MsgspecError:
        return None


def _chunks(names: Collection[str]) -> list[list[str]]:
    """Returns the names without duplicates, sorted, in chunks of MOST_KEYS."""
    ordered = sorted(set(names))
    return [ordered[start : start + MOST_KEYS] for start in range(0, len(ordered), MOST_KEYS)]


def _filters(definition: ResetDefinition) -> list[Any]:
    """Returns the conditions on the rows of subscriptions."""
    row, conditions = SubscriptionRow, list[Any]()
    if definition.created_from is not None:
        conditions.append(row.create_time >= definition.created_from)
    if definition.created_to is not None:
        conditions.append(row.create_time < definition.created_to)
    if definition.subscription_types:
        conditions.append(row.type.in_(list(definition.subscription_types)))
    return conditions


def _of_states(table: Any, states: Sequence[int]) -> list[Any]:
    return [table.state.in_([int(each) for each in states])] if states else []


def _settled(states: dict[int, int]) -> Settled:
    pending = states.get(int(RequestState.PENDING), 0)
    completed = states.get(int(RequestState.COMPLETED), 0)
    return Settled(completed, sum(states.values()) - pending - completed, pending)
