"""Tests statements that PostgreSQL refuses, because it has found damaged data, or because the
transaction has failed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress

import psycopg
import pytest
from structlog.testing import capture_logs

from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.store.database.connections import connect
from generic_provider_server.store.database.engine import StoreLost
from generic_provider_server.store.database.postgres import PostgresEngine
from generic_provider_server.store.opening import open_store
from support.bench import Bench, HandClock
from support.examples import SATELLITE, viewer

DAMAGED = """
CREATE FUNCTION damaged() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'invalid page in block 7' USING ERRCODE = '{code}'; END $$;
CREATE TRIGGER damaged BEFORE INSERT ON subscription EXECUTE FUNCTION damaged();
ALTER TABLE request_id RENAME TO whole;
CREATE FUNCTION damaged_row() RETURNS SETOF whole LANGUAGE plpgsql AS
$$ BEGIN RAISE 'invalid page in block 7' USING ERRCODE = '{code}'; END $$;
CREATE VIEW request_id AS SELECT * FROM damaged_row();
"""
REPAIRED = """
DROP TRIGGER damaged ON subscription; DROP FUNCTION damaged; DROP VIEW request_id;
DROP FUNCTION damaged_row; ALTER TABLE whole RENAME TO request_id;
"""


@pytest.fixture
async def bench(postgres_url: str) -> AsyncIterator[Bench]:
    clock = HandClock()
    bench = Bench(open_store(postgres_url, clock=clock), clock)
    await bench.add_provider(SATELLITE)
    yield bench
    await bench.store.close()


@contextmanager
def damaged(url: str, *, code: str) -> Iterator[None]:
    """Lets the database refuse some statements with the error code of damaged data."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(DAMAGED.format(code=code).encode())
        yield
        connection.execute(REPAIRED.encode())


def run_after_a_failed_statement(engine: PostgresEngine) -> None:
    with engine.transaction() as (tables, _):
        with suppress(psycopg.Error):
            tables.run("SELECT 1 / 0", ())
        tables.run("SELECT 1", ())


@pytest.mark.parametrize("code", ["data_corrupted", "index_corrupted"])
async def test_damaged_data_is_reported_once_and_calls_are_unavailable(
    bench: Bench, postgres_url: str, code: str
) -> None:
    reached: list[bool] = []
    bench.store.listeners.reached.append(reached.append)
    with damaged(postgres_url, code=code), capture_logs() as logged:
        for number in ("S1", "S2"):
            with pytest.raises(Refused) as refused:
                await bench.become(viewer(number))
            assert refused.value.reason is Reason.STORE_UNAVAILABLE
        with pytest.raises(Refused) as refused:
            await bench.store.read(lambda queries: queries.action_of_call("order-1"))
        assert refused.value.reason is Reason.STORE_UNAVAILABLE

    assert reached == [False] * 3
    assert [line["event"] for line in logged].count("database_damaged") == 1


def test_a_transaction_that_has_failed_already_is_lost(postgres_url: str) -> None:
    engine = PostgresEngine(postgres_url)
    engine.prepare()
    with pytest.raises(StoreLost):
        run_after_a_failed_statement(engine)
    with engine.transaction() as (tables, _):
        assert [row[0] for row in tables.select("SELECT 1 AS one")] == [1]
    engine.close()


def test_a_connection_has_one_pipeline_at_a_time(postgres_url: str) -> None:
    with (
        closing(connect(postgres_url)) as connection,
        connection.pipeline() as outer,
        connection.pipeline() as inner,
    ):
        assert inner is outer
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
