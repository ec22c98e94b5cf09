"""Runs the brokers that the relays of P3r use, each as a process of its own in a temporary folder.

Debian installs RabbitMQ in a folder that is not on the PATH. The script on the PATH that starts
RabbitMQ demands root, so the measurements do not use that script.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from support.scraping import free_port

PLACES = ("/usr/lib/rabbitmq/bin", os.environ.get("PATH", ""), "/usr/sbin")
PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    port: int
    process: int


def found(program: str) -> str | None:
    """Returns the path of the program, or None if it is not installed."""
    return shutil.which(program, path=os.pathsep.join(PLACES))


@contextmanager
def rabbitmq(program: str) -> Iterator[Broker]:
    """Yields a node that shares nothing with other nodes of the machine.

    `epmd` is the program at which Erlang registers its nodes. If the node itself started `epmd`,
    `epmd` would run on after the end of the node.
    """
    port, names = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="bench-rabbitmq-") as folder:
        place = Path(folder)
        (place / "plugins").write_text("[].")
        (place / "rabbitmq.conf").touch()
        variables = {
            "HOME": folder,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": names,
            "RABBITMQ_ALLOW_INPUT": 1,  # so the script's process becomes the node
            "RABBITMQ_CONFIG_FILE": place / "rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": place / "rabbitmq.conf",
            "RABBITMQ_DIST_PORT": free_port(),
            "RABBITMQ_ENABLED_PLUGINS_FILE": place / "plugins",
            "RABBITMQ_LOG_BASE": place / "log",
            "RABBITMQ_MNESIA_BASE": place / "data",
            "RABBITMQ_NODENAME": "bench@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": port,
            "RABBITMQ_PID_FILE": place / "pid",
        }
        node = [program, "-noinput"]
        with _running(["epmd"], names, variables), _running(node, port, variables) as broker:
            yield broker


@contextmanager
def nats(program: str) -> Iterator[Broker]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-nats-") as folder:
        command = [program, "-js", "-sd", folder, "-a", "127.0.0.1", "-p", str(port)]
        with _running(command, port, {}) as broker:
            yield broker


def versions() -> list[str]:
    """Returns the versions of the brokers that are installed.

    The version of RabbitMQ is read from the name of its folder, because to ask the program would
    start an Erlang node.
    """
    rabbit, nats_server = found("rabbitmq-server"), found("nats-server")
    told = {"RabbitMQ": str(Path(rabbit).resolve())} if rabbit else {}
    if nats_server:
        command = [nats_server, "--version"]
        shown = subprocess.run(command, check=True, capture_output=True, text=True)
        told["NATS"] = shown.stdout
    return [f"{name} {re.findall(r'[0-9]+(?:[.][0-9]+)+', told[name])[-1]}" for name in told]


BROKERS: Mapping[str, tuple[str, Callable[[str], AbstractContextManager[Broker]]]] = {
    "RabbitMQ": ("rabbitmq-server", rabbitmq),
    "NATS": ("nats-server", nats),
}


@contextmanager
def _running(command: list[str], port: int, variables: Mapping[str, object]) -> Iterator[Broker]:
    """Runs the command while the `with` block runs. The block begins when the port is open."""
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, env=environment) as process:
        try:
            _wait(process, port)
            yield Broker(port=port, process=process.pid)
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start")
