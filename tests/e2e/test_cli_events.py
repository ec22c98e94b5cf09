"""Tests how the command line shows events to operators."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from generic_provider import Client, Distributor, Provider, ResponseStatus, Service, actions
from support.command_line import run
from support.forking import Forked
from support.processes import PATIENCE, Server
from support.pulling import answer

PROVIDER = Provider(
    code="P",
    distributors=[Distributor(code="MAIN")],
    services=[Service(code="SPORT", provider_service_id="1")],
)
BECOME = actions.BecomeSubscriber(type="DTH", provider="P", services=[("MAIN", "SPORT")])
STOP = actions.StopServices(services=[("MAIN", "SPORT")])


@contextmanager
def _tail(server: Server, *options: str) -> Iterator[tuple[Iterator[str], list[str]]]:
    """Yields the lines of `events tail`, and a list that gets its standard error after Ctrl-C."""
    process = Forked("events", "tail", "--server", server.address, *options)
    said: list[str] = []
    try:
        yield (line.rstrip() for line in process.out), said
    finally:
        process.send(signal.SIGINT)
        said += process.err.read().splitlines()
        code = process.wait(PATIENCE)
    assert code == 0, said


def test_a_tail_shows_a_rollback_and_continues_after_it(tmp_path: Path) -> None:
    with Server(tmp_path) as server, Client(server.address, performed_by="mari") as crm:
        crm.create_provider(PROVIDER)
        crm.set_provider_state("P", state="EFFECTIVE")
        number = crm.perform(BECOME).subscription.number
        answer(crm, "P")
        stopped = crm.perform(STOP, subscription=number, reference="order 7").action
        again = crm.perform(
            actions.StartServices(services=[("MAIN", "SPORT")]), subscription=number
        )
        answer(crm, "P", status=ResponseStatus.REJECTED)

        kind = "--kind=subscription-rolled-back"
        with _tail(server, "--from=beginning", kind) as (lines, said):
            first = next(lines)
            assert f"{number}  P  rolled back {stopped.id} STOP_SERVICES  for order 7" in first
            assert "DEACTIVATE_SERVICE MAIN:SPORT E42" in next(lines)
            assert "MAIN:SPORT EFFECTIVE again" in next(lines) + next(lines)
            assert f"{again.action.id} depends on it, and is rejected too" in next(lines)
        assert said[-1].startswith("To go on: --from ")

        with _tail(server, "--from=beginning", "--kind=request-created") as (lines, _):
            assert next(lines).endswith("BECOME_SUBSCRIBER MAIN:SPORT")
            assert next(lines).endswith("DEACTIVATE_SERVICE MAIN:SPORT  for order 7")

        with _tail(server, "--from=beginning", "--json", f"--subscription={number}") as (lines, _):
            told = [json.loads(next(lines)) for _ in range(9)]
        for n, each in enumerate(told[:-1:4]):
            behind = (f"--from={each['cursor']}", "--json", "--provider=P")
            with _tail(server, *behind) as (lines, _):
                assert json.loads(next(lines))["cursor"] == told[4 * n + 1]["cursor"]


def test_a_wrong_cursor_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        refused = run("events", "tail", "--from=yesterday", server=server)
    assert refused.exit_code == 1
    assert "CURSOR_UNKNOWN" in refused.stderr
    assert "Begin with --from beginning." in refused.stderr


def test_an_empty_cursor_is_refused() -> None:
    refused = run("events", "tail", "--from=", "--server=localhost:1")
    assert refused.exit_code == 2
    assert "--from is empty" in refused.stderr


@pytest.mark.parametrize("noun", ["events", "request"])
def test_a_tail_with_wrong_filters_says_so_at_its_start(tmp_path: Path, noun: str) -> None:
    with Server(tmp_path) as server, Client(server.address) as client:
        client.create_provider(PROVIDER)
        wrong = "--provider=PP", "--subscription=C1"
        process = Forked(noun, "tail", "--server", server.address, *wrong)
        said = process.err.readline(), process.err.readline()
        process.send(signal.SIGKILL)  # gRPC may lose a SIGINT at the start
        process.wait(PATIENCE)

    assert "did you mean 'P'? see: generic-provider provider list" in said[0]
    assert said[1].startswith("no subscription has the number C1; if it is a card")
