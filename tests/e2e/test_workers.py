from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE, STDOUT

import click
import pytest

from generic_provider import Client, actions
from generic_provider_server.config import Settings
from generic_provider_server.demo.aluxsat import provider
from generic_provider_server.workers import run_workers
from support.forking import PROGRAM
from support.postgres import Databases
from support.processes import Server, simulated_adapter, wait_until
from support.scraping import free_port, scrape

CODE = "ALUXSAT"
WORKERS, CLIENTS, SUBSCRIBERS = 2, 8, 40
BECOME = actions.BecomeSubscriber(type="DTH", provider=CODE, services=[])


@pytest.fixture
def metrics() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def server(tmp_path: Path, postgres: Databases, metrics: str) -> Iterator[Server]:
    database = postgres.create_database()
    options = f"--workers={WORKERS}", f"--metrics={metrics}"
    with Server(tmp_path, *options, database=database) as server:
        with Client(server.address) as crm:
            crm.create_provider(provider(CODE))
            crm.set_provider_state(CODE, state="EFFECTIVE")
        yield server


def children(parent: int) -> set[int]:
    """Returns the ids of the worker processes. Python starts other processes too, which are left
    out.
    """
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {int(pid) for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def test_workers_share_the_work_and_those_that_die_are_replaced(
    server: Server, metrics: str
) -> None:
    first = children(server.pid)
    assert len(first) == WORKERS
    with ExitStack() as stack:
        options = ("--max-in-flight=5", "--lease=2")
        stack.enter_context(simulated_adapter("one", *options, server=server, provider=CODE))
        clients = [stack.enter_context(Client(server.address)) for _ in range(CLIENTS)]
        for n in range(SUBSCRIBERS):
            clients[n % CLIENTS].perform(BECOME, subscription=f"S{n}")
        wait_until(lambda: _performed(metrics) == SUBSCRIBERS, what="the metrics of all actions")
        os.kill(min(first), signal.SIGKILL)
        for n in range(SUBSCRIBERS, 2 * SUBSCRIBERS):
            clients[n % CLIENTS].perform(BECOME, subscription=f"S{n}")
        crm = clients[0]
        wait_until(lambda: not crm.get_backlog(CODE).pending, what="the backlog is served")
        assert len(list(crm.list_subscriptions())) == 2 * SUBSCRIBERS
    wait_until(lambda: len(children(server.pid)) == WORKERS, what="the killed worker is replaced")
    assert _performed(metrics) >= SUBSCRIBERS, "the actions of the killed process still count"
    wait_until(lambda: _effective(metrics) == 1, what="the gauge is not summed")
    replaced = children(server.pid) - first
    for pid in first & children(server.pid):
        os.kill(pid, signal.SIGKILL)
    with Client(server.address, timeout=timedelta(seconds=30)) as last:
        last.perform(BECOME, subscription="last")
    assert replaced <= children(server.pid)
    assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.log.read_text()


def test_the_processes_end_after_their_parent_was_killed(server: Server) -> None:
    assert len(children(server.pid)) == WORKERS
    server.stop(signal.SIGKILL)
    host, _, port = server.address.rpartition(":")

    def free() -> bool:
        with socket.socket() as client:
            return client.connect_ex((host, int(port))) != 0

    wait_until(free, what="the address is free for the next server")
    assert "parent_process_died" in server.log.read_text()


FROZEN = """
import sys
from generic_provider_server import workers
from generic_provider_server.config import Settings
workers.FIRST_SECONDS = float(sys.argv[2])
settings = Settings(listen="127.0.0.1:0", database=sys.argv[1], workers=2, patience_seconds=1.0)
workers.run_workers(settings)
"""


@contextmanager
def starting(database: str, *, first: float = 5.0) -> Iterator[subprocess.Popen[str]]:
    """Starts a server with two workers. Each worker counts as dead after a short silence. `first`:
    the seconds for which a process may be silent when it starts.
    """
    command = [sys.executable, "-c", FROZEN, database, str(first)]
    with subprocess.Popen(command, stdout=PIPE, stderr=STDOUT, text=True) as parent:
        try:
            yield parent
        except BaseException:
            parent.kill()
            raise


def wait_until_serving(parent: subprocess.Popen[str]) -> None:
    assert parent.stdout is not None
    assert any(line.startswith("serving on") for line in parent.stdout)


def rest_of(parent: subprocess.Popen[str]) -> str:
    assert parent.stdout is not None
    return parent.stdout.read()


def test_a_frozen_process_is_replaced_and_does_not_hinder_the_stop(postgres: Databases) -> None:
    with starting(postgres.create_database(), first=30.0) as parent:
        wait_until_serving(parent)
        first = children(parent.pid)
        os.kill(min(first), signal.SIGSTOP)
        wait_until(
            lambda: len(children(parent.pid) - first) == 1, what="the frozen process is replaced"
        )
        os.kill(max(first), signal.SIGSTOP)
        parent.terminate()
        rest = rest_of(parent)
    assert parent.returncode == 0
    assert rest.count("server_process_silent") == 2


def test_a_replacement_that_freezes_during_its_start_is_replaced(postgres: Databases) -> None:
    with starting(postgres.create_database()) as parent:
        wait_until_serving(parent)
        first = children(parent.pid)
        os.kill(min(first), signal.SIGKILL)
        wait_until(lambda: len(children(parent.pid) - first) == 1, what="the first replacement")
        (frozen,) = children(parent.pid) - first
        os.kill(frozen, signal.SIGSTOP)
        wait_until(
            lambda: len(children(parent.pid) - first - {frozen}) == 1,
            what="the second replacement",
        )
        parent.terminate()
        assert "server_process_silent" in rest_of(parent)
    assert parent.returncode == 0


def test_a_process_that_freezes_during_the_start_ends_the_start(postgres: Databases) -> None:
    with starting(postgres.create_database()) as parent:
        wait_until(lambda: len(children(parent.pid)) == WORKERS, what="the processes start")
        os.kill(min(children(parent.pid)), signal.SIGSTOP)
        rest = rest_of(parent)
    assert parent.returncode == 1
    assert "server_process_silent" in rest
    assert "could not start" in rest


def test_a_process_that_freezes_during_the_start_does_not_hinder_the_stop(
    postgres: Databases,
) -> None:
    with starting(postgres.create_database()) as parent:
        wait_until(lambda: len(children(parent.pid)) == WORKERS, what="the processes start")
        os.kill(min(children(parent.pid)), signal.SIGSTOP)
        parent.terminate()
        rest_of(parent)
    assert parent.returncode == 0


def _performed(metrics: str) -> float:
    return scrape(metrics).value("actions_total", outcome="EXECUTED")


def _effective(metrics: str) -> float:
    return scrape(metrics).value("provider_effective", provider=CODE)


def test_a_worker_that_cannot_start_is_told() -> None:
    command = [*PROGRAM, "serve", "--listen=127.0.0.1:0", "--workers=2"]
    command += ["--database", "postgresql://localhost/none?nonsense=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 1
    assert "is not a PostgreSQL URL: invalid URI query parameter" in done.stderr
    assert "could not start" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["listen", "listen_tokens"])
def test_no_address_is_shared_with_another_program(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.workers.configure_logs", lambda _: None)
    file = Path("never read")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        settings = Settings(
            database="postgresql://never.reached/",
            workers=WORKERS,
            callers=file,
            tls_certificate=file,
            tls_key=file,
            tls_client_ca=file,
            listen=taken if option == "listen" else "127.0.0.1:0",
            listen_tokens=taken if option == "listen_tokens" else "127.0.0.1:0",
        )
        with pytest.raises(click.ClickException, match=f"cannot serve on {taken}: "):
            run_workers(settings)


def test_a_server_that_is_stopped_during_its_start_ends_quietly(postgres: Databases) -> None:
    with starting(postgres.create_database()) as parent:
        wait_until(lambda: len(children(parent.pid)) == WORKERS, what="the processes start")
        for pid in (parent.pid, *children(parent.pid)):  # as the terminal does at Ctrl-C
            os.kill(pid, signal.SIGINT)
        rest = rest_of(parent)
    assert parent.returncode == 0
    assert "serving on" not in rest
    assert "Traceback" not in rest
