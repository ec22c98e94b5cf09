"""Tests connections that are lost after the database has committed, so that the server does not
know of the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest

from generic_provider_server.commands.claim import Handed
from generic_provider_server.domain.refusals import Refused
from generic_provider_server.domain.subscription.request_records import WaitingFor
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.services.streams import Cut
from generic_provider_server.store.database.engine import StoreLost
from generic_provider_server.store.database.postgres_tables import PostgresTables
from generic_provider_server.store.database.sqlite_file import SqliteFile
from support.bench import Bench, stream_at
from support.examples import viewer

Losing = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> Losing:
    """Returns a function whose `with` block simulates that the connection to the database is lost
    after each commit.
    """
    commit = PostgresTables.commit

    def commit_and_lose(tables: PostgresTables) -> None:
        commit(tables)
        raise psycopg.OperationalError("the connection was lost")

    def cannot_be_examined(_: SqliteFile) -> None:
        raise StoreLost("the file cannot be examined")

    @contextmanager
    def lose() -> Iterator[None]:
        with monkeypatch.context() as patched:
            patched.setattr(PostgresTables, "commit", commit_and_lose)
            patched.setattr(SqliteFile, "check", cannot_be_examined)
            yield

    return lose


async def test_a_commit_in_doubt_also_ends_streams_that_came_since_the_store_was_lost(
    bench: Bench, losing: Losing
) -> None:
    delivery = Delivery(bench.store)
    await bench.become(viewer("S1"))
    stream = stream_at(bench.store.server, credit=2)
    with losing():
        with pytest.raises(Refused):
            await bench.become(viewer("S2"))
        delivery.streams[stream.id] = stream
        with pytest.raises(Refused):
            await bench.claim("SAT", stream=stream.id)

    assert (await bench.request(1)).waiting_for is WaitingFor.ANSWER, "the lease was given"
    assert stream.stopping
    assert stream.events.get_nowait() == Cut()


async def test_what_a_lost_commit_made_ready_is_found_by_the_next_claim(
    bench: Bench, losing: Losing
) -> None:
    leases = list[Handed]()
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    for _ in range(2):
        leases += await bench.claim("SAT", credit=1)
    with losing(), pytest.raises(Refused):
        await bench.release(leases[0].lane.lease)
    again = await bench.claim("SAT")

    assert [handed.lane.subscription for handed in again] == ["S1"]
