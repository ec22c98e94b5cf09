"""Tests servers whose SQLite file is used by other programs, removed, damaged or on a full disk."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from generic_provider import Client, ServerUnavailable, actions
from generic_provider_server.demo.aluxsat import provider
from support.command_line import run_process
from support.mounts import mounted
from support.processes import PATIENCE, Server, simulated_adapter, wait_until

CODE = "ALUXSAT"
BECOME = actions.BecomeSubscriber(type="DTH", provider=CODE, services=[])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path) as running:
        yield running


@pytest.fixture
def crm(server: Server) -> Iterator[Client]:
    with Client(server.address, timeout=timedelta(seconds=1)) as client:
        client.create_provider(provider(CODE))
        client.set_provider_state(CODE, state="EFFECTIVE")
        yield client


def file_of(server: Server) -> Path:
    return server.folder / "generic-provider.db"


@contextmanager
def by_symbolic_link(file: Path) -> Iterator[Path]:
    link = file.with_name("link.db")
    link.symlink_to(file)
    yield link


@contextmanager
def by_hard_link(file: Path) -> Iterator[Path]:
    link = file.with_name("hard.db")
    link.hardlink_to(file)
    yield link


@contextmanager
def by_bind_mount(file: Path) -> Iterator[Path]:
    with mounted(file.with_name("mounted"), "--bind", str(file.parent)) as folder:
        yield folder / file.name


@contextmanager
def without_a_lock_file(file: Path) -> Iterator[Path]:
    file.with_name(file.name + ".lock").unlink(missing_ok=True)
    yield file


WAYS = (by_symbolic_link, by_hard_link, by_bind_mount, without_a_lock_file)


@pytest.mark.parametrize("way", WAYS)
def test_a_second_server_is_refused_however_it_gets_to_the_file(
    way: Callable[[Path], AbstractContextManager[Path]], server: Server, crm: Client
) -> None:
    with way(file_of(server)) as other:
        command = ("serve", "--listen", "127.0.0.1:0", "--database", f"sqlite:///{other}")
        refused = run_process(*command)

    assert refused.returncode == 1
    assert "is in use by another server" in refused.stderr
    crm.perform(BECOME, subscription="S1")
    read_elsewhere(file_of(server))
    server.stop(signal.SIGKILL)
    server.start()
    assert crm.get_subscription("S1").number == "S1"


def test_another_program_that_reads_the_file_leaves_the_last_changes_in_place(
    server: Server, crm: Client
) -> None:
    for n in range(10):
        crm.perform(BECOME, subscription=f"S{n}")
        read_elsewhere(file_of(server))
    server.stop(signal.SIGKILL)
    server.start()

    assert len(list(crm.list_subscriptions())) == 10


def remove(server: Server) -> Path:
    file_of(server).unlink()
    return file_of(server)


def replace(server: Server) -> Path:
    copy = server.folder / "copy.db"
    copy.write_bytes(file_of(server).read_bytes())
    return copy.rename(file_of(server))


def remove_wal(server: Server) -> Path:
    wal = server.folder / "generic-provider.db-wal"
    wal.unlink()
    return wal


@pytest.mark.parametrize("harm", [remove, replace, remove_wal])
def test_a_server_whose_file_is_removed_acknowledges_nothing_more_and_stops(
    harm: Callable[[Server], Path], server: Server, crm: Client
) -> None:
    crm.perform(BECOME, subscription="S1")
    harmed = harm(server)
    with pytest.raises(ServerUnavailable):
        crm.perform(BECOME, subscription="S2")

    assert server.exit_code() == 3
    assert f"{harmed} was removed or replaced" in server.log.read_text()


def test_an_idle_server_notices_that_its_file_is_removed(server: Server) -> None:
    remove(server)

    assert server.exit_code() == 3


@pytest.mark.usefixtures("crm")
def test_only_the_owner_can_read_the_database(server: Server) -> None:
    files = [*server.folder.glob("generic-provider.db*")]

    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_health_says_that_nothing_can_be_written_until_there_is_room_again(
    server: Server, crm: Client
) -> None:
    _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    with reading(file_of(server)):
        crm.perform(BECOME, subscription="S1")
        room = (server.folder / "generic-provider.db-wal").stat().st_size
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (room, most))
        with pytest.raises(ServerUnavailable) as refused:
            crm.perform(BECOME, subscription="S2")
        assert refused.value.reason == "STORE_UNAVAILABLE"
        assert crm.get_subscription("S1").number == "S1"
        wait_until(lambda: not serving(server), what="health says that it does not serve")
    assert server.log.read_text().count("store_lost") == 1
    assert "the disk failed, or the largest allowed file size" in server.log.read_text()
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most, most))
    wait_until(lambda: serving(server), what="health says that it serves")
    crm.perform(BECOME, subscription="S2")
    server.stop(signal.SIGKILL)
    server.start()

    assert [each.number for each in crm.list_subscriptions()] == ["S1", "S2"]


def test_a_full_disk_is_named_and_everything_is_there_when_it_has_room_again(
    tmp_path: Path,
) -> None:
    with (
        mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=2m", "-") as small,
        Server(tmp_path, database=f"sqlite:///{small / 'store.db'}") as server,
        Client(server.address, timeout=timedelta(seconds=1)) as crm,
    ):
        crm.create_provider(provider(CODE))
        crm.set_provider_state(CODE, state="EFFECTIVE")
        ballast = small / "ballast"
        with reading(small / "store.db"):
            fill(ballast)
            done = perform_until_refused(crm)
            wait_until(lambda: not serving(server), what="health says that it does not serve")
        assert "the disk is full" in server.log.read_text()
        ballast.unlink()
        wait_until(lambda: serving(server), what="health says that it serves")
        assert len(list(crm.list_subscriptions())) == done
        crm.perform(BECOME, subscription="later")


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Keeps a read transaction open during the block, so that the WAL grows with every change."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT code FROM provider").fetchall()
        yield


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def perform_until_refused(crm: Client) -> int:
    """Performs actions until one is refused. Returns the number of acknowledged actions."""
    for n in range(1_000):
        try:
            crm.perform(BECOME, subscription=f"S{n}")
        except ServerUnavailable:
            return n
    raise AssertionError("the disk was never full")


def test_a_damaged_page_is_no_fault_of_the_service(server: Server, crm: Client) -> None:
    for n in range(50):
        crm.perform(BECOME, subscription=f"S{n}")
    server.stop(signal.SIGTERM)
    damage(file_of(server), table="subscription")
    server.start()
    for call in (
        lambda: crm.get_subscription("S1"),
        lambda: list(crm.list_subscriptions()),
        lambda: crm.perform(BECOME, subscription="S51"),
    ):
        with pytest.raises(ServerUnavailable) as refused:
            call()
        assert refused.value.reason == "STORE_UNAVAILABLE"

    assert not serving(server)
    assert server.log.read_text().count("database_damaged") == 1
    assert "restore the last back-up" in server.log.read_text()
    assert len(list(crm.list_providers())) == 1


def test_a_file_that_is_no_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"something else " * 1_000)
    url = f"sqlite:///{tmp_path / 'x.db'}"
    for command in (("serve", "--listen", "127.0.0.1:0"), ("database", "status")):
        refused = run_process(*command, "--database", url)

        assert refused.returncode == 1
        assert refused.stderr.startswith("Error: ")
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    "command",
    [("serve", "--listen", "127.0.0.1:0"), ("database", "upgrade"), ("database", "status")],
    ids=" ".join,
)
def test_a_database_in_a_folder_that_does_not_exist_is_refused_and_nothing_made(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    missing = tmp_path / "missing"

    refused = run_process(*command, "--database", f"sqlite:///{missing / 'x.db'}")

    assert refused.returncode == 1
    said = f"Error: there is no folder {missing} for the database x.db: create the folder"
    assert refused.stderr.startswith(said)
    assert not missing.exists()


def test_an_upgrade_that_makes_a_new_database_says_so(tmp_path: Path) -> None:
    upgrade = ("database", "upgrade", "--database", f"sqlite:///{tmp_path / 'x.db'}")

    first, second = run_process(*upgrade), run_process(*upgrade)

    assert "The database was new or empty." in first.stdout
    assert "new or empty" not in second.stdout


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_whose_address_is_in_use_makes_no_database(tmp_path: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        url = f"sqlite:///{tmp_path / 'x.db'}" if workers == "1" else "postgresql:///x"
        options = ("--listen", listen, "--database", url, "--workers", workers)
        refused = run_process("serve", *options)

    assert refused.returncode == 1
    assert f"Error: cannot serve on {listen}: " in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_does_not_stop_the_server(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.log = Path("/dev/full")
    with server, Client(server.address) as crm:
        crm.create_provider(provider(CODE))
        with simulated_adapter("adapter", server=server, provider=CODE):
            wait_until(lambda: len(list(crm.list_adapters())) == 1, what="the adapter is there")
        wait_until(lambda: not list(crm.list_adapters()), what="the adapter is gone")


def damage(file: Path, *, table: str) -> None:
    """Overwrites the first page of the table."""
    with closing(sqlite3.connect(file)) as database:
        ((page, size),) = database.execute(
            "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = ?",
            (table,),
        )
    with file.open("r+b") as raw:
        raw.seek((page - 1) * size)
        raw.write(os.urandom(size))


def read_elsewhere(file: Path) -> None:
    """Opens and closes the database in another process, as `sqlite3 FILE` does."""
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM provider')"
    subprocess.run([sys.executable, "-c", code, str(file)], check=True, timeout=PATIENCE)


def serving(server: Server) -> bool:
    with grpc.insecure_channel(server.address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        status: int = check(HealthCheckRequest()).status
        return status == HealthCheckResponse.SERVING
