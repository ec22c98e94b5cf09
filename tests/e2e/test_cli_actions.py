from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from generic_provider import ActionKind, PerformActionRequest
from generic_provider_server.cli.action_options import ACTIONS
from support.command_line import run, told_as_json
from support.processes import Server

PROVIDER = """
code = "ALUXSAT"
distributors = [
    { code = "MAIN", required_goods_types = ["SMARTCARD"] },
    { code = "TWIN1", required_distributor = "MAIN" },
]
services = [
    { code = "SPORT", provider_service_id = "1001" },
    { code = "NEWS", provider_service_id = "1002" },
    { code = "FILM", provider_service_id = "1003", kind = "USAGE", required_service = "SPORT" },
]
goods = [
    { goods_type = "SMARTCARD", provider_goods_type = "CARD" },
    { goods_type = "DECODER", provider_goods_type = "STB" },
]
"""
LATER = "2999-12-31T23:00+02:00"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("actions")
    (folder / "aluxsat.toml").write_text(PROVIDER)
    with Server(folder) as running:
        applied = run(
            "provider", "apply", str(folder / "aluxsat.toml"), "--effective", server=running
        )
        assert applied.exit_code == 0, applied.output
        yield running


def _subscriber(server: Server, *options: str) -> str:
    (done,) = told_as_json(
        "action",
        "become-subscriber",
        "--type=DTH",
        "--provider=ALUXSAT",
        f"--item=MAIN:SMARTCARD:{uuid4()}",
        "--service=MAIN:SPORT",
        *options,
        server=server,
    )
    number: str = done["subscription"]["number"]
    return number


def test_every_action_has_a_command_whose_options_lead_to_its_fields() -> None:
    kinds = {name.lower().replace("_", "-") for name in vars(ActionKind) if name.isupper()}
    assert set(ACTIONS) == kinds

    for name, verb in ACTIONS.items():
        action = PerformActionRequest.DESCRIPTOR.fields_by_name[name.replace("-", "_")]
        for option in verb.options:
            within = action.message_type
            for part in str(option.name).rstrip("_").split("__"):
                assert within, f"{name} {option.name}"
                assert part in within.fields_by_name, f"{name} {option.name}"
                within = within.fields_by_name[part].message_type


def test_a_subscription_lives_through_every_action(server: Server) -> None:
    number = f"LIFE-{uuid4()}"
    card, box, twin = (f"{kind}-{uuid4()}" for kind in ("card", "box", "twin"))
    life = f"""\
        become-subscriber --subscription {number} --type DTH --provider ALUXSAT --draft \
        --item MAIN:SMARTCARD:{card} --service ALUXSAT:MAIN:SPORT --holder-name Jaan \
        --holder-number A17 --holder-parameter room=5 --address-line Street --city Tartu
        short-term-activate {number} --until {LATER}
        end-short-term-activation {number}
        activate {number}
        rest {number} --until {LATER}
        end-resting {number}
        short-term-deactivate {number} --until {LATER}
        end-short-term-deactivation {number}
        add-services {number} --service MAIN:NEWS --term-end {LATER}
        change-terms {number} --service MAIN:NEWS
        stop-services {number} --service MAIN:NEWS
        start-services {number} --service MAIN:NEWS
        add-items {number} --item MAIN:DECODER:{box}
        swap-item {number} --old-serial-number {box} --new-item DECODER:{twin}
        add-usage {number} --usage film-1 --service FILM --start-time 2026-01-01T00:00Z \
        --end-time {LATER} --parameter title=Kevade
        cancel-usage {number} --usage film-1
        change-distribution {number} --service MAIN:NEWS:TWIN1 --item MAIN:{twin}:TWIN1
        swap-service {number} --distributor TWIN1 --old-service NEWS --new-service SPORT
        remove-services {number} --service TWIN1:SPORT
        remove-items {number} --serial-number {twin}
        change-location {number} --address-line Other --postal-code 10111 --country EE
        change-subscriber {number} --holder-name Mari --holder-email mari@example.org
        deactivate {number}
        replace {number} --state in-resting --until {LATER} --type OTHER --service MAIN:NEWS \
        --item MAIN:SMARTCARD:{card}
        terminate {number}
    """.rstrip().splitlines()

    for line in life:
        (done,) = told_as_json("action", *line.split(), server=server)
        assert done["action"]["kind"].endswith(line.split()[0].upper().replace("-", "_"))
    regretted = _subscriber(server)
    told_as_json("action", "regret", regretted, server=server)

    (shown,) = told_as_json("subscription", "show", number, server=server)
    assert (shown["type"], shown["state"]) == ("OTHER", "SUBSCRIPTION_STATE_CANCELLED")
    listed = told_as_json("action", "list", "--subscription", number, server=server)
    performed = [each["performed"] for each in reversed(listed)]
    assert len(performed) == len(life)
    assert performed[0]["become_subscriber"]["holder"]["parameters"] == {"room": "5"}
    assert performed[8]["add_services"]["services"][0]["term_end"] == "2999-12-31T21:00:00Z"
    moved = performed[16]["change_distribution"]["moves"]
    assert [move.get("service") or move["serial_number"] for move in moved] == ["NEWS", twin]


def test_an_action_tells_its_id_its_state_and_its_requests(server: Server) -> None:
    number = _subscriber(server)
    adding = ("action", "add-services", number, "--service=MAIN:NEWS")

    preview = run(*adding, "--validate-only", server=server)
    assert preview.stdout.startswith(f"(preview) EXECUTED, subscription {number}, 1 request\n")
    said = run(*adding, "--request-id", f"id-{number}", "--reference=spring", server=server)
    again = run(*adding, "--request-id", f"id-{number}", "--reference=spring", server=server)
    action, state = said.stdout.split()[:2]
    assert (action[0], state) == ("A", "EXECUTED,")
    assert "ACTIVATE_SERVICE MAIN:NEWS" in said.stdout
    assert again.stdout.startswith(said.stdout)
    assert "performed by an earlier call with the same request id" in again.stdout

    by_id = run("action", "get", action, "--wait=0.1", server=server)
    by_request_id = run("action", "get", f"id-{number}", "--request-id", server=server)
    assert by_id.stdout == by_request_id.stdout
    assert f"ADD_SERVICES of subscription {number}" in by_id.stdout
    listed = run("action", "list", "--reference=spring", "--kind=add-services", server=server)
    assert action in listed.stdout


def test_a_preview_promises_no_number_that_the_server_would_assign(server: Server) -> None:
    become = ("action", "become-subscriber", "--type=DTH", "--validate-only")

    new = run(*become, server=server)
    named = run(*become, "--subscription=preview-1", server=server)

    assert new.stdout.startswith("(preview) EXECUTED, subscription (new), 0 requests\n")
    assert named.stdout.startswith("(preview) EXECUTED, subscription preview-1, 0 requests\n")


def test_an_end_in_the_past_is_refused_with_the_clock_of_the_server(server: Server) -> None:
    refused = run("action", "rest", _subscriber(server), "--until=2020-01-01T00:00Z", server=server)

    why = r"--until: must be in the future; the server's clock shows 20\d\d-\d\d-\d\d \d\d:"
    assert re.search(why, refused.stderr), refused.stderr


def test_an_action_is_scheduled_and_cancelled(server: Server) -> None:
    number = _subscriber(server, f"--term-end={LATER}")
    time, later = "2998-12-31 21:00:00Z", "2999-12-31 21:00:00Z"
    at = f"--at={time}"

    told = run("action", "deactivate", number, at, "--reference=night", server=server)
    address = ("action", "change-location", number, at, "--city=Tartu")
    assert "--at needs --whole" in run(*address, server=server).stderr
    (moved,) = told_as_json(*address, "--whole", "--live", server=server)
    action = told.stdout.split()[0]
    assert told.stdout == f"{action} SCHEDULED, subscription {number}, due {time}\n"
    assert moved["action"]["performed"]["priority"] == "PRIORITY_LIVE"
    explained = run("subscription", "explain", number, server=server).stdout
    _, coming, *_ = explained.partition("coming\n")[2].split("\n\n")[0].splitlines()
    assert f"coming\n  {time} {action} DEACTIVATE by " in explained
    assert coming.startswith(f"  {time} {moved['action']['id']} CHANGE_LOCATION by ")
    assert f"  {later} SPORT on MAIN ends by itself\n" in explained
    assert action not in explained.partition("last actions")[2]
    (known,) = told_as_json("subscription", "explain", number, server=server)
    assert len(known["scheduled"]) == 2
    listed = run("action", "list", "--state=scheduled", "--reference=night", server=server)
    assert f"SCHEDULED {time}" in listed.stdout

    cancelled = run("action", "cancel", action, "--performed-by=Mari", server=server)
    assert cancelled.stdout.startswith(f"{action} CANCELLED, DEACTIVATE of subscription {number}")
    assert f"scheduled for {time}" in cancelled.stdout
    assert "CANCELLED_BY_OPERATOR Mari at " in cancelled.stdout
    (first, *_) = told_as_json("action", "list", "--kind=become-subscriber", server=server)
    refused = run("action", "cancel", first["id"], server=server)
    assert (refused.exit_code, "[ACTION_NOT_SCHEDULED]" in refused.stderr) == (1, True)


def test_what_is_listed_says_when_there_is_more(server: Server) -> None:
    for _ in range(2):
        _subscriber(server)

    short = run("action", "list", "--limit=1", "--json", server=server)
    assert len(short.stdout.splitlines()) == 1
    assert "more results than these 1" in short.stderr
    everything = run("action", "list", "--limit=0", "--json", server=server)
    assert len(everything.stdout.splitlines()) > 1
    assert everything.stderr == ""


def test_a_refused_action_tells_the_reason_and_exits_with_1(server: Server) -> None:
    number = _subscriber(server)

    outdated = run("action", "deactivate", number, "--expected-revision=99", server=server)
    assert (outdated.exit_code, "[REVISION_MISMATCH]" in outdated.stderr) == (1, True)
    items = ("--item=MAIN:SMARTCARD:1", f"--item=MAIN:SMARTCARD:{'1' * 99}")
    long = run("action", "add-items", number, *items, server=server)
    assert (long.exit_code, "  --item (number 2): has 99 characters" in long.stderr) == (1, True)
    pointless = run("action", "end-resting", number, server=server)
    assert (pointless.exit_code, "[ACTION_NOT_ALLOWED]" in pointless.stderr) == (1, True)


def test_a_server_that_is_not_there_is_told_with_exit_code_3() -> None:
    unreached = run("action", "terminate", "S1", "--timeout=0.2")

    assert (unreached.exit_code, "was not reached" in unreached.stderr) == (3, True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rest S1 --until soon", "is not a time like"),
        ("rest S1", "Missing option '--until'"),
        ("add-services S1 --service SPORT", "is not [PROVIDER:]DISTRIBUTOR:SERVICE"),
        ("add-services S1 --service :SPORT", "is not [PROVIDER:]DISTRIBUTOR:SERVICE"),
        ("add-services S1", "Missing option '--service'"),
        ("change-subscriber S1 --holder-parameter room", "is not KEY=VALUE"),
        ("replace S1 --type X --state cancelled", "is not one of"),
        ("list --state unknown", "is not one of"),
        ("list --state NO_STATE", "'NO_STATE' is not one of"),
        ("terminate S1 --at soon", "is not a time like"),
        ("terminate S1 --at 2020-12-31T23:00Z", "--at 2020-12-31 23:00:00Z is in the past"),
        ("terminate S1 --at 2999-12-31T23:00Z --wait", "--wait does not go together with"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(line: str, said: str) -> None:
    refused = run("action", *line.split())

    assert refused.exit_code == 2
    assert said in refused.stderr


def test_a_new_holder_or_address_keeps_what_no_option_names(server: Server) -> None:
    number = _subscriber(server, "--holder-name=Mari", "--holder-phone=555", "--city=Tartu")

    renamed = run("action", "change-subscriber", number, "--holder-name=Liis", server=server).stdout
    assert "holder: Liis 555" in renamed
    moved = run("action", "change-location", number, "--address-line=Pikk 1", server=server)
    assert "address: Pikk 1, Tartu" in moved.stdout
    whole = run(
        "action", "change-location", number, "--city=Narva", "--whole", server=server
    ).stdout
    assert whole.rstrip().endswith("address: Narva")

    for command in ("change-subscriber", "change-location"):
        nothing = run("action", command, number, server=server)
        assert (nothing.exit_code, "at least one option" in nothing.stderr) == (2, True)


@pytest.mark.parametrize(
    ("command", "option", "other"),
    [
        ("change-subscriber", "--holder-name=Liis", "--holder-name=Anu"),
        ("change-location", "--city=Narva", "--postal-code=5"),
    ],
)
def test_a_change_of_some_fields_is_repeated_with_its_request_id(
    command: str, option: str, other: str, server: Server
) -> None:
    number = _subscriber(server, "--holder-name=Mari", "--holder-phone=555", "--city=Tartu")
    change = "action", command, number, f"--request-id={command}-{number}"

    first = run(*change, option, server=server).stdout
    run("action", command, number, other, server=server)  # the fields get other values
    again = run(*change, option, server=server).stdout

    assert again.split()[0] == first.split()[0]
    assert "performed by an earlier call with the same request id" in again
    assert "[REQUEST_ID_REUSED]" in run(*change, other, server=server).stderr


def test_an_action_says_what_is_not_sent(server: Server) -> None:
    number = _subscriber(server)
    (item,) = told_as_json("subscription", "show", number, server=server)[0]["items"]

    serial = item["serial_number"]
    removed = run("action", "remove-items", number, f"--serial-number={serial}", server=server)
    assert "not sent: SPORT on MAIN, because SMARTCARD is missing" in removed.stdout
    explained = run("subscription", "explain", number, server=server).stdout
    assert "not sent    SPORT on MAIN, because SMARTCARD is missing" in explained


def test_an_action_says_which_providers_were_left_out(server: Server) -> None:
    number = _subscriber(server)
    run("provider", "set-state", "ALUXSAT", "not-effective", server=server)
    try:
        done = run("action", "change-location", number, "--city=Narva", server=server)
        assert "ALUXSAT is not effective, so it got no requests" in done.stdout
    finally:
        run("provider", "set-state", "ALUXSAT", "effective", server=server)
