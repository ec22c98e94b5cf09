"""Tests that server processes of the previous release run on the new schema until each process is
replaced.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tarfile
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import psycopg
import pytest

from generic_provider import (
    ActionState,
    AsyncClient,
    Client,
    Distributor,
    Provider,
    Service,
    SyncState,
    actions,
)
from generic_provider_server.store.database.migrate import NEWEST, OLDEST_SCHEMA
from support.command_line import run_process
from support.postgres import Databases
from support.processes import Server, simulated_adapter, wait_until
from support.soak import ROUNDS, forms

ROOT = Path(__file__).parents[2]
BEFORE = "4c196de"
"""The last commit of version 0.1.0."""
FAMILIES = 8
PATIENCE = 600


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Returns the environment in which a process runs the code of the previous release."""
    git = shutil.which("git")
    known = git and subprocess.run(
        [git, "-C", str(ROOT), "archive", BEFORE, "client", "server"],
        capture_output=True,
        check=False,
    )
    if not known or known.returncode:
        pytest.skip(f"this repository does not contain the commit {BEFORE}")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=BytesIO(known.stdout)) as files:
        files.extractall(folder, filter="data")
    return {**os.environ, "PYTHONPATH": f"{folder / 'client'}:{folder / 'server'}"}


class Load:
    """A CRM that changes subscriptions without pauses. None of its calls may fail."""

    def __init__(self, *servers: Server) -> None:
        places = ",".join(server.address for server in servers)
        self._crm = AsyncClient(f"ipv4:{places}")
        self.performed = list[str]()
        self.stopped = False

    async def run(self) -> None:
        async with self._crm, asyncio.TaskGroup() as tasks:
            for n in range(FAMILIES):
                tasks.create_task(self._change(f"S{n}"))

    async def _change(self, number: str) -> None:
        become = actions.BecomeSubscriber(type="DTH", provider="P", services=[("MAIN", "SPORT")])
        await self._perform(become, number)
        while not self.stopped:
            await self._perform(actions.AddServices(services=[("MAIN", "NEWS")]), number)
            await self._perform(actions.RemoveServices(services=[("MAIN", "NEWS")]), number)

    async def _perform(self, action: actions.Action, number: str) -> None:
        done = await self._crm.perform(action, subscription=number)
        self.performed.append(done.action.id)
        await asyncio.sleep(0.02)

    async def more(self, number: int) -> None:
        wanted = len(self.performed) + number
        async with asyncio.timeout(PATIENCE):
            while len(self.performed) < wanted:
                await asyncio.sleep(0.02)


def _open(server: Server) -> None:
    provider = Provider(
        code="P",
        distributors=[Distributor(code="MAIN")],
        services=[Service(code=code, provider_service_id=code) for code in ("SPORT", "NEWS")],
    )
    with Client(server.address) as crm:
        crm.create_provider(provider)
        crm.set_provider_state("P", state="EFFECTIVE")


@pytest.mark.postgresql
@forms("more", suite=25, soak=2_000 * ROUNDS)
async def test_old_servers_run_on_the_new_schema_until_they_are_replaced(
    more: int, before: dict[str, str], postgres: Databases, tmp_path: Path
) -> None:
    """`more`: the number of actions that are performed between two steps of the upgrade."""
    database = postgres.create_database()
    servers = [Server(tmp_path, database=database, name=f"server-{n}") for n in range(2)]
    with ExitStack() as stack:
        for server in servers:
            stack.push(server)
            server.begin(before)
        for server in servers:
            server.wait()
        _open(servers[0])
        stack.enter_context(
            simulated_adapter("old", server=servers[0], provider="P", environment=before)
        )
        load = Load(*servers)
        running = asyncio.create_task(load.run())
        await load.more(more)
        upgrade = "database", "upgrade", "--database", database
        upgraded = await asyncio.to_thread(run_process, *upgrade)
        assert upgraded.returncode == 0, upgraded.stderr
        await load.more(more)
        for server in servers:
            assert await asyncio.to_thread(server.stop, signal.SIGTERM) == 0
            await asyncio.to_thread(server.start)
            await load.more(more)
        load.stopped = True
        await running
        with Client(servers[0].address) as crm:
            await asyncio.to_thread(_check, crm, load)


def _check(crm: Client, load: Load) -> None:
    wait_until(lambda: not crm.get_backlog("P").pending, what="the backlog is served")
    states = {each.id: each.state for each in crm.list_actions()}
    assert set(load.performed) <= states.keys()
    assert set(states.values()) == {ActionState.SETTLED}
    links = [link.sync_state for each in crm.list_subscriptions() for link in each.provider_links]
    assert links == [SyncState.IN_SYNC] * FAMILIES


def test_a_server_that_is_too_old_for_the_schema_stops_with_a_sentence(
    postgres_url: str, tmp_path: Path
) -> None:
    said = f"needs servers of schema {NEWEST + 1} or newer, and this one is of schema {NEWEST}"
    with Server(tmp_path, "--patience-seconds=1", database=postgres_url) as running:
        with psycopg.connect(postgres_url) as later:
            newer = str(NEWEST + 1).encode()
            later.execute("UPDATE setting SET value = %s WHERE name = %s", (newer, OLDEST_SCHEMA))
        assert running.exit_code() == 3
    assert said in running.log.read_text()

    for workers in "1", "2":
        begun = run_process(
            "serve", "--workers", workers, "--database", postgres_url, "--listen=127.0.0.1:0"
        )
        assert begun.returncode == 3, "systemd does not start the server again"
        assert said in begun.stderr
