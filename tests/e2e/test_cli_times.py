"""Tests times as people write them, the option to wait for an action, and the backlog of every
provider.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from generic_provider import Client, Provider, ResponseStatus
from support.command_line import run, told_as_json
from support.forking import PROGRAM, Forked
from support.processes import PATIENCE, Server, wait_until
from support.pulling import answer

PROVIDER = "WEB"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("times")) as running:
        yield running


@pytest.fixture(scope="module")
def crm(server: Server) -> Iterator[Client]:
    with Client(server.address) as client:
        new = Provider(code=PROVIDER)
        new.distributors.add(code="APP")
        new.services.add(code="STREAM", provider_service_id="1")
        client.create_provider(new)
        client.create_provider(Provider(code="OTHER"))
        client.set_provider_state(PROVIDER, state="EFFECTIVE")
        yield client


def _in_tallinn(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {"TZ": "Europe/Tallinn", "GENERIC_PROVIDER_SERVER": server.address}
    command = [*PROGRAM, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )


def _new(server: Server) -> str:
    new = ("action", "become-subscriber", "--type=OTT")
    (made,) = told_as_json(*new, server=server)
    return str(made["subscription"]["number"])


def test_a_time_without_a_zone_is_taken_in_that_of_its_writer(server: Server) -> None:
    number = _new(server)

    done = _in_tallinn(server, "action", "rest", number, "--until", "2030-07-01T18:00")

    assert done.returncode == 0, done.stderr
    assert "2030-07-01T18:00 is taken as 2030-07-01T18:00:00+03:00" in done.stderr
    (shown,) = told_as_json("subscription", "show", number, server=server)
    assert shown["until"] == "2030-07-01T15:00:00Z"


def test_so_is_one_in_a_file(server: Server, tmp_path: Path) -> None:
    first, second = _new(server), _new(server)
    file = tmp_path / "rests.csv"
    file.write_text(
        f"subscription,rest.until\n{first},2030-01-31 18:00\n{second},2030-01-31T18:00:00Z\n"
    )

    done = _in_tallinn(server, "action", "batch", str(file))

    assert done.stdout == "2 done, 0 refused\n", done.stderr
    assert done.stderr.count("times in the zone of this machine, EET") == 1
    untils = [
        told_as_json("subscription", "show", number, server=server)[0]["until"]
        for number in (first, second)
    ]
    assert untils == ["2030-01-31T16:00:00Z", "2030-01-31T18:00:00Z"]


@pytest.mark.parametrize("status", ["ACCEPTED", "REJECTED"])
def test_a_command_waits_until_its_action_is_settled(
    server: Server, crm: Client, status: str
) -> None:
    become = ["action", "become-subscriber", "--type=OTT", "--provider=WEB", "--wait"]
    waiting = Forked(*become, "--service=APP:STREAM", "--server", server.address, err=2)
    wait_until(lambda: crm.get_backlog(PROVIDER).pending == 1, what="the action is performed")
    assert waiting.runs()
    answer(crm, PROVIDER, status=ResponseStatus.value_of(status))
    said = waiting.out.read()

    settled = "SETTLED" if status == "ACCEPTED" else "REJECTED"
    assert waiting.wait(PATIENCE) == (0 if settled == "SETTLED" else 1)
    assert f"{settled}, BECOME_SUBSCRIBER of subscription" in said
    assert ("not on this card" in said) == (settled == "REJECTED")
    assert "\n  create time   20" in said


def test_the_backlog_of_all_providers_is_a_table(server: Server, crm: Client) -> None:
    become = ("action", "become-subscriber", "--type=OTT", "--provider=WEB")
    run(*become, "--service=APP:STREAM", server=server)
    (oldest,) = [each.number for each in crm.list_requests(state="PENDING")]

    shown = run("backlog", server=server).stdout.splitlines()
    told = {each["provider"]: each for each in told_as_json("backlog", server=server)}

    rows = {line.split()[0]: line.split()[1:] for line in shown[1:]}
    assert rows[PROVIDER][0] == "1"
    assert oldest in rows[PROVIDER]
    assert rows["OTHER"][0] == "0"
    assert json.dumps(told["WEB"]["oldest"]["number"]) == f'"{oldest}"'
