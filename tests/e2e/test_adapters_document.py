"""Tests that docs/adapters.md, the integrators' manual, is true: its adapter runs, and its tables
agree with the contract.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from google.protobuf.descriptor import Descriptor

from generic_provider import Client, InstalledItem, Provider, ResponseCode, actions
from generic_provider_server.cli.files.provider_file import OUTPUT_ONLY
from generic_provider_server.conformance.rules import RULES
from support.adapter_check import checked
from support.command_line import run
from support.processes import Server
from support.provisioning_server import provisioning_server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/adapters.md").read_text(encoding="utf-8")
CONTRACT = (ROOT / "protos/generic_provider/v1/provisioning_service.proto").read_text()
DURATION = "google.protobuf.Duration"
MAIN = 'if __name__ == "__main__":'
# With these lines in the adapter, `adapter check` can test every rule.
PLATFORM = """
async def slow(_: resources.ProvisioningRequest) -> str:
    await asyncio.sleep(2)
    return ""


async def choosy(request: resources.ProvisioningRequest) -> str:
    if request.service.service == "FILM":
        raise Refused("E42", "not on this card")
    if request.service.service == "PPV":
        raise PlatformDown
    return await activate(request)


ROUTINES[resources.REQUEST_TYPE_UPDATE_ADDRESS] = slow
ROUTINES[resources.REQUEST_TYPE_ACTIVATE_SERVICE] = choosy
LEASE_SECONDS, DOWN_SECONDS = 3, 1
"""


def code() -> str:
    (found,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def first_cells(title: str) -> list[str]:
    """Returns the words in code style in a section's table, without those of the last column."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row.rsplit("|", 2)[0])]


def test_the_python_adapter_serves_a_real_server(tmp_path: Path) -> None:
    with Server(tmp_path) as server, Client(server.address) as crm:
        applied = run(
            "provider", "apply", str(ROOT / "docs/aluxsat.toml"), "--effective", server=server
        )
        assert applied.exit_code == 0, applied.output
        with adapter(tmp_path, server.address):
            done = crm.perform(
                actions.BecomeSubscriber(
                    type="DTH",
                    provider="ALUXSAT",
                    items=[item("SMARTCARD", "0012345678"), item("DECODER", "D-1")],
                    services=[("MAIN", "SPORT")],
                )
            )
            number = done.subscription.number
            added = crm.perform(
                actions.AddServices(services=[("MAIN", "NEWS")]), subscription=number
            )
            settled = crm.get_action(added.action.id, wait=timedelta(seconds=30))

        assert settled.HasField("settle_time")
        (link,) = crm.get_subscription(number).provider_links
        assert link.account_number == f"P-{number}"
        assert "switch on 1002 for ['0012345678', 'D-1']" in (tmp_path / "adapter.log").read_text()


async def test_the_python_adapter_keeps_every_rule(tmp_path: Path) -> None:
    file = written(tmp_path, code().replace(MAIN, PLATFORM + MAIN))

    async def serve(address: str) -> None:
        with running(file, tmp_path / "adapter.log", address):
            await asyncio.Event().wait()

    exit_code, verdicts = await checked(
        serve, "--slow-type", "update-address", "--rejecting", "FILM", "--down", "PPV"
    )

    assert verdicts == dict.fromkeys(RULES, "kept"), (tmp_path / "adapter.log").read_text()
    assert exit_code == 0


async def test_the_python_adapter_repeats_its_answers_to_a_busy_server(tmp_path: Path) -> None:
    async with provisioning_server() as server, asyncio.timeout(30):
        server.busy = True
        with adapter(tmp_path, server.address):
            (await server.stream()).give("S1", "t1", "R1")

            assert await server.answers(1) == [("R1", "t1")]


def test_every_verdict_is_explained() -> None:
    names = [name for name in vars(ResponseCode) if name.isupper()]

    assert set(names) - {"UNSPECIFIED"} <= set(first_cells("Answers and verdicts"))


def test_every_error_of_the_service_is_explained() -> None:
    lists = re.findall(r"// Errors: ([^.]+)\.", CONTRACT)
    named = {name for text in lists for name in re.findall(r"[A-Z_]+", text)}

    assert named | {"STORE_UNAVAILABLE", "INTERNAL"} <= set(first_cells("Errors"))


def test_every_key_of_a_provider_file_is_explained() -> None:
    page = (ROOT / "docs/provider-file.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE)) == {*keys(Provider.DESCRIPTOR)}


def test_every_rule_is_told() -> None:
    assert re.findall(r"^(\d+)\. \*\*", PAGE, re.MULTILINE) == [str(rule) for rule in RULES]


def keys(of: Descriptor) -> Iterator[str]:
    """Yields the keys that a TOML file for the message may have, with the keys of inner tables."""
    for field in of.fields:
        if field.name in OUTPUT_ONLY:
            continue
        kind = field.message_type
        inner = [] if kind is None or kind.full_name == DURATION else [*keys(kind)]
        if kind is not None and kind.GetOptions().map_entry:
            inner = []
        if not inner or field.is_repeated:
            yield field.name
        yield from (f"{field.name}.{each}" for each in inner)


def item(goods_type: str, serial_number: str) -> InstalledItem:
    return InstalledItem(distributor="MAIN", goods_type=goods_type, serial_number=serial_number)


def written(folder: Path, text: str) -> Path:
    file = folder / "adapter.py"
    file.write_text(text, encoding="utf-8")
    return file


@contextmanager
def adapter(folder: Path, address: str) -> Iterator[None]:
    with running(written(folder, code()), folder / "adapter.log", address):
        yield


@contextmanager
def running(file: Path, log: Path, address: str) -> Iterator[None]:
    environment = {**os.environ, "GENERIC_PROVIDER_SERVER": address, "PYTHONUNBUFFERED": "1"}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, str(file)], stdout=out, stderr=out, env=environment
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()
