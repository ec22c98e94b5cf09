"""No text of a platform, an adapter or a caller can send control characters to the operator's
terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

import pytest

from generic_provider import (
    Account,
    Client,
    Provider,
    ProvisioningResponse,
    ResponseStatus,
    actions,
)
from generic_provider_server.visible import visible
from support.command_line import run
from support.processes import Server
from support.terminal import on_terminal

TITLE, CLEAR, BACKWARDS = "\x1b]0;owned\x07", "\x9b2J", "\u202e"
SAID = f"{CLEAR}not{TITLE} on\r this card\nR0000000001 COMPLETED{BACKWARDS}"
NAME = f"Mari{BACKWARDS}iraM"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("control")) as running:
        yield running


@pytest.fixture(scope="module")
def keys(server: Server) -> tuple[str, str, str, str]:
    """Returns the keys of a subscription, of an action and its rejected request, and of a reset run
    definition.
    """
    with Client(server.address, performed_by=NAME) as crm:
        provider = Provider(code="P", display_name=NAME)
        provider.distributors.add(code="MAIN", display_name=NAME)
        provider.services.add(code="SPORT", provider_service_id="1", display_name=NAME)
        crm.create_provider(provider)
        crm.set_provider_state("P", state="EFFECTIVE")
        new = actions.BecomeSubscriber(
            type="DTH",
            provider="P",
            services=[("MAIN", "SPORT")],
            holder=Account(number="1", name=NAME, parameters={"chip": CLEAR}),
        )
        done = crm.perform(new, reference=NAME)
        (taken,) = crm.pull("P", adapter="puller").subscriptions
        answer = ProvisioningResponse(
            request=taken.requests[0].number,
            lease_token=taken.lease_token,
            status=ResponseStatus.REJECTED,
            error_code="E1",
            error_description=SAID,
        )
        crm.send_responses("P", responses=[answer])
    defined = run(
        "reset", "run", "define", "--provider", "P", "--name", NAME, "--full", server=server
    )
    assert defined.exit_code == 0, defined.output
    definition = defined.stdout.split()[0]
    return done.subscription.number, done.action.id, taken.requests[0].number, definition


COMMANDS = (
    ("provider", "list"),
    ("provider", "show", "P"),
    ("subscription", "list"),
    ("subscription", "show", "{0}"),
    ("subscription", "explain", "{0}"),
    ("action", "list"),
    ("action", "show", "{1}"),
    ("request", "list"),
    ("request", "show", "{2}"),
    ("reset", "run", "preview", "{3}"),
    ("reset", "run", "preview", "{3}", "--csv"),
    ("reset", "run", "submit", "{3}"),
    ("reset", "run", "list"),
    ("backlog", "P"),
    ("adapters",),
    ("subscription", "show", NAME),
    ("request", "show", NAME),
    ("action", "show", CLEAR),
    ("provider", "show", CLEAR),
    ("provider", "set-state", "P", TITLE),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_control_characters_are_shown_as_text(
    server: Server, keys: tuple[str, ...], command: tuple[str, ...]
) -> None:
    shown = run(*[each.format(*keys) for each in command], server=server)

    assert shown.exit_code in {0, 1, 2}
    assert controls(shown.output) == []


def test_a_terminal_shows_them_as_text_too(server: Server, keys: tuple[str, ...]) -> None:
    _, shown = on_terminal("subscription", "explain", keys[0], server=server)

    assert controls(shown.replace("\x1b[1m", "").replace("\x1b[0m", "")) == []


def test_json_keeps_the_meaning_of_the_texts(server: Server, keys: tuple[str, ...]) -> None:
    shown = run("subscription", "show", keys[0], "--json", server=server)

    assert controls(shown.stdout) == []
    holder = json.loads(shown.stdout)["holder"]
    assert (holder["name"], holder["parameters"]) == (NAME, {"chip": CLEAR})


def test_a_file_with_control_characters_is_refused_without_them(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(f'code = "P"\n"{BACKWARDS}key" = 1\n')

    assert controls(run("provider", "apply", str(file)).output) == []


def test_what_is_made_visible_stays_on_one_line() -> None:
    assert visible(SAID) == (
        "\\u009b2Jnot\\u001b]0;owned\\u0007 on\\r this card\\nR0000000001 COMPLETED\\u202e"
    )


def test_words_of_other_languages_stay_as_they_are() -> None:
    for text in ("Õnne tänav", "北京", "a\u200cb", "👩\u200d💻"):
        assert visible(text) == text


def controls(shown: str) -> list[str]:
    shown = shown.replace("\r\n", "\n")  # lines of CSV end with \r\n
    return [each for each in shown if each != "\n" and category(each) in {"Cc", "Cf", "Zl", "Zp"}]
