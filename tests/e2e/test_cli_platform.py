from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from generic_provider import Client, ExistingAccount, actions
from generic_provider_server.demo.aluxsat import provider
from support.command_line import run, told_as_json
from support.processes import Server, simulated_adapter, wait_until

CODE = "ALUXSAT"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("platform")) as running:
        with Client(running.address) as crm:
            crm.create_provider(provider(CODE))
            crm.set_provider_state(CODE, state="EFFECTIVE")
            for number in ("S1", "S2", "S3"):
                crm.perform(_served(number), subscription=number)
        yield running


def _served(number: str) -> actions.Action:
    """Returns the action Become Subscriber for a subscriber whom the platform already serves. The
    account number on the platform is `A` followed by the number of the subscription.
    """
    account = ExistingAccount(provider=CODE, account_number=f"A{number}", holds_everything=True)
    return actions.BecomeSubscriber(
        type="DTH",
        provider=CODE,
        items=[("MAIN", "SMARTCARD", f"C{number}"), ("MAIN", "DECODER", f"B{number}")],
        services=[("MAIN", "SPORT")],
        existing=[account],
    )


def _report(file: Path, *options: str, server: Server) -> Result:
    later = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    options = ("--provider", CODE, "--observed-time", later, *options)
    return run("platform", "report", str(file), *options, server=server)


def _line(number: str, *services: str) -> dict[str, Any]:
    return {
        "account_number": f"A{number}",
        "items": [
            {"serial_number": f"C{number}", "goods_type": "SMARTCARD"},
            {"serial_number": f"B{number}", "goods_type": "DECODER"},
        ],
        "entitlements": [
            {"provider_service_id": each, "serial_numbers": [f"C{number}"]} for each in services
        ],
    }


def _differences(number: str, server: Server) -> list[str]:
    (found,) = told_as_json("subscription", "show", number, server=server)
    return [each["text"] for link in found["provider_links"] for each in link["differences"]]


def test_a_report_in_json_finds_drift_and_fits_eighty_columns(
    server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "report.ndjson"
    lines = [_line("S1", "1001", "9999"), _line("S2"), {"subscription": "S99"}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))

    told = _report(file, server=server)

    assert told.exit_code == 0, told.output
    assert told.stdout.splitlines()[:8] == [
        "subscribers reported       3",
        "  as was known             1",
        "  changed                  1",
        "  skipped                  0",
        "  unknown here             1",
        "missing on the platform    0",
        "unknown ids                1",
        "out of sync now            1",
    ]
    assert "9999 of S1" in told.stdout
    assert all(len(line) <= 80 for line in told.stdout.splitlines()), told.stdout
    assert _differences("S2", server) == [
        "SPORT (1001) on MAIN, SMARTCARD CS2, DECODER BS2: is off on the platform"
    ]


def test_a_card_of_another_customer_is_shown_with_its_subscription(
    server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "report.ndjson"
    both = _line("S5", "1001")
    both["items"] += [{"serial_number": card, "goods_type": "SMARTCARD"} for card in ("CS4", "CX")]
    file.write_text(json.dumps(both))
    with Client(server.address) as crm:
        for number in ("S4", "S5"):
            crm.perform(_served(number), subscription=number)
    assert _report(file, server=server).exit_code == 0

    for command in ("subscription", "explain", "S5"), ("reset", "subscription", "S5", "--preview"):
        lines = run(*command, server=server).stdout.splitlines()
        surplus = sorted(each for each in lines if "the CRM does not want it" in each)
        assert surplus[0].endswith("the CRM does not want it (in the CRM it is on S4)")
        assert ("CS4" in surplus[0], "CX" in surplus[1]) == (True, True)
        assert surplus[1].endswith("the CRM does not want it")
    give_back = (
        "; when the platform has answered, send everything of S4 again, because the platform may "
        "have taken CS4 from it [role support or operator]: generic-provider reset"
    )
    (step,) = told_as_json("subscription", "explain", "S5", server=server)[0]["platforms"]
    assert f"{give_back} subscription S4 --provider {CODE} --full" in step["next_step"]

    with Client(server.address) as crm:
        crm.perform(_served("S6"), subscription="S6")
    service = _line("S6", "1001")
    service["entitlements"].append(
        {"provider_service_id": "1001", "serial_numbers": ["CS4"], "distributor": "TWIN1"}
    )
    file.write_text(json.dumps(service))
    assert _report(file, server=server).exit_code == 0
    text = run("subscription", "explain", "S6", server=server).stdout
    wrong = "SPORT (1001) on TWIN1, CS4: is on the platform, and the CRM does not want it"
    assert f"difference  {wrong} (in the CRM it is on S4)\n" in text
    assert f"{give_back} subscription S4 " in text


def test_a_report_in_csv_has_paths_of_fields_as_columns(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    file.write_text(
        "account_number,missing,items[0].serial_number,items[1].serial_number,"
        "entitlements[0].provider_service_id,entitlements[0].distributor\n"
        "AS1,,CS1,BS1,1001,MAIN\n"
        "AS2,,CS2,BS2,1001,MAIN\n"
        "AS3,true,,,,\n"
    )
    (told,) = [json.loads(_report(file, "--json", server=server).stdout)]
    assert (told["received"], told["missing"], told["unknown_ids"]) == ("3", "1", "0")
    assert _differences("S2", server) == []
    assert _differences("S3", server)[0] == "the platform does not know the subscriber"


def test_a_complete_report_that_lacks_too_many_is_refused(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "report.ndjson"
    file.write_text(json.dumps(_line("S1", "1001")) + "\n")
    told = _report(file, "--complete", server=server)
    assert told.exit_code == 1
    assert "[REPORT_INCOMPLETE]" in told.stderr
    assert "subscribers reported       1\n" in told.stderr
    assert "--max-missing-percent" in told.stderr
    assert _report(file, "--complete", "--max-missing-percent=100", server=server).exit_code == 0


@pytest.mark.parametrize("wrong", ["no json", '{"subscriber": "S1"}', "[]"])
def test_a_wrong_line_ends_a_complete_report_before_anybody_is_missing(
    server: Server, tmp_path: Path, wrong: str
) -> None:
    file = tmp_path / "report.ndjson"
    file.write_text(f"{json.dumps(_line('S1', '1001'))}\n{wrong}\n")
    before = _differences("S2", server)
    told = _report(file, "--complete", "--max-missing-percent=100", server=server)
    assert told.exit_code == 1
    assert "line 2: " in told.stderr
    assert "Traceback" not in told.output
    assert _differences("S2", server) == before


@pytest.mark.parametrize("place", ["", "ELSEWHERE"])
def test_what_a_platform_holds_on_no_known_viewing_point_is_explained(
    server: Server, tmp_path: Path, place: str
) -> None:
    line, shown = _line("S1", "1001"), "(no viewing point)"
    line["items"].append({"serial_number": "X9", "goods_type": "SMARTCARD", "distributor": place})
    stray = {"provider_service_id": "1001", "serial_numbers": ["X9"], "distributor": place}
    line["entitlements"].append(stray)
    file = tmp_path / "report.ndjson"
    file.write_text(json.dumps(line))
    assert _report(file, server=server).exit_code == 0

    explained = run("subscription", "explain", "S1", server=server)
    assert explained.exit_code == 0, explained.output
    *_, row = explained.stdout.partition("\n\n")[2].partition("\n\n")[0].splitlines()
    assert re.split(" {2,}", row) == [CODE, shown, "SMARTCARD X9", "SPORT"]
    assert f"difference  SMARTCARD X9 on {shown}: is on the platform" in explained.stdout
    assert f"SPORT (1001) on {shown}, SMARTCARD X9: is on the platform" in explained.stdout
    preview = run("reset", "subscription", "S1", "--preview", server=server).stdout
    assert f"{shown}:SPORT" in preview


def test_a_file_without_subscribers_is_named(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    file.write_text("")
    told = _report(file, server=server)
    assert told.exit_code == 0, told.output
    assert told.stderr == "report.csv names no subscriber\n"


def test_a_wrong_line_says_whether_earlier_lines_may_have_been_applied(
    server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "report.ndjson"
    file.write_text("{}}\n")
    first = _report(file, server=server)
    other = _report(file, "--provider=NONE", server=server)
    file.write_text(json.dumps(_line("S1", "1001")) + "\n{}}\n")
    second = _report(file, server=server)

    how = "Correct this line, and report FILE again.\n"
    assert first.exit_code == second.exit_code == 1
    assert first.stderr.startswith("Error: report.ndjson, line 1: ")
    assert first.stderr.endswith(f"\n{how}")
    assert second.stderr.endswith(f"\nEarlier lines may have been applied. {how}")
    assert "[PROVIDER_NOT_FOUND]" in other.stderr


def test_an_adapter_may_not_read_the_provider_and_is_told_the_wrong_line(tmp_path: Path) -> None:
    callers = f"--callers={tmp_path / 'callers.toml'}"
    token = run("caller", "add", "gate", f"--role=adapter:{CODE}", callers).stdout.strip()
    file = tmp_path / "report.ndjson"
    file.write_text("{}}\n")
    with Server(tmp_path, callers) as server:
        told = _report(file, f"--token={token}", server=server)
    assert "line 1: " in told.stderr


def test_a_report_to_nobody_says_that_the_server_was_not_reached(tmp_path: Path) -> None:
    file = tmp_path / "report.ndjson"
    file.write_text("")
    told = run("platform", "report", str(file), "--provider", CODE)
    assert told.exit_code == 3
    assert "127.0.0.1:1 was not reached: check that the server runs" in told.stderr


def test_what_a_simulated_platform_reports_is_what_is_known(tmp_path: Path) -> None:
    memory = tmp_path / "platform.db"
    with Server(tmp_path) as server, Client(server.address) as crm:
        crm.create_provider(provider(CODE))
        crm.set_provider_state(CODE, state="EFFECTIVE")
        with simulated_adapter("one", server=server, provider=CODE):
            for number in ("S1", "S2"):
                become = actions.BecomeSubscriber(
                    type="DTH",
                    provider=CODE,
                    items=[("MAIN", "SMARTCARD", f"C{number}"), ("MAIN", "DECODER", f"B{number}")],
                    services=[("MAIN", "SPORT"), ("MAIN", "NEWS")],
                )
                crm.perform(become, subscription=number)
            wait_until(lambda: not crm.get_backlog(CODE).pending, what="the backlog is served")
        file = tmp_path / "report.ndjson"
        file.write_text(run("adapter", "memory", f"--memory={memory}", "--report").stdout)
        early = _report(file, f"--observed-time={datetime.now(UTC).isoformat()}", server=server)
        settled = max(each.settle_time.ToDatetime() for each in crm.list_requests())
        told = _report(file, "--complete", server=server)
        explained = run("subscription", "explain", "S1", server=server).stdout
    after = settled + timedelta(minutes=5, seconds=1)
    assert "skipped: 2 had requests less than 5 minutes before" in early.stdout
    assert f"read the platform again at {after:%Y-%m-%d %H:%M:%SZ} or later" in early.stdout
    assert re.search(r"\n  reported    20\S+ \S+; if this report named", explained)
    assert "  as was known             2" in told.stdout
    assert "out of sync now            0" in told.stdout


@pytest.mark.parametrize("options", [(), ("--complete",)])
def test_a_line_that_names_no_subscriber_is_named(
    server: Server, tmp_path: Path, options: tuple[str, ...]
) -> None:
    file = tmp_path / "report.ndjson"
    nobody = {**_line("S1", "1001"), "account_number": ""}
    file.write_text(json.dumps(_line("S1", "1001")) + "\n\n" + json.dumps(nobody) + "\n")
    told = _report(file, *options, server=server)
    assert (told.exit_code, told.stdout) == (1, "")
    why = "Error: report.ndjson, line 3: has neither account_number nor subscription\n"
    assert told.stderr.startswith(why), told.stderr
