"""Every column of a row is read as it was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from generic_provider_server.domain.actions import ActionKind
from generic_provider_server.domain.archive import Archived, ArchiveRecord, ArchiveState
from generic_provider_server.domain.lane import Lane
from generic_provider_server.domain.platform.request import Request
from generic_provider_server.domain.refusals import Reason
from generic_provider_server.domain.subscription.aggregate import Aggregate
from generic_provider_server.domain.subscription.pending_requests import Pending
from generic_provider_server.domain.subscription.records import (
    ActionOrigin,
    ActionRecord,
    ActionState,
    ProviderRecord,
    SubscriptionRecord,
    Who,
)
from generic_provider_server.domain.subscription.request_records import (
    RequestRecord,
    request_record,
)
from generic_provider_server.domain.subscription.undone import Undone
from generic_provider_server.domain.subscription.unsettled_actions import (
    ActionError,
    UnsettledAction,
)
from generic_provider_server.domain.values import (
    Account,
    Address,
    Instant,
    RequestOrigin,
    RequestState,
    RequestType,
    State,
    Subscription,
)
from generic_provider_server.store.database import archive_rows, rows
from generic_provider_server.store.database import statements as sql
from generic_provider_server.store.database.bulk import Bulk, Row
from generic_provider_server.store.database.engine import Engine
from generic_provider_server.store.opening import engine_of
from support.examples import ADD_SPORT, SATELLITE

WHO = Who(performed_by="operator", caller="peer")
REQUEST = RequestRecord(
    number=7,
    provider="SAT",
    subscription="S1",
    unit=2,
    index=3,
    type=RequestType.UPDATE_ADDRESS,
    state=RequestState.COMPLETED,
    origin=RequestOrigin.ROLLBACK,
    request=Request(type=RequestType.UPDATE_ADDRESS, address=Address(city="Graz")),
    create_time=Instant(4),
    schedule_time=Instant(5),
    action=6,
    reset_run=12,
    reference="order",
    performed_by="operator",
    settle_time=Instant(8),
    error_code="E",
    error_description="wrong",
    reference_number="R",
    attempts=9,
    last_adapter="adapter",
    last_delivery_time=Instant(10),
    handover=11,
)
ACTION = ActionRecord(
    id=7,
    subscription="S1",
    kind=ActionKind.ACTIVATE,
    state=ActionState.PARTLY_REJECTED,
    performed=b"as it was made",
    create_time=Instant(2),
    action=ADD_SPORT,
    origin=ActionOrigin.AUTOMATIC_END,
    who=WHO,
    request_id="order-1",
    reference="order",
    execute_time=Instant(3),
    settle_time=Instant(4),
    due_time=Instant(5),
    expected_revision=6,
    bulk=True,
    error=ActionError(reason=Reason.REJECTED_BY_PLATFORM, request=5, provider="SAT"),
    taken_back=(Undone(provider="SAT", state=State.EFFECTIVE),),
)
PROVIDER = ProviderRecord(
    provider=SATELLITE, create_time=Instant(1), update_time=Instant(2), etag=3, who=WHO
)
SUBSCRIPTION = SubscriptionRecord(
    aggregate=Aggregate(
        desired=Subscription(
            number="S1",
            type="DTH",
            state=State.IN_RESTING,
            holder=Account(number="C1"),
            address=Address(),
            create_time=Instant(1),
            until=Instant(9),
        )
    ),
    create_time=Instant(1),
    update_time=Instant(2),
    revision=3,
)
PERFORMED = replace(
    SUBSCRIPTION.aggregate,
    performed=(
        UnsettledAction(
            id=6,
            unit=2,
            at=Instant(5),
            action=ADD_SPORT,
            reference="order",
            performed_by="operator",
        ),
    ),
)
NEW = Pending(
    number=7,
    unit=2,
    index=3,
    origin=RequestOrigin.ROLLBACK,
    request=REQUEST.request,
    create_time=Instant(4),
    schedule_time=Instant(5),
    action=6,
    reset_run=12,
)
LANE = Lane(
    provider="SAT",
    subscription="S1",
    handover=1,
    unit=3,
    first=4,
    last=5,
    stream="stream",
    server="server",
    adapter="adapter",
    lease_start=Instant(6),
    lease_until=Instant(7),
    lease_duration=8,
)
HEAD = Pending(
    number=9,
    unit=3,
    index=4,
    request=REQUEST.request,
    origin=RequestOrigin.ACTION,
    create_time=Instant(11),
    schedule_time=Instant(12),
    hidden_until=Instant(13),
    bulk=True,
)

ARCHIVE = ArchiveRecord(
    number=7,
    provider="SAT",
    created_before=Instant(1),
    final_before=Instant(2),
    state=ArchiveState.DELETED,
    create_time=Instant(3),
    who=WHO,
    requests_archived=4,
    requests_total=5,
    size=6,
    checksum="c0ffee",
    first_create_time=Instant(8),
    last_create_time=Instant(9),
    last_settle_time=Instant(11),
    message="deleted",
    worker="server",
    moved=10,
)
ARCHIVED = Archived(
    number=7,
    state=RequestState.EXPIRED,
    archive=1,
    subscription="S1",
    provider="SAT",
    unit=2,
    index=3,
    reset_run=4,
)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    opened = engine_of(url)
    opened.prepare()
    yield opened
    opened.close()


def test_texts_have_the_same_order_on_each_postgresql(postgres_url: str) -> None:
    """With another collation, the order of texts would depend on the operating system, and differ
    from the order of SQLite and of Python.
    """
    engine = engine_of(postgres_url)
    engine.prepare()
    engine.close()
    with psycopg.connect(postgres_url) as database:
        other = database.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = current_schema() AND table_name <> 'schema_migration' "
            "AND data_type IN ('text', 'character varying', 'character') "
            "AND collation_name IS DISTINCT FROM 'C'"
        ).fetchall()
    assert other == []


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("SELECT unnest(?::bytea[]) AS e", [b"", b'\0\xff"\\', None, b"\1" * 9999]),
        ("SELECT unnest(?::bytea[]) AS e", [None, None]),
        ("SELECT unnest(?::bytea[]) AS e", []),
        ("SELECT unnest(?::text[]) AS e", ["", "NULL", None, '{"\\é\n,']),
        ("SELECT unnest(?::bigint[]) AS e", [0, -1, None, 2**63 - 1]),
    ],
)
def test_postgresql_gets_a_list_as_an_array(
    postgres_url: str, statement: str, values: list[object]
) -> None:
    engine = engine_of(postgres_url)
    with engine.transaction() as (tables, _):
        found = tables.select(statement, (values,))
    engine.close()
    assert [row.e for row in found] == values


def stored(engine: Engine, statement: Bulk, row: Row, select: str) -> Any:
    """Writes the row, and returns it as it is read afterwards. No value in the row may be empty or
    0, so that a value that is not stored is noticed.
    """
    assert all(row.values())
    with engine.transaction() as (tables, _):
        tables.write(statement, [row])
        (found,) = tables.select(select.replace("IN ({})", "IN ('S1')"))
    return found


def test_a_request_comes_back_as_it_was(engine: Engine) -> None:
    select = sql.REQUEST.replace("?", "7")
    added = stored(engine, sql.ADD_REQUEST, rows.request_row(PERFORMED, "SAT", NEW), select)
    assert rows.request_of_row(added) == request_record(PERFORMED, "SAT", NEW)

    settled = {name: getattr(REQUEST, name) for name in sql.SETTLE_REQUEST.columns}
    row = stored(engine, sql.SETTLE_REQUEST, settled, select)
    assert rows.request_of_row(row) == REQUEST


def test_an_action_comes_back_as_it_was(engine: Engine) -> None:
    select = sql.ACTION.replace("?", "7")
    row = stored(engine, sql.ADD_ACTION, rows.action_row(ACTION), select)
    assert rows.action_of_row(row, requests=()) == ACTION


def test_a_provider_comes_back_as_it_was(engine: Engine) -> None:
    row = stored(engine, sql.ADD_PROVIDER, rows.provider_row(PROVIDER), sql.PROVIDERS)
    assert rows.provider_of_row(row) == PROVIDER


def test_a_subscription_comes_back_as_it_was(engine: Engine) -> None:
    written = rows.subscription_row(SUBSCRIPTION, leased=lambda _: frozenset())
    row = stored(engine, sql.ADD_SUBSCRIPTION, written, sql.SUBSCRIPTIONS)
    assert rows.subscription_of_row(row) == SUBSCRIPTION


def test_a_lane_comes_back_as_it_was(engine: Engine) -> None:
    written = rows.lane_row(LANE, (HEAD,), now=Instant(0))
    row = stored(engine, sql.PUT_LANE, written, sql.LANES)
    assert rows.lane_of_row(row) == LANE


def test_an_archive_comes_back_as_it_was(engine: Engine) -> None:
    select = sql.ARCHIVE.replace("?", "7")
    row = stored(engine, sql.PUT_ARCHIVE, archive_rows.archive_row(ARCHIVE), select)
    assert archive_rows.archive_of_row(row) == ARCHIVE


def test_an_archived_request_comes_back_as_it_was(engine: Engine) -> None:
    select = sql.ARCHIVED.replace("?", "7")
    row = stored(engine, sql.ADD_ARCHIVED, archive_rows.archived_row(ARCHIVED), select)
    assert archive_rows.archived_of_row(row) == ARCHIVED
