"""Tests that no acknowledged action is lost when the primary database dies and a synchronous
standby is promoted.
"""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from generic_provider import AsyncClient, Client, RequestState, actions
from generic_provider_server.demo.aluxsat import provider
from support.postgres import PostgresServer, discard, own_postgres
from support.processes import Server, simulated_adapter, wait_until

CODE = "ALUXSAT"
CUSTOMERS = 20


def either(one: PostgresServer, other: PostgresServer, *, database: str) -> str:
    """Returns a URL with the addresses of both servers. A client with this URL connects to the
    server that accepts writes.
    """
    hosts = ",".join(quote(str(each.folder), safe="") for each in (one, other))
    base, name = urlsplit(one.base), urlsplit(database).path
    return (
        f"postgresql://{base.netloc}{name}?host={hosts}&port={one.port},{other.port}"
        "&target_session_attrs=read-write"
    )


@pytest.mark.postgresql
@pytest.mark.timeout(150)
async def test_nothing_acknowledged_is_missing_after_a_promotion(tmp_path: Path) -> None:
    with own_postgres() as primary:
        database = primary.create_database()
        standby = primary.standby("standby")
        try:
            primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            primary.sql("SELECT pg_reload_conf()")
            wait_until(lambda: _is_synchronous(primary), what="the standby is synchronous")
            url = either(primary, standby, database=database)
            await _lose_the_primary(tmp_path, url, primary, standby)
        finally:
            discard(standby)


def _is_synchronous(primary: PostgresServer) -> bool:
    return primary.sql("SELECT sync_state FROM pg_stat_replication") == [("sync",)]


async def _lose_the_primary(
    folder: Path, url: str, primary: PostgresServer, standby: PostgresServer
) -> None:
    with (
        Server(folder, database=url, name="one") as one,
        Server(folder, database=url, name="two") as two,
        Client(two.address) as crm,
        simulated_adapter("adapter", "--lease=2", server=two, provider=CODE),
    ):
        crm.create_provider(provider(CODE))
        crm.set_provider_state(CODE, state="EFFECTIVE")
        acknowledged: list[str] = []
        enough = asyncio.Event()
        async with AsyncClient(one.address, timeout=timedelta(minutes=1)) as client:
            load = [
                asyncio.create_task(_order(client, n, acknowledged, enough=enough))
                for n in range(CUSTOMERS)
            ]
            await _more(acknowledged)
            primary.kill()
            await asyncio.to_thread(standby.promote)
            await _more(acknowledged)
            enough.set()
            await asyncio.gather(*load)
        wait_until(lambda: not crm.get_backlog(CODE).pending, what="the backlog is served")
        settled = {each.id for each in crm.list_actions() if each.HasField("settle_time")}
        assert set(acknowledged) <= settled
        assert {each.state for each in crm.list_requests()} == {RequestState.COMPLETED}
        assert [each.stop(signal.SIGTERM) for each in (one, two)] == [0, 0]
        for each in (one, two):
            each.start()


async def _more(acknowledged: list[str]) -> None:
    """Waits until on average five more actions of each customer are acknowledged."""
    wanted = len(acknowledged) + 5 * CUSTOMERS
    while len(acknowledged) < wanted:
        await asyncio.sleep(0.05)


async def _order(
    client: AsyncClient, customer: int, acknowledged: list[str], *, enough: asyncio.Event
) -> None:
    """Creates subscribers one after the other, and records the acknowledged actions."""
    order = 0
    while not enough.is_set():
        become = actions.BecomeSubscriber(type="DTH", provider=CODE, services=[])
        done = await client.perform(become, subscription=f"C{customer}-{order}")
        acknowledged.append(done.action.id)
        order += 1
