from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from generic_provider import Client, actions
from generic_provider_server.cli import waiting
from support.command_line import run, told_as_json
from support.processes import Server

PROVIDER = """
code = "WEB"
distributors = [{ code = "APP" }]
services = [
    { code = "STREAM", provider_service_id = "1" },
    { code = "EXTRA", provider_service_id = "2" },
]
"""
MANY = 1200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("batch")
    (folder / "web.toml").write_text(PROVIDER)
    with Server(folder) as running:
        applied = run("provider", "apply", str(folder / "web.toml"), "--effective", server=running)
        assert applied.exit_code == 0, applied.output
        yield running


@pytest.fixture
def campaign() -> str:
    """Returns the name of a campaign that no other test uses."""
    return f"C{uuid4()}"


def _subscriber(number: str, campaign: str) -> dict[str, Any]:
    services = [{"distributor": "APP", "service": "STREAM"}]
    return {
        "subscription": number,
        "reference": campaign,
        "priority": "BULK",
        "becomeSubscriber": {"type": "OTT", "provider": "WEB", "services": services},
    }


def _write(file: Path, lines: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _performed(campaign: str, server: Server) -> list[Any]:
    return told_as_json("action", "list", "--limit=0", f"--reference={campaign}", server=server)


def test_a_line_with_a_time_schedules_its_action(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    _write(tmp_path / "new.ndjson", [_subscriber(campaign, campaign)])
    assert run("action", "batch", str(tmp_path / "new.ndjson"), server=server).exit_code == 0
    file = tmp_path / f"{campaign}.csv"
    heading = "subscription,reference,action,schedule_time\n"
    late, now = f"{campaign},{campaign},activate,2999-12-31T23:00Z", f"{campaign},,deactivate,"
    now += "2020-12-31T23:00Z"
    file.write_text(f"{heading}{now}\n{late}\n")

    told = run("action", "batch", str(file), server=server)
    assert (told.exit_code, told.stdout) == (0, "2 done (1 scheduled), 0 refused\n")
    past = (
        "line 2: the schedule_time is in the past, so the action is performed now, not scheduled\n"
    )
    assert told.stderr == past
    again = run("action", "batch", str(file), server=server)
    assert again.output == "0 new, 2 done before (1 EXECUTED, 1 SCHEDULED), 0 refused\n"
    (scheduled, _) = _performed(campaign, server)
    assert scheduled["performed"]["schedule_time"] == "2999-12-31T23:00:00Z"


def test_a_file_is_performed_once_however_often_it_is_given(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    file = tmp_path / f"{campaign}.ndjson"
    _write(file, [_subscriber(f"{n}-{campaign}", campaign) for n in range(MANY)])

    said = f"{MANY} done, 0 refused\n", f"0 new, {MANY} done before (EXECUTED), 0 refused\n"
    for size, summary in zip(("1000", "100"), said, strict=True):
        told = run("action", "batch", str(file), "--batch-size", size, server=server)
        assert (told.exit_code, told.output) == (0, summary)

    performed = _performed(campaign, server)
    assert len(performed) == MANY
    assert {each["performed"]["priority"] for each in performed} == {"PRIORITY_BULK"}
    assert not file.with_name(f"{file.name}.refused").exists()


def test_what_an_interrupted_run_left_is_done_by_the_next(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    file = tmp_path / f"{campaign}.ndjson"
    lines = [_subscriber(f"{n}-{campaign}", campaign) for n in range(20)]
    _write(file, lines[:7])
    run("action", "batch", str(file), server=server)
    before = _performed(campaign, server)

    _write(file, [*lines[15:], *lines[:15]])
    told = run("action", "batch", str(file), server=server)

    assert told.stdout == "13 new, 7 done before (EXECUTED), 0 refused\n"
    after = _performed(campaign, server)
    assert len(after) == 20
    assert {each["id"] for each in before} < {each["id"] for each in after}


def test_equal_lines_are_as_many_actions(server: Server, campaign: str, tmp_path: Path) -> None:
    file = tmp_path / f"{campaign}.ndjson"
    line = {key: value for key, value in _subscriber("", campaign).items() if value}
    _write(file, [line, line, {**line, "requestId": campaign}, {**line, "requestId": campaign}])

    for _ in range(2):
        assert run("action", "batch", str(file), server=server).exit_code == 0

    assert len(_performed(campaign, server)) == 3


def test_refused_lines_go_to_a_file_and_their_reasons_are_told(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    file = tmp_path / f"{campaign}.ndjson"
    good, wrong = _subscriber(f"1-{campaign}", campaign), _subscriber(f"2-{campaign}", campaign)
    wrong["becomeSubscriber"]["services"][0]["service"] = "NONE"
    refused = [
        json.dumps(wrong).encode(),
        b'{"nothing": 1}',
        b'{"subscription": 5}',
        b"[]",
        b"{",
        b'{"a":' * 100_000,
        b'{"subscription": "' + b"x" * 5_000_000 + b'"}',
        b'{"subscription": "\xff"}',
    ]
    file.write_bytes(b"\n".join([json.dumps(good).encode(), b"", *refused]) + b"\n")

    told = run("action", "batch", str(file), server=server)

    rejects = tmp_path / f"{campaign}.ndjson.refused"
    assert told.exit_code == 1
    assert told.stdout == f"1 done, 8 refused, see {rejects}\n"
    assert rejects.read_bytes() == b"\n".join(refused) + b"\n"
    reasons = told.stderr.splitlines()
    assert [reason.split(":")[0] for reason in reasons] == [f"line {n}" for n in range(3, 11)]
    assert "[SERVICE_NOT_FOUND]" in reasons[0]
    assert "nothing" in reasons[1]

    wrong["becomeSubscriber"]["services"][0]["service"] = "STREAM"
    _write(rejects, [wrong])
    assert run("action", "batch", str(rejects), server=server).stdout == "1 done, 0 refused\n"
    assert len(_performed(campaign, server)) == 2


def test_wrong_values_are_named_with_what_would_be_right(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    file = tmp_path / f"{campaign}.ndjson"
    wrong: list[dict[str, Any]] = [
        {"subscription": "1", "priority": "high", "activate": {}},
        {"subscription": "1", "schedule_time": "soon", "activate": {}},
        {"subscripton": "1", "activate": {}},
        {"subscription": "1", "add_services": {"services": [{}, {"servise": "EXTRA"}]}},
        {"subscription": "1", "addServices": {"services": [{"term_end": "later"}]}},
        {"": "1", "activate": {}},
        {"subscription": "1", "priority": "\ud800", "activate": {}},
    ]
    fine = _subscriber(f"1-{campaign}", campaign)
    fine["becomeSubscriber"]["holder"] = {"parameters": {"room": "5"}}
    _write(file, [*wrong, {**fine, "priority": "PRIORITY_BULK"}])

    told = run("action", "batch", str(file), server=server)

    assert told.stderr.splitlines() == [
        "line 1: priority: 'high' is not one of LIVE, BULK",
        "line 2: schedule_time: 'soon' is not a time like 2030-01-31T02:00Z",
        "line 3: there is no field 'subscripton'; did you mean 'subscription'?",
        "line 4: add_services.services[1]: there is no field 'servise'; did you mean 'service'?",
        "line 5: addServices.services[0].term_end: 'later' is not a time like 2030-01-31T02:00Z",
        "line 6: there is no field ''",
        "line 7: priority: '\\ud800' is not one of LIVE, BULK",
    ]
    assert told.stdout.startswith("1 done, 7 refused")


def test_the_batch_files_of_the_manual_are_performed(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs/operations.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"^```(csv|json)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    with Server(tmp_path) as server, Client(server.address) as crm:
        run("provider", "apply", str(root / "docs/aluxsat.toml"), "--effective", server=server)
        for n in range(1, 5):
            items = [("MAIN", "SMARTCARD", f"001234568{n}"), ("MAIN", "DECODER", f"B-{n}")]
            family = actions.BecomeSubscriber(type="DTH", provider="ALUXSAT", items=items)
            crm.perform(family)
        for kind, done in ("csv", "7 done"), ("json", "2 done (1 scheduled)"):
            file = tmp_path / f"changes.{kind}"
            file.write_text(files[kind], encoding="utf-8")
            told = run("action", "batch", str(file), server=server)
            assert told.output == f"{done}, 0 refused\n"


@pytest.mark.parametrize("content", ["", "subscription,action\n", "\n\n"])
def test_a_file_without_lines_is_pointed_out(server: Server, content: str, tmp_path: Path) -> None:
    file = tmp_path / "empty.csv"
    file.write_text(content)

    told = run("action", "batch", str(file), server=server)

    assert (told.exit_code, told.stdout) == (0, "0 done, 0 refused\n")
    assert "empty.csv contains no lines with an action" in told.stderr


def test_rows_of_a_csv_file_are_actions(server: Server, campaign: str, tmp_path: Path) -> None:
    file = tmp_path / f"{campaign}.csv"
    new, added = "become_subscriber", "add_services.services"
    columns = [
        *("subscription", "reference", "action", f"{new}.type", f"{new}.provider", f"{new}.draft"),
        *(f"{new}.holder.name", f"{new}.holder.parameters.room", f"{new}.address.lines[0]"),
        *(f"{added}[0].service", f"{added}[1].service", f"{added}[1].term_end"),
        *(f"{added}[1].provider", f"{added}[1].distributor"),
    ]
    rows = [
        f'1-{campaign},{campaign},,OTT,WEB,true,"Tamm, Jaan",5,Street 1,,,,,',
        f"1-{campaign},{campaign},,,,,,,,,EXTRA,2999-01-01T00:00:00Z,WEB,APP",
        f"1-{campaign},{campaign},activate,,,,,,,,,,,",
        f"1-{campaign},{campaign},explode,,,,,,,,,,,",
        f"1-{campaign},short",
    ]
    file.write_text("\n".join([",".join(columns), *rows]) + "\n", encoding="utf-8-sig")

    told = run("action", "batch", str(file), server=server)

    assert told.stdout.startswith("3 done, 2 refused"), told.output
    assert "line 6: has 2 cells, and the heading has 14" in told.stderr
    refused = (tmp_path / f"{campaign}.csv.refused").read_text(encoding="utf-8-sig").splitlines()
    assert refused == [",".join(columns), *rows[3:]]
    became, adding, activated = (
        each["performed"] for each in reversed(_performed(campaign, server))
    )
    assert became["become_subscriber"]["draft"] is True
    assert became["become_subscriber"]["holder"]["name"] == "Tamm, Jaan"
    assert became["become_subscriber"]["holder"]["parameters"] == {"room": "5"}
    assert became["become_subscriber"]["address"]["lines"] == ["Street 1"]
    assert adding["add_services"]["services"][0]["term_end"] == "2999-01-01T00:00:00Z"
    assert activated["activate"] == {}


def test_a_preview_of_a_file_changes_nothing_and_hinders_nothing(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    file = tmp_path / f"{campaign}.ndjson"
    _write(file, [_subscriber(f"1-{campaign}", campaign)])

    preview = run("action", "batch", str(file), "--validate-only", server=server)
    assert preview.stdout == "1 would be done, 0 would be refused\n"
    assert _performed(campaign, server) == []
    told = run("action", "batch", str(file), "--json", "--performed-by=mari", server=server)
    assert json.loads(told.stdout)["subscription"] == f"1-{campaign}"
    assert told.stderr == "1 done, 0 refused\n"
    assert [each["performed"]["performed_by"] for each in _performed(campaign, server)] == ["mari"]

    again = run("action", "batch", str(file), "--validate-only", server=server)
    assert again.stdout == "0 new, 1 done before (EXECUTED), 0 would be refused\n", again.output
    (tmp_path / f"{file.name}.refused").write_text("kept")
    _write(file, [_subscriber(f"1-{campaign}", "new")])
    refused = run("action", "batch", str(file), "--validate-only", server=server)
    assert refused.stdout == "0 would be done, 1 would be refused\n"
    assert (tmp_path / f"{file.name}.refused").read_text() == "kept"


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("subscripton", "there is no field 'subscripton'; did you mean 'subscription'?"),
        ("Action", "there is no field 'Action'; did you mean 'action'?"),
        ("activate", "activate needs a field: activate.FIELD"),
        ("subscription.x", "subscription has no fields"),
        ("subscription[0]", "subscription is no list"),
        ("add_items.items.serial_number", "items needs a position: items[0]"),
        ("add_usage.parameters", "parameters needs a key: parameters.KEY"),
        ("request_id,request_id", "a column is named twice"),
        ("\udcff", "there is no field '\\udcff'"),
    ],
)
def test_an_unknown_column_is_wrong_usage(column: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text(f"{column}\n", errors="surrogateescape")

    refused = run("action", "batch", str(file))

    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.stderr


def test_the_file_for_refused_lines_is_never_the_file_itself(tmp_path: Path) -> None:
    file, refused = tmp_path / "again.ndjson", tmp_path / "again.ndjson.refused"
    _write(refused, [_subscriber("1", "again")])
    before = refused.read_bytes()
    file.symlink_to(refused)

    told = run("action", "batch", str(file))

    assert (told.exit_code, f"Error: {refused} is the file for" in told.stderr) == (1, True)
    assert refused.read_bytes() == before


def test_a_full_disk_is_an_error_of_the_file_for_refused_lines(tmp_path: Path) -> None:
    file, refused = tmp_path / "full.ndjson", tmp_path / "full.ndjson.refused"
    file.write_text("no JSON\n")
    refused.symlink_to("/dev/full")

    told = run("action", "batch", str(file))

    error = f"Error: {refused}: No space left on device\n"
    assert (told.exit_code, told.stderr.endswith(error)) == (1, True), told.stderr


def test_a_batch_that_does_not_reach_the_server_says_how_to_go_on(tmp_path: Path) -> None:
    file = tmp_path / "far.ndjson"
    _write(file, [_subscriber("1", "far")])

    told = run("action", "batch", str(file), "--timeout=0.2")

    assert told.exit_code == 3
    assert "run the same command again to continue" in told.stderr


def _at_call(stop: int, of: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a method that calls the method `of`. The call with the number `stop` ends as if the
    user pressed Ctrl-C.
    """
    calls = count(1)

    def call(*arguments: Any, **options: Any) -> Any:
        if next(calls) == stop:
            raise KeyboardInterrupt
        return of(*arguments, **options)

    return call


def test_a_run_of_again_that_is_interrupted_is_continued_with_its_id(
    server: Server, campaign: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "list.csv"
    file.write_text("reference,become_subscriber.type\n" + f"{campaign},OTT\n" * 5)
    batch = ("action", "batch", str(file), "--batch-size=2")
    with monkeypatch.context() as interrupted:
        interrupted.setattr(Client, "batch_perform", _at_call(2, Client.batch_perform))
        told = run(*batch, "--again", server=server)
        plain = run(*batch, server=server)

    assert (told.exit_code, told.stdout) == (1, "")
    begun, ended = told.stderr.splitlines()
    (number,) = re.findall(r"^this run has the id (\S+);", begun)
    instead = f"with --run {number} instead of --again"
    assert begun.endswith(f"run the same command again {instead}")
    how = "run the same command again to continue"
    assert ended == f"2 done, 0 refused, up to line 3; {how}, {instead}"
    continued = run(*batch, f"--run={number}", server=server)
    assert continued.output == "3 new, 2 done before (SETTLED), 0 refused\n"
    assert plain.output == "5 done, 0 refused\n"


def test_ctrl_c_in_a_batch_says_how_far_it_came(
    server: Server, campaign: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "list.ndjson"
    _write(file, [_subscriber(f"{n}-{campaign}", campaign) for n in range(3)])
    batch = ("action", "batch", str(file), "--batch-size=2")
    with monkeypatch.context() as interrupted:
        interrupted.setattr(Client, "batch_perform", _at_call(2, Client.batch_perform))
        told = run(*batch, server=server)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(waiting, "FIRST_WAIT", timedelta())
        interrupted.setattr(Client, "get_action", _at_call(2, Client.get_action))
        waited = run(*batch, "--wait", server=server)

    how = "run the same command again to continue"
    assert (told.exit_code, told.output) == (1, f"2 done, 0 refused, up to line 2; {how}\n")
    how = "the actions continue; run the same command again to wait for them"
    done = "1 new, 2 done before (EXECUTED), 0 refused, up to line 3"
    long = "waiting until all actions are settled; Ctrl-C ends only the waiting"
    assert (waited.exit_code, waited.output) == (1, f"{long}\n{done}; {how}\n")
