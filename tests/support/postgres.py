"""Runs a PostgreSQL server for the tests, without root, Docker or any preparation.

`GENERIC_PROVIDER_TEST_POSTGRESQL` may be a version, for example 15 or 18, or the URL of a running
server. Tests that only need databases use that server.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg

from .postgres_programs import (
    USER,
    WANTED,
    empty_data,
    own_folder,
    program,
    run,
    unprivileged,
)

PATIENCE = 60.0
SETTINGS: Mapping[str, object] = {
    "listen_addresses": "",
    "max_connections": 100,
    "shared_buffers": "64MB",
    "wal_level": "replica",
    "max_wal_senders": 4,
    "log_min_messages": "fatal",
    "fsync": "off",
    "full_page_writes": "off",
    "dynamic_shared_memory_type": "mmap",  # in the server's folder, which is removed
}
"""With these settings commits survive a kill of the server's processes, but not a crash of the
machine.
"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@dataclass(slots=True)
class Databases:
    """A server on which databases can be made. `base`: the URL of one of its databases."""

    base: str

    def url(self, database: str = "postgres") -> str:
        return urlunsplit(urlsplit(self.base)._replace(path=f"/{database}"))

    def create_database(self, *, template: str = "template1") -> str:
        """Makes a database with the contents of the template, and returns its URL."""
        name = f"t_{secrets.token_hex(8)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        self.sql(f"DROP DATABASE IF EXISTS {_name(url)} WITH (FORCE)")

    def sql(
        self, statement: str, *parameters: object, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []


class Remembered:
    """A database that each test gets with the same contents, which `prepare` writes. To restore the
    contents takes less time than to make a new database.

    The connection stays open, because then PostgreSQL keeps the prepared statements.
    """

    def __init__(self, server: Databases, prepare: Callable[[str], None]) -> None:
        self._server = server
        self._prepare = prepare
        self._made: list[str] = []
        self._make()

    def make_another(self) -> None:
        """Makes a new database. The former database stays until `drop`."""
        self._connection.close()
        self._make()

    def _make(self) -> None:
        self.url = self._server.create_database()
        self._made.append(self.url)
        self._prepare(self.url)
        self._connection = psycopg.connect(self.url, autocommit=True)
        tables = [name for (name,) in self._connection.execute(TABLES)]
        kept = "".join(f"CREATE TABLE first.{t} AS TABLE public.{t};" for t in tables)
        again = "".join(f"DELETE FROM {t}; INSERT INTO {t} TABLE first.{t};" for t in tables)  # noqa: S608
        self._connection.execute(
            f"CREATE SCHEMA first; {kept} CREATE FUNCTION first.restore() RETURNS void "
            f"LANGUAGE plpgsql AS $$ BEGIN {again} END $$".encode()
        )

    def restore(self) -> None:
        """Ends all other sessions, and restores the contents."""
        self._connection.execute(END_OTHERS)
        self._connection.execute("SELECT first.restore()")

    def drop(self) -> None:
        self._connection.close()
        for url in self._made:
            self._server.drop_database(url)


@dataclass(slots=True)
class PostgresServer(Databases):
    """A server process; `folder` holds its data and its socket."""

    folder: Path = Path()
    port: int = 0
    settings: Mapping[str, object] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        options = {**SETTINGS, "unix_socket_directories": self.folder, **self.settings}
        command = [program("postgres"), "-D", str(self.data), "-p", str(self.port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "postgresql.log").open("a") as log:
            self.process = subprocess.Popen(
                unprivileged(command), stdout=log, stderr=log, start_new_session=True
            )
        self._wait()

    def stop(self, how: str = "fast") -> None:
        """Stops the server. With `fast` it ends the sessions and writes everything to the disk.
        With `immediate` it ends as after a crash.
        """
        self._end({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])

    def kill(self) -> None:
        """Kills all processes of the server at once."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self._end(signal.SIGKILL)

    def standby(self, name: str = "standby", **settings: object) -> PostgresServer:
        """Starts a standby of this server. `name` is the application_name of the standby."""
        other = _new_server({**self.settings, **settings})
        source = f"host={self.folder} port={self.port} user={USER} application_name={name}"
        command = ["-D", str(other.data), "-R", "-X", "stream", "-c", "fast", "-N", "-d", source]
        run(program("pg_basebackup"), *command)
        other.start()
        return other

    def promote(self) -> None:
        run(program("pg_ctl"), "promote", "-D", str(self.data))

    def _end(self, how: signal.Signals) -> None:
        process = self.process
        if process is None:
            return
        process.send_signal(how)
        process.wait(PATIENCE)
        self.process = None

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.sql("SELECT 1")
            except psycopg.OperationalError:
                ended = self.process is None or self.process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "postgresql.log").read_text()) from None
                time.sleep(0.02)
            else:
                return


@contextmanager
def own_postgres(**settings: object) -> Iterator[PostgresServer]:
    """Runs a new server with SETTINGS and these settings while the `with` block runs."""
    empty = empty_data()  # this skips the test if PostgreSQL is not installed
    server = _new_server(settings)
    run("/bin/cp", "-R", "-p", str(empty), str(server.data))
    server.start()
    try:
        yield server
    finally:
        discard(server)


def discard(server: PostgresServer) -> None:
    """Stops the server, if it runs, and removes its folder."""
    server.kill()
    shutil.rmtree(server.folder)


@contextmanager
def databases() -> Iterator[Databases]:
    """Yields the server that the environment names, or else a new server whose data do not survive
    a crash.
    """
    wanted = os.environ.get(WANTED, "")
    if wanted and not wanted.isdigit():
        yield Databases(wanted)
        return
    with own_postgres(synchronous_commit="off") as server:
        yield server


def _name(url: str) -> str:
    return urlsplit(url).path[1:]


def _new_server(settings: Mapping[str, object]) -> PostgresServer:
    folder = own_folder("gp-pg-")
    port = _free_port()
    base = f"postgresql://{USER}@/postgres?host={quote(str(folder), safe='')}&port={port}"
    return PostgresServer(base, folder=folder, port=port, settings=settings)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
