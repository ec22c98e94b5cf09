"""Tests servers on PostgreSQL with databases and roles of other encodings, and with roles that may
only read.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from generic_provider import Account, Client, actions
from support.command_line import run_process
from support.postgres import Databases
from support.processes import Server

pytestmark = pytest.mark.postgresql
NAME = "Žižka Õun €"


def _refused(url: str) -> str:
    done = run_process("serve", "--listen=127.0.0.1:0", "--database", url)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    return done.stderr


def _as_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}@{host}"))


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding_is_refused(postgres: Databases, encoding: str) -> None:
    name = f"of_{encoding.lower()}"
    postgres.sql(
        f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' "
        "TEMPLATE template0"
    )
    try:
        said = _refused(postgres.url(name))
    finally:
        postgres.drop_database(postgres.url(name))

    assert f"its encoding is {encoding}, and texts need UTF8" in said


def test_the_encoding_of_a_role_does_not_matter(
    postgres: Databases, postgres_url: str, tmp_path: Path
) -> None:
    postgres.sql("CREATE ROLE latin LOGIN SUPERUSER")
    postgres.sql("ALTER ROLE latin SET client_encoding = 'LATIN1'")
    try:
        with (
            Server(tmp_path, database=_as_role(postgres_url, "latin")) as server,
            Client(server.address) as crm,
        ):
            become = actions.BecomeSubscriber(type="OTT", holder=Account(number="1", name=NAME))
            number = crm.perform(become).subscription.number
            assert crm.get_subscription(number).holder.name == NAME
            (found,) = crm.list_subscriptions(holder_number="1")
            assert found.holder.name == NAME
    finally:
        postgres.sql("DROP ROLE latin")


def test_a_role_that_may_only_read_is_refused_at_once(
    postgres: Databases, postgres_url: str
) -> None:
    postgres.sql("CREATE ROLE reader LOGIN")
    try:
        assert "permission denied" in _refused(_as_role(postgres_url, "reader"))
        postgres.sql("ALTER ROLE reader SUPERUSER")
        postgres.sql("ALTER ROLE reader SET default_transaction_read_only = on")
        assert "read-only transaction" in _refused(_as_role(postgres_url, "reader"))
    finally:
        postgres.sql("DROP ROLE reader")
