from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

from generic_provider import Client
from support.command_line import run
from support.postgres import Databases
from support.processes import Server
from support.soak import forms


@forms("count", suite=3, soak=12)
def test_servers_that_start_at_once_on_an_empty_database_make_one_schema(
    tmp_path: Path, postgres: Databases, count: int
) -> None:
    database = postgres.create_database()
    servers = [Server(tmp_path, database=database, name=f"server-{n}") for n in range(count)]
    with ExitStack() as stack:
        for server in servers:
            stack.push(server)
            server.begin()
        for server in servers:
            server.wait()
        for server in servers:
            with Client(server.address) as client:
                assert list(client.list_providers()) == []
        status = run("database", "status", "--database", database)
        assert [server.stop(signal.SIGTERM) for server in servers] == [0] * count

    assert status.exit_code == 0, status.output
    assert "pending" not in status.stdout
    for server in servers:
        said = server.log.read_text()
        assert "error" not in said, said
        assert "[warning" not in said, said
