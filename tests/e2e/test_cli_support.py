"""Tests what the command line shows to the support desk and to operators."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from generic_provider import ActionState, Client, ResponseStatus, SubscriptionAction, actions
from generic_provider_server.cli import waiting
from support.command_line import run, told_as_json
from support.forking import PROGRAM, Forked
from support.processes import PATIENCE, Server, simulated_adapter, wait_until
from support.pulling import answer, take

PROVIDER = """
code = "{code}"
distributors = [{{ code = "MAIN" }}, {{ code = "TWIN1", required_distributor = "MAIN" }}]
services = [
    {{ code = "SPORT", provider_service_id = "1001" }},
    {{ code = "FILM", provider_service_id = "1003" }},
]
goods = [
    {{ goods_type = "SMARTCARD", provider_goods_type = "CARD" }},
    {{ goods_type = "DECODER", provider_goods_type = "STB" }},
]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("support")) as running:
        yield running


@pytest.fixture(scope="module")
def crm(server: Server) -> Iterator[Client]:
    with Client(server.address, performed_by="mari") as client:
        yield client


@pytest.fixture
def provider(server: Server, tmp_path: Path) -> str:
    """Creates an effective provider that no other test uses."""
    code = f"P{uuid4()}"
    file = tmp_path / "provider.toml"
    file.write_text(PROVIDER.format(code=code))
    applied = run("provider", "apply", str(file), "--effective", server=server)
    assert applied.exit_code == 0, applied.output
    return code


def _subscriber(crm: Client, provider: str, *, serial: str = "", goods: str = "SMARTCARD") -> str:
    become = actions.BecomeSubscriber(
        type="DTH",
        provider=provider,
        items=[("MAIN", goods, serial or f"{uuid4()}")],
        services=[("MAIN", "SPORT")],
    )
    return crm.perform(become).subscription.number


def _add_film(crm: Client, number: str) -> str:
    done = crm.perform(actions.AddServices(services=[("MAIN", "FILM")]), subscription=number)
    return done.requests[0].number


def _said(server: Server, *arguments: str) -> str:
    result = run(*arguments, server=server)
    assert result.exit_code == 0, result.output
    return result.stdout


def _next(server: Server, key: str) -> str:
    lines = _said(server, "subscription", "explain", key).splitlines()
    (line,) = [line for line in lines if line.startswith("  next")]
    return line.removeprefix("  next").strip()


def _without_ages(text: str) -> str:
    return re.sub(r"created .+? ago", "created ago", text)


def _connected(crm: Client, provider: str) -> bool:
    return bool(list(crm.list_adapters(provider=provider)))


def test_what_the_crm_wants_and_the_platform_confirmed_is_explained(
    server: Server, crm: Client, provider: str
) -> None:
    serial = f"{uuid4()}"
    number = _subscriber(crm, provider, serial=serial)
    answer(crm, provider, account_number=f"CAS-{number}")
    _add_film(crm, number)
    answer(crm, provider, status=ResponseStatus.REJECTED)
    twin = actions.AddServices(services=[("TWIN1", "FILM")])
    pending = crm.perform(twin, subscription=number).requests[0].number

    text = _said(server, "subscription", "explain", number)

    point = next(line for line in text.splitlines() if f"{provider}  MAIN" in line)
    card = f"SMARTCARD {serial}"
    assert re.split(" {2,}", point.strip())[1:] == ["MAIN", card, "SPORT EFFECTIVE", card, "SPORT"]
    assert f"{provider} (EFFECTIVE)  account CAS-{number}  PENDING" in text
    assert "BECOME_SUBSCRIBER MAIN:SPORT" in text
    assert f"pending     {pending} ACTIVATE_SERVICE TWIN1:FILM, waits for ADAPTER" in text
    assert "E42 not on this card" in text
    assert "adapter     none is connected" in text
    for key in serial, f"CAS-{number}":
        assert _without_ages(_said(server, "subscription", "explain", key)) == _without_ages(text)
    (told,) = told_as_json("subscription", "explain", number, server=server)
    (platform,) = told["platforms"]
    assert platform["pending"][0]["number"] == pending
    assert platform["next_step"] == _next(server, number)


def test_the_next_step_follows_from_the_facts(server: Server, crm: Client, provider: str) -> None:
    number = _subscriber(crm, provider)
    assert _next(server, number).startswith(f"no adapter of {provider} is connected: start")
    _said(server, "provider", "set-state", provider, "not-effective")
    advice = _next(server, number)
    assert advice.startswith(f"{provider} is not effective since 20")
    assert "; pending requests wait, changes are kept and are sent by a reset once" in advice
    _said(server, "provider", "set-state", provider, "effective")
    taken = take(crm, provider)
    assert _next(server, number).startswith(f"wait: puller has had {taken.request} since")
    answer(crm, provider, taken=taken)
    assert _next(server, number).startswith("nothing: the platform holds")

    request = _add_film(crm, number)
    answer(crm, provider, status=ResponseStatus.RETRY_LATER, delay=timedelta(hours=1))
    with simulated_adapter(f"of-{provider}", server=server, provider=provider):
        wait_until(lambda: _connected(crm, provider), what="the adapter is connected")
        advice = _next(server, number)
    assert advice.startswith("wait for the next attempt at")
    assert "(E42 not on this card)" in advice
    assert f"request cancel {request}" in advice


def test_what_was_missed_while_a_provider_was_off_needs_a_reset(
    server: Server, crm: Client, provider: str
) -> None:
    number = _subscriber(crm, provider)
    answer(crm, provider)
    off = crm.set_provider_state(provider, state="NOT_EFFECTIVE").update_time.ToDatetime()
    crm.set_provider_state(provider, state="NOT_EFFECTIVE")
    crm.perform(actions.AddServices(services=[("MAIN", "FILM")]), subscription=number)

    reset = f"generic-provider reset subscription {number} --provider {provider}"
    since = f"{provider} is not effective since {off:%Y-%m-%d %H:%M:%SZ} (by mari); "
    kept = "changes are kept and are sent by a reset once it is effective again; "
    kept += "to make it effective [role operator]: "
    set_state = f"generic-provider provider set-state {provider} effective"
    assert _next(server, number) == since + kept + set_state
    crm.set_provider_state(provider, state="EFFECTIVE")
    assert _next(server, number).endswith(reset)
    assert "  difference  " in _said(server, "subscription", "explain", number)
    listed = _said(
        server, "subscription", "list", f"--provider={provider}", "--sync-state=out-of-sync"
    )
    assert number in listed

    crm.perform(actions.StopServices(services=[("MAIN", "SPORT")]), subscription=number)
    crm.set_provider_state(provider, state="NOT_EFFECTIVE")
    crm.perform(actions.RemoveServices(services=[("MAIN", "FILM")]), subscription=number)
    expected = _said(server, "subscription", "explain", number)
    assert "  difference  FILM (1003) on MAIN" in expected
    assert ": will be on the platform after the pending requests, and the CRM" in expected


def test_busy_adapters_are_told(server: Server, crm: Client, provider: str) -> None:
    _subscriber(crm, provider)
    options = ("--max-in-flight=1", "--delay=3600")
    with simulated_adapter("busy", *options, server=server, provider=provider):
        wait_until(
            lambda: any(each.in_flight for each in crm.list_adapters(provider=provider)),
            what="the adapter is at work",
        )
        second = _subscriber(crm, provider)
        advice = _next(server, second)
        listed = _said(server, "adapters", "--provider", provider)
        backlog = _said(server, "backlog", provider)

    listing = f"generic-provider adapters --provider {provider}"
    assert advice == f"wait: all adapters of {provider} are busy: {listing}"
    assert "1 of 1" in listed
    figures = {line[:27].strip(): line[27:] for line in backlog.splitlines()}
    assert figures["pending"] == "2"
    assert figures["on live leases"] == "1"
    assert figures["BECOME_SUBSCRIBER"] == "2"
    assert figures["up to 1 min old"] == "2"
    assert figures["adapters connected"] == "1"


def test_several_subscriptions_with_one_serial_number_are_listed(
    server: Server, crm: Client, provider: str
) -> None:
    serial = f"{uuid4()}"
    numbers = {_subscriber(crm, provider, serial=serial, goods=g) for g in ("SMARTCARD", "DECODER")}

    found = run("subscription", "show", serial, "--json", server=server)

    assert found.exit_code == 1
    assert "name one by its number" in found.stderr
    assert {json.loads(line)["number"] for line in found.stdout.splitlines()} == numbers
    said = "Error: there is no subscription, card or account C9, now or before"
    for command in "explain", "show":
        unknown = run("subscription", command, "C9", server=server)
        assert (unknown.exit_code, unknown.stderr) == (1, f"{said} [SUBSCRIPTION_NOT_FOUND]\n")


def test_an_action_that_waits_says_that_no_adapter_is_connected(
    server: Server, crm: Client, provider: str
) -> None:
    number = _subscriber(crm, provider)
    answer(crm, provider)
    film = ("action", "add-services", number, "--service=MAIN:FILM", "--wait")

    def cancel() -> None:
        wait_until(lambda: crm.get_backlog(provider).pending > 0, what="the action is performed")
        crm.cancel_request(crm.get_backlog(provider).oldest.number, reason="no adapter")

    with ThreadPoolExecutor() as aside:
        cancelled = aside.submit(cancel)
        waited = run(*film, server=server)
        cancelled.result()
    assert waited.exit_code == 1
    assert waited.stderr.startswith(f"no adapter of {provider} is connected; Ctrl-C ends only")


def test_ctrl_c_ends_only_the_waiting_for_an_action(
    server: Server, crm: Client, provider: str
) -> None:
    number = _subscriber(crm, provider)
    film = ("action", "add-services", number, "--service=MAIN:FILM", "--wait")
    process = Forked(*film, f"--server={server.address}")
    assert "no adapter of" in process.err.readline()  # the command waits now
    process.send(signal.SIGINT)
    said = process.err.read()
    assert process.wait(PATIENCE) == 1

    (done, _) = crm.list_actions(subscription=number)
    get = f"generic-provider action get {done.id} --server {server.address}"
    assert said == f"the action continues; to see its result later: {get}\n"
    assert done.state == ActionState.EXECUTED


@pytest.mark.parametrize("arguments", [("A5",), ("R-1", "--request-id")])
def test_ctrl_c_in_action_get_says_how_to_look_later(
    server: Server, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "get_action", interrupted)
    told = run("action", "get", *arguments, "--wait=30", server=server)

    get = f"generic-provider action get {' '.join(arguments)}"
    said = f"the action continues; to see its result later: {get}\n"
    assert (told.exit_code, told.output) == (1, said)


def test_a_long_wait_says_what_it_waits_for(
    server: Server, crm: Client, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = _subscriber(crm, provider)
    waits, get_action = list[timedelta](), Client.get_action

    def get(client: Client, action: str, *, wait: timedelta) -> SubscriptionAction:
        waits.append(wait)
        if wait:
            answer(crm, provider)
            answer(crm, provider)
        return get_action(client, action, wait=wait)

    monkeypatch.setattr(waiting, "FIRST_WAIT", timedelta())
    monkeypatch.setattr(Client, "get_action", get)
    film = ("action", "add-services", number, "--service=MAIN:FILM", "--wait")
    told = run(*film, server=server)

    assert told.exit_code == 0, told.output
    (done, _) = crm.list_actions(subscription=number)
    awaited = f"{done.id} waits for the final states of its requests {done.requests[0]}"
    assert told.stderr.splitlines()[1:] == [f"{awaited}; Ctrl-C ends only the waiting"]
    assert waits == [timedelta(), timedelta(seconds=30)]


def test_a_service_that_is_added_to_a_subscription_that_is_off_says_so(
    server: Server, crm: Client, provider: str
) -> None:
    number = _subscriber(crm, provider)
    answer(crm, provider)
    crm.perform(actions.StopServices(services=[("MAIN", "SPORT")]), subscription=number)

    def accept() -> None:
        wait_until(
            lambda: len(crm.get_subscription(number).services) == 2, what="the service is added"
        )
        answer(crm, provider)

    with ThreadPoolExecutor() as aside:
        accepted = aside.submit(accept)
        film = "action", "add-services", number, "--service=MAIN:FILM", "--wait"
        waited = run(*film, server=server)
        accepted.result()
    on = f"switch it on [role crm or operator]: generic-provider action activate {number}"
    off = "FILM on MAIN, because the subscription is NOT_EFFECTIVE"
    assert f"  not sent: {off}; if the subscription should be on now, {on}\n" in waited.stdout
    assert waited.stderr.startswith("the action made no requests; it is settled when the earlier")
    assert f"; if the subscription should be on now, {on}; if the custom" in _next(server, number)
    explained = _said(server, "subscription", "explain", number)
    assert f"  not sent    SPORT on MAIN, {off}\n" in explained


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("MAIN:SPROT", "did you mean 'SPORT'? see"),
        ("mian:SPORT", "did you mean 'MAIN'? see"),
        ("MAIN:X", "has no service 'X'; see"),
    ],
)
def test_an_unknown_name_gets_a_similar_one_and_the_command_that_lists_all(
    server: Server, crm: Client, provider: str, typed: str, meant: str
) -> None:
    number = _subscriber(crm, provider)
    refused = run("action", "add-services", number, f"--service={typed}", server=server)
    assert f"{meant}: generic-provider provider show {provider} [" in refused.stderr
    unknown = run("provider", "show", "NONE", server=server)
    assert "generic-provider provider list [PROVIDER_NOT_FOUND]" in unknown.stderr


def test_requests_are_listed_shown_resolved_and_cancelled(
    server: Server, crm: Client, provider: str
) -> None:
    number = _subscriber(crm, provider)
    film = _add_film(crm, number)
    only = f"--provider={provider}"
    (become,) = [
        each["number"]
        for each in told_as_json("request", "list", only, "--type=become-subscriber", server=server)
    ]
    listed = _said(server, "request", "list", only, "--state=pending", "--oldest-first")
    assert listed.index(become) < listed.index(film)
    assert "EARLIER_REQUEST" in listed

    early = run("request", "resolve", film, "accepted", "--reason=seen", server=server)
    assert (early.exit_code, "[REQUEST_NOT_FIRST]" in early.stderr) == (1, True)
    resolve = ("request", "resolve", become, "accepted", "--account-number=X1", "--reason=seen it")
    assert _said(server, *resolve).startswith(f"{become} COMPLETED")
    cancelled = _said(server, "request", "cancel", film, "--reason=wrong", "--performed-by=jaan")
    assert cancelled.startswith(f"{film} REJECTED CANCELLED_BY_OPERATOR jaan")
    shown = _said(server, "request", "show", film)
    assert "ACTIVATE_SERVICE MAIN:FILM" in shown
    assert re.search(r"platform id +1003\n", shown), shown
    assert "wrong" in shown
    assert "account X1" in _said(server, "subscription", "show", number)


def test_a_request_in_work_is_cancelled_only_by_ending_its_lease(
    server: Server, crm: Client, provider: str
) -> None:
    _subscriber(crm, provider)
    request = take(crm, provider).request
    cancel = ("request", "cancel", request, "--reason=stuck")

    said = "adapter puller; set --end-lease to end the lease [REQUEST_LEASED]"
    assert said in run(*cancel, server=server).stderr
    assert "REJECTED" in _said(server, *cancel, "--end-lease")


@contextmanager
def _tail(server: Server, *options: str) -> Iterator[Iterator[str]]:
    """Yields the lines of `request tail`, and checks that it ends without an error at Ctrl-C."""
    tail = "request", "tail", "--server", server.address, "--interval=0.1", *options
    process = Forked(*tail, err=2)
    try:
        yield (line.strip() for line in process.out)
    finally:
        process.send(signal.SIGINT)
        code = process.wait(PATIENCE)
    assert code == 0


def test_a_tail_shows_what_is_new_and_what_changes(
    server: Server, crm: Client, provider: str
) -> None:
    number = _subscriber(crm, provider)

    with _tail(server, f"--provider={provider}") as lines:
        assert next(lines).endswith("BECOME_SUBSCRIBER  MAIN:SPORT  PENDING  ADAPTER")
        taken = take(crm, provider)
        assert next(lines).endswith("PENDING  ANSWER of puller")
        answer(crm, provider, taken=taken)
        assert next(lines).endswith("COMPLETED")
        film = _add_film(crm, number)
        assert film in next(lines)


def test_a_tail_that_finds_nothing_at_first_waits_for_it(
    server: Server, crm: Client, provider: str
) -> None:
    with _tail(server, f"--provider={provider}", "--state=rejected") as lines:
        number = _subscriber(crm, provider)
        answer(crm, provider)
        _add_film(crm, number)
        answer(crm, provider, status=ResponseStatus.REJECTED)
        assert next(lines).endswith("MAIN:FILM  REJECTED  E42 not on this card")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(shell: str) -> None:
    script = run("completion", shell)

    assert script.exit_code == 0
    assert f"_GENERIC_PROVIDER_COMPLETE={shell}_complete" in script.stdout


def test_names_are_completed() -> None:
    words = "generic-provider request list --state pe"
    asked = {"COMP_WORDS": words, "COMP_CWORD": "4", "_GENERIC_PROVIDER_COMPLETE": "bash_complete"}
    completed = subprocess.run(
        PROGRAM, env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )

    assert completed.stdout == "plain,pending\n"


def test_a_subscription_is_reset_after_a_preview(
    server: Server, crm: Client, provider: str
) -> None:
    serial = f"{uuid4()}"
    number = _subscriber(crm, provider, serial=serial)
    answer(crm, provider)
    crm.set_provider_state(provider, state="NOT_EFFECTIVE")
    crm.perform(actions.AddServices(services=[("MAIN", "FILM")]), subscription=number)
    left_out = run("reset", "subscription", number, server=server).stderr
    assert left_out == f"{provider} is left out: it is not effective\n"
    crm.set_provider_state(provider, state="EFFECTIVE")

    preview = _said(server, "reset", "subscription", serial, "--preview")
    assert "is off on the platform" in preview
    assert "1 request would be sent" in preview
    assert "ACTIVATE_SERVICE" in preview
    (sent,) = told_as_json("reset", "subscription", serial, server=server)
    assert (sent["type"], sent["origin"]) == (
        "REQUEST_TYPE_ACTIVATE_SERVICE",
        "REQUEST_ORIGIN_RESET",
    )
    assert "no requests sent" in _said(server, "reset", "subscription", number)
    answer(crm, provider)
    assert "--full" in _next(server, number)
    full = ("reset", "subscription", number, "--full")
    assert f"  {provider} IN_SYNC\n" in _said(server, *full, "--preview")
    assert f"  {provider} was IN_SYNC\n" in _said(server, *full)
    crm.perform(actions.StopServices(services=[("MAIN", "FILM")]), subscription=number)
    take(crm, provider)
    busy = run("reset", "subscription", number, "--recreate", server=server).stderr
    assert busy == f"{provider} is left out: an adapter works on requests for it: try again later\n"


def test_a_reset_of_a_platform_that_does_not_serve_the_subscription_is_refused(
    server: Server, crm: Client, provider: str
) -> None:
    number = _subscriber(crm, provider)
    result = run("reset", "subscription", number, "--provider=NONE", server=server)
    assert result.exit_code == 1
    assert "PROVIDER_NOT_FOUND" in result.stderr
