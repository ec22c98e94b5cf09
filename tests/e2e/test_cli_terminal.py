"""Tests what a person sees on a terminal of 80 columns, and what a program reads from a pipe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from generic_provider import Client, Provider, ProvisioningResponse, ResponseStatus, actions
from support.command_line import run
from support.processes import Server
from support.terminal import on_terminal

PROVIDER = "ALUXSAT-SATELLITE-NORTH"
CARD = "0012345678901234"
SAID = "not on this card " * 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("terminal")) as running:
        yield running


@pytest.fixture(scope="module")
def keys(server: Server) -> list[str]:
    """Creates a subscription with a rejected request, and returns keys for commands about it."""
    with Client(server.address, performed_by="mari") as crm:
        provider = Provider(code=PROVIDER)
        provider.distributors.add(code="MAIN")
        provider.services.add(code="SPORT", provider_service_id="1")
        provider.services.add(code="FILM", provider_service_id="2")
        provider.goods.add(goods_type="SMARTCARD", provider_goods_type="CARD")
        crm.create_provider(provider)
        crm.set_provider_state(PROVIDER, state="EFFECTIVE")
        new = actions.BecomeSubscriber(
            type="DTH",
            provider=PROVIDER,
            items=[("MAIN", "SMARTCARD", CARD)],
            services=[("MAIN", "SPORT")],
        )
        done = crm.perform(new, subscription="ORDER-2026-000000000309")
        adding = actions.AddServices(services=[("MAIN", "FILM")])
        added = crm.perform(adding, subscription=done.subscription.number, reference="T-1")
        for status in ResponseStatus.ACCEPTED, ResponseStatus.REJECTED:
            (taken,) = crm.pull(PROVIDER, adapter="puller").subscriptions
            answer = ProvisioningResponse(
                request=taken.requests[0].number,
                lease_token=taken.lease_token,
                status=status,
                account_number="CAS-1",
                error_description=SAID,
            )
            crm.send_responses(PROVIDER, responses=[answer])
    return [PROVIDER, done.subscription.number, done.action.id, added.requests[0].number]


@pytest.mark.parametrize("columns", [40, 80, 100])
@pytest.mark.parametrize("noun", ["request", "action", "subscription", "audit"])
def test_no_key_is_cut_however_narrow_the_terminal_is(
    server: Server, keys: list[str], noun: str, columns: int
) -> None:
    code, shown = on_terminal(noun, "list", server=server, columns=columns)

    assert code == 0, shown
    provider, number, action, request = keys
    wanted = {
        "request": [provider, number, request],
        "action": [number, action],
        "audit": [provider, number, action],
    }
    assert [key for key in wanted.get(noun, [provider, number]) if key not in shown] == []
    assert "…" not in shown


def _too_long(shown: str) -> list[str]:
    """Returns the lines that are wider than the terminal, except command lines."""
    lines = click.unstyle(shown).splitlines()
    return [each for each in lines if len(each) > 80 and "  generic-provider " not in each]


def test_an_explanation_fits_a_terminal_whole(server: Server, keys: list[str]) -> None:
    code, shown = on_terminal("subscription", "explain", keys[1], server=server)

    assert (code, _too_long(shown)) == (0, [])
    assert shown.partition("last actions")[0].count(CARD) == 2
    assert PROVIDER in shown
    assert f"\n{' ' * 14}generic-provider action add-services {keys[1]} " in shown


@pytest.mark.parametrize(
    ("typed", "exit_code"),
    [
        (("provider", "set-state", PROVIDER, "effective"), 0),
        (("archive", "create", "--older-than=9d"), 0),
        (("action", "activate", "S1", "--at=2020-01-01T00:00Z"), 2),
    ],
)
def test_a_long_text_is_folded_on_a_terminal(
    server: Server, keys: list[str], typed: tuple[str, ...], exit_code: int
) -> None:
    code, shown = on_terminal(*typed, server=server)
    assert (code, _too_long(shown)) == (exit_code, []), keys
    assert shown.count("\n") > 1


def test_a_pipe_gets_each_row_whole_on_one_line(server: Server, keys: list[str]) -> None:
    listed = run("request", "list", server=server).stdout.splitlines()

    (rejected,) = [line for line in listed if keys[3] in line]
    assert SAID.strip() in rejected


def test_a_refused_line_does_not_follow_the_progress_bar_on_the_same_line(
    server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.ndjson"
    file.write_text('{"subscription": "S1", "terminat": {}}\n' * 2)

    _, shown = on_terminal("action", "batch", str(file), server=server, TERM="xterm")

    erased_or_new = re.findall(r"(?:\r\x1b\[2K|^)line (\d):", shown, re.MULTILINE)
    assert (erased_or_new, shown.count("there is no field")) == (["1", "2"], 2)


def test_the_remark_of_a_dry_run_fits_the_terminal(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    file.write_text('code = "NEW"\n')

    _, shown = on_terminal("provider", "apply", str(file), "--dry-run", server=server)

    remark = shown[shown.index("The server has not checked") :].splitlines()
    assert len(remark) > 1
    assert max(map(len, remark)) <= 80
