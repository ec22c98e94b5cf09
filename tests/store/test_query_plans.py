"""The frequent statements of the service find their rows by an index, even in a long history."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from peewee import Database

from generic_provider_server.commands.answers import Response
from generic_provider_server.commands.archive import CreateArchive, MoveLines, TakeArchive
from generic_provider_server.commands.cancel_or_resolve import CancelRequest
from generic_provider_server.commands.cleaning import DropEntries
from generic_provider_server.commands.due import EndDelays, ExpireOverdue, PerformDue
from generic_provider_server.commands.end_leases import end_of_other_servers, end_of_silent
from generic_provider_server.commands.live_leases import Disown
from generic_provider_server.commands.scheduled import CancelScheduled
from generic_provider_server.domain.actions import (
    ActionKind,
    AddServices,
    RemoveServices,
    Selection,
)
from generic_provider_server.domain.archive import DAY
from generic_provider_server.domain.resets.records import EntryOutcome, RunState
from generic_provider_server.domain.subscription.records import ActionState
from generic_provider_server.domain.values import (
    SECOND,
    Instant,
    RequestState,
    State,
    SyncState,
)
from generic_provider_server.domain.verdicts import ResponseStatus
from generic_provider_server.services.clock_duties import duties
from generic_provider_server.services.clock_runner import Clock
from generic_provider_server.services.presence import Presence
from generic_provider_server.services.surveying import totals_of
from generic_provider_server.store.archives.lines import RequestLine, RunLine, number_of
from generic_provider_server.store.database import statements as sql
from generic_provider_server.store.database.bulk import Bulk
from generic_provider_server.store.database.connections import connect
from generic_provider_server.store.database.sqlite import SqliteTables, _spoken
from generic_provider_server.store.opening import engine_of, open_store
from generic_provider_server.store.read.archivable import MOST_ROWS
from generic_provider_server.store.read.archivable_runs import PageStart
from generic_provider_server.store.read.archives import ArchiveFilter
from generic_provider_server.store.read.filters import (
    ActionFilter,
    RequestFilter,
    SubscriptionFilter,
)
from generic_provider_server.store.read.queries import Queries
from support.bench import Bench, HandClock
from support.copying import BLOCK, MARK, copying
from support.filling import PROVIDER, fill, number
from support.postgres import Databases
from support.resets import Runs
from support.soak import forms

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Size:
    subscriptions: int
    settled: int
    blocked: int
    waiting: int


LARGE = {
    "subscription",
    "request",
    "action",
    "provider_link",
    "lane",
    "archived",
    "reset_entry",
    "event",
}
SMALL_INDEXES = {
    "lane_ready",
    "lane_leased",
    "lane_delayed",
    "request_pending",
    "subscription_due_time",
    "action_due_time",
    "action_scheduled",
    "provider_link_out_of_sync",
}
"""These indexes contain only rows of waiting work, and no history, so a statement may read the
whole index.
"""

LANES = (
    "INSERT INTO lane (provider, subscription, status, bulk, ready_since, head, head_unit, "
    "head_create_time, ready_time, pending, handover, count, unit, first, last, stream, server, "
    "adapter, lease_start, lease_until, lease_duration) SELECT 'OTHER', number, 2, 0, 0, 0, 1, "
    "create_time, ?, 1, 0, 0, 0, 0, 0, '', '', '', 0, 0, 0 "
    "FROM subscription ORDER BY number LIMIT ?"
)
"""Makes many subscriptions wait for a retry at a provider without adapters. The first parameter is
the time of the retry.
"""

ARCHIVED = (
    "INSERT INTO archived (number, state, archive, subscription, provider, unit, position, "
    "reset_run) SELECT number - ?, 2, 0, subscription, provider, unit, position, reset_run "
    "FROM request WHERE state = 2"
)
"""Adds an archived request for each completed request. The parameter is subtracted from the number
of the completed request; the difference is the number of the archived request.
"""

FORMER_RUN = 900_000
OF_FORMER_RUN = "UPDATE request SET reset_run = ? WHERE state = 2 AND subscription < ?"
FORMER_ENTRY = b'{"run":900000,"subscription":"S1","outcome":2}'
FORMER_ENTRIES = (
    "INSERT INTO reset_entry (run, subscription, outcome, document) "
    "SELECT ?, number, 2, ? FROM subscription"
)
"""Adds the entries of a reset run of all subscriptions, which created many of the requests."""

DRIFTED = 1_000
EVENTS = "INSERT INTO event (number, time, document) SELECT number, 1, '[]' FROM request"
LAST_EVENT = "UPDATE counter SET value = (SELECT MAX(number) FROM event) WHERE name = 'event'"

NEWS = (Selection(provider=PROVIDER, distributor="MAIN", service="NEWS"),)

Asked = dict[str, Sequence[Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Collects every statement from now on, with the parameters of its first use."""
    found: Asked = {}

    def note(statement: Any, parameters: Any) -> None:
        if str(statement).startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")):
            found.setdefault(str(statement), parameters or ())

    def noting(owner: type, name: str) -> None:
        original = getattr(owner, name)

        def noted(self: Any, statement: Any, parameters: Any = None, **more: Any) -> Any:
            if isinstance(statement, Bulk):
                parameters = list(parameters)
                for row in parameters[:1]:
                    note(statement.sqlite, [row[column] for column in statement.columns])
            else:
                note(_spoken(statement) if owner is SqliteTables else statement, parameters)
            return original(self, statement, parameters or (), **more)

        monkeypatch.setattr(owner, name, noted)

    noting(psycopg.Cursor, "execute")
    noting(Database, "execute_sql")
    for name in ("select", "run", "write"):
        noting(SqliteTables, name)
    return found


@pytest.fixture
def postgres_url(postgres: Databases) -> Iterator[str]:
    """Yields a database that no other test uses."""
    made = postgres.create_database()
    yield made
    postgres.drop_database(made)


@pytest.fixture
def _few_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the part of a table that a list without an index examines much smaller than the table,
    because PostgreSQL rightly reads the whole table for half of its rows.
    """
    monkeypatch.setattr("generic_provider_server.store.read.base.MOST_EXAMINED", 1_000)


@pytest.mark.timeout(280)
@pytest.mark.usefixtures("_few_examined")
@forms(
    "size",
    suite=Size(subscriptions=100_000, settled=100_000, blocked=10_000, waiting=20_000),
    soak=Size(subscriptions=1_000_000, settled=2_000_000, blocked=100_000, waiting=200_000),
)
async def test_everything_hot_uses_an_index(url: str, asked: Asked, size: Size) -> None:
    engine = engine_of(url)
    engine.prepare()
    engine.close()
    fill(
        url,
        subscriptions=size.subscriptions,
        settled=size.settled,
        blocked=size.blocked,
        drifted=DRIFTED,
    )
    with closing(copying(url)) as database:
        tomorrow = time.time_ns() // 1_000 + DAY
        database.run(LANES, (tomorrow, size.waiting))
        database.run(OF_FORMER_RUN, (FORMER_RUN, number(size.subscriptions // 2)))
        database.run(FORMER_ENTRIES, (FORMER_RUN, FORMER_ENTRY))
        database.run(ARCHIVED, (MARK * BLOCK,))
        database.run(EVENTS)
        database.run(LAST_EVENT)
        database.run("ANALYZE")
    asked.clear()
    await _live(url)
    plans = dict(_plans(url, asked))

    assert len(plans) > 80
    assert [(statement, plan) for statement, plan in plans.items() if plan] == []


MANY_LANES = (
    "INSERT INTO lane (provider, subscription, status, bulk, ready_since, head, head_unit, "
    "head_create_time, ready_time, pending, handover, count, unit, first, last, stream, server, "
    "adapter, lease_start, lease_until, lease_duration) SELECT 'P', 'B' || n, 0, 1, 0, n, 1, "
    "0, 0, 1, 0, 0, 0, 0, 0, '', '', '', 0, 0, 0 FROM generate_series(1, 40000) AS n"
)


def test_new_lanes_are_found_by_an_index(postgres_url: str, asked: Asked) -> None:
    """A reset run makes many lanes within seconds, so PostgreSQL has no statistics about them."""
    engine = engine_of(postgres_url)
    engine.prepare()
    with psycopg.connect(postgres_url) as database:
        database.execute(MANY_LANES)
    asked.clear()
    with engine.transaction() as (tables, _):
        assert len(tables.select_in(sql.LANES, [f"B{n}" for n in range(500)])) == 499
        assert [row.jit for row in tables.select("SHOW jit")] == ["off"]
    engine.close()
    plans = dict(_plans(postgres_url, asked))
    assert any(" FROM lane " in statement for statement in plans)
    assert [(statement, plan) for statement, plan in plans.items() if plan] == []


async def _live(url: str) -> None:
    """Does what callers, adapters and the clock do."""
    store = open_store(url)
    bench = Bench(store, HandClock())
    presence = Presence(store, list)
    for n in range(8):
        await bench.perform(AddServices(NEWS), number(n), request_id=f"order-{n}", reference="r")
    await bench.perform(AddServices(NEWS), number(0), request_id="order-0", reference="r")
    await bench.perform(RemoveServices(NEWS), number(1))
    await bench.schedule(RemoveServices(NEWS), number(2), 3_600)
    done = await bench.schedule(RemoveServices(NEWS), number(2), 3_600)
    await store.do(CancelScheduled(action=done.action.id, subscription=number(2)))
    await bench.schedule(AddServices(NEWS), number(1), 1)
    bench.clock.advance(2)
    handed = await bench.claim(PROVIDER, credit=6)
    await bench.extend(handed[0].lane.lease)
    await bench.answer(handed[0])
    await bench.answer(handed[0])
    await bench.answer(handed[1])
    await bench.answer(handed[2], status=ResponseStatus.REJECTED, error_code="E")
    await bench.answer(handed[3], status=ResponseStatus.RETRY_LATER, retry_delay=0)
    await bench.release(handed[4].lane.lease)
    await bench.break_stream(PROVIDER, "stream")
    for command in (
        end_of_silent("server", sign=None, longest=60 * SECOND),
        end_of_other_servers("server"),
        Disown(server="server"),
        EndDelays(),
        ExpireOverdue(provider=PROVIDER),
        PerformDue(subscription=number(9), duty="ends", due_time=bench.clock.now),
        CancelRequest(request=handed[5].requests[0].number, reason="stuck"),
    ):
        await store.do(command)
    await presence.attend()
    await presence.connected()
    await Clock(store, duties(store.server)).do_everything()
    await _look(bench)
    await _reset(bench)
    await _archive(bench)
    await store.close()


async def _reset(bench: Bench) -> None:
    """Previews and performs reset runs of each kind, and reads the runs. One of the runs is held
    and then approved.
    """
    runs, now = Runs(bench), bench.clock.now
    named = (number(1), number(2))
    for fields in (
        {},
        {"first": 5},
        {"first": 5, "full": True, "created_from": Instant(1), "created_to": now},
        {"subscriptions": named, "recreate": True, "subscription_types": ("DTH",)},
        {"subscriptions": named, "platform_restored_to": Instant(1)},
    ):
        definition = await runs.define(**{"provider": PROVIDER, **fields})
        await totals_of(bench.store, replace(definition.definition, first=5))
        run = await runs.submit(definition, hold=not fields)
        await runs.work()
        if not fields:
            await runs.approve(run)
        assert not (await runs.get(run)).open

    def ask(queries: Queries) -> None:
        for outcomes in ((), (EntryOutcome.FAILED,)):
            queries.reset_entries(FORMER_RUN, outcomes=outcomes, after=number(5), limit=50)
        for chosen in (0, run.definition_id):
            found = queries.reset_runs(
                definition=chosen, provider=PROVIDER, states=(RunState.HELD,), before=9, limit=50
            )
            list(found)
        queries.archive_of_run(run.id)
        queries.archive_settled_after(now, provider=PROVIDER)

    await bench.store.read(ask)
    await bench.store.do(DropEntries(run_number=FORMER_RUN))


async def _archive(bench: Bench) -> None:
    """Archives a page of requests as if they were old, then searches for them."""
    store, later = bench.store, bench.clock.now
    create = CreateArchive(created_before=later, digest=b"", request_id="night")
    archive = replace(await store.do(create), worker="server")
    assert await store.read(lambda queries: queries.archive_waits_for("server"))
    assert await store.do(TakeArchive(worker="server")) == archive
    taken = replace(archive, final_before=later)
    settled = (MARK + 10_000) * BLOCK  # blocked requests have smaller numbers
    page = await store.read(lambda queries: queries.archivable(taken, 0, after=PageStart(settled)))
    assert page is not None
    assert len(page.lines) > MOST_ROWS
    assert await store.read(lambda queries: queries.archivable(taken, 1))
    ended = await store.read(lambda queries: queries.archivable(taken, 2))
    assert ended is not None
    assert isinstance(ended.lines[0], RunLine)
    await store.do(MoveLines(archive=taken, lines=[*page.lines, *ended.lines]))
    moved = next(line for line in page.lines if isinstance(line, RequestLine))
    request = number_of(moved.number)
    await bench.respond(
        PROVIDER, Response(request=request, lease_token="x", status=ResponseStatus.ACCEPTED)
    )

    def ask(queries: Queries) -> None:
        holding = queries.archive_holding(request)
        assert holding is not None
        assert holding == queries.archive(archive.number)
        assert queries.archives_with(moved.subscription) == [archive.id]
        queries.archives(ArchiveFilter(), before=0, limit=50)

    await store.read(ask)


async def _look(bench: Bench) -> None:
    """Runs the queries of people and of the CRM."""
    later = bench.clock.now
    (request,) = (await bench.requests(RequestFilter(subscription=number(3))))[:1]
    await bench.request(request.number)
    await bench.action(request.action)
    subscriptions = (
        SubscriptionFilter(),
        SubscriptionFilter(item_serial="1"),
        SubscriptionFilter(account_number="1"),
        SubscriptionFilter(holder_number="1"),
        SubscriptionFilter(provider=PROVIDER, sync_states=(SyncState.OUT_OF_SYNC,)),
        SubscriptionFilter(provider="OTHER"),
        SubscriptionFilter(provider=PROVIDER, states=(State.DRAFT,)),
        SubscriptionFilter(sync_states=(SyncState.PENDING,)),
        SubscriptionFilter(created_from=Instant(1), created_to=Instant(2)),
    )
    scheduled = (ActionState.SCHEDULED,)
    actions = (
        ActionFilter(),
        ActionFilter(subscription=number(3)),
        ActionFilter(reference="r"),
        ActionFilter(states=scheduled),
        ActionFilter(subscription=number(3), states=scheduled),
        ActionFilter(states=(ActionState.REJECTED,)),
        ActionFilter(kinds=(ActionKind.TERMINATE,)),
        ActionFilter(created_to=Instant(1)),
    )
    requests = (
        RequestFilter(),
        RequestFilter(subscription=number(3)),
        RequestFilter(account_number="1"),
        RequestFilter(reference="r", oldest_first=True),
        RequestFilter(action=request.action),
        RequestFilter(states=(RequestState.PENDING,), provider="OTHER"),
        RequestFilter(states=(RequestState.REJECTED,)),
        RequestFilter(provider="OTHER"),
        RequestFilter(settled_from=later),
        RequestFilter(error_code="E"),
    )

    def ask(queries: Queries) -> None:
        for subscription in subscriptions:
            last = queries.end_of_subscriptions(subscription, after="B")
            queries.subscriptions(subscription, after="B", limit=50, until=last)
        for action in actions:
            end = queries.end_of_actions(action, before=10**15)
            queries.actions(action, before=10**15, limit=50, until=end)
        for wanted in requests:
            end = queries.end_of_requests(wanted, after=10**15)
            queries.requests(wanted, after=10**15, limit=50, until=end)
        queries.action_of_call("order-1")
        queries.requests_of([request.number])
        queries.oldest_leases(["stream"])
        queries.backlog_size(PROVIDER)
        assert queries.event_rows(queries.event_bounds().next - 1).rows
        queries.backlog(PROVIDER)
        queries.gauges("server")

    await bench.store.read(ask)


def _plans(url: str, asked: Asked) -> Iterator[tuple[str, list[str]]]:
    """Yields each statement with the faults of its plan."""
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as sqlite:
            for statement, parameters in asked.items():
                yield statement, list(_explained_by_sqlite(sqlite, statement, parameters))
        return
    with connect(url) as postgres:
        for statement, parameters in asked.items():
            yield statement, list(_explained_by_postgresql(postgres, statement, parameters))


def _explained_by_sqlite(
    database: sqlite3.Connection, statement: str, parameters: Sequence[Any]
) -> Iterator[str]:
    for *_, detail in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
        index = found[1] if (found := re.search(r"INDEX (\w+)", detail)) else ""
        whole = detail.startswith("SCAN ") and index not in SMALL_INDEXES
        beside = re.search(r"\((rowid|number)[<>]\?\)", detail) and " AND " in statement
        if (whole or beside) and _is_large(detail.split()[1], statement):
            yield detail


def _is_large(alias: str, statement: str) -> bool:
    """Tells whether the alias stands for a large table. Peewee names its tables t1, t2, …"""
    found = re.search(rf'"(\w+)" AS "{alias}"', statement)
    return (found[1] if found else alias) in LARGE and not _counts(statement)


def _counts(statement: str) -> bool:
    """Tells whether the statement counts all pending requests or all subscriptions of a reset run.

    Such a statement may read a whole table, because it rarely runs: once for all streams, or once
    for each run.
    """
    return 'SUM("t1"."pending")' in statement or 'COUNT(1) AS "links"' in statement


def _walks(statement: str) -> bool:
    """Tells whether the statement belongs to a reset run with a filter. Such a run reads all
    subscriptions once, page by page.
    """
    return 'ORDER BY "t2"."subscription"' in statement


def _explained_by_postgresql(
    database: psycopg.Connection[Any], statement: str, parameters: Sequence[Any]
) -> Iterator[str]:
    explain = f"EXPLAIN (FORMAT JSON) {statement}".encode()
    ((plans,),) = database.execute(explain, parameters or None).fetchall()
    for node in _nodes([plan["Plan"] for plan in plans]):
        table, index = node.get("Relation Name"), node.get("Index Name")
        condition = node.get("Index Cond", "")
        beside = re.fullmatch(r"\(\(?(number|id)\)? [<>] [^()]*\)", condition) and "Filter" in node
        if table not in {*LARGE, None} or _counts(statement):
            continue
        if node["Node Type"] == "Seq Scan":
            yield f"reads all of {table}"
        beside = beside and not _walks(statement)
        if index and ((not condition and index not in SMALL_INDEXES) or beside):
            yield f"reads {index} where {condition}, {node.get('Filter')}"


def _nodes(plans: Iterable[dict[str, Any]], *, above: str = "") -> Iterator[dict[str, Any]]:
    """Yields the nodes of the plans, without nodes that read only the first rows of an index, as
    for MIN. From version 17 on, PostgreSQL shows no condition in such a node.
    """
    for plan in plans:
        if above != "Limit" or "Index Name" not in plan or "Filter" in plan:
            yield plan
        yield from _nodes(plan.get("Plans", ()), above=plan["Node Type"])
