"""Tests input files that spreadsheets and other programs write, and pipes. Each test reads a real
file or a real pipe.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from generic_provider import Client, Provider, ResponseStatus
from support.command_line import run, told_as_json
from support.forking import PROGRAM
from support.processes import Server
from support.pulling import accept_all, answer

HEADING = "subscription,reference,become_subscriber.type,become_subscriber.holder.name"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("files")) as running:
        yield running


@pytest.fixture(scope="module")
def crm(server: Server) -> Iterator[Client]:
    with Client(server.address, performed_by="mari") as client:
        yield client


@pytest.fixture
def campaign() -> str:
    """Returns the name of a campaign that no other test uses."""
    return f"{uuid4()}"


def _row(number: int, campaign: str, *, name: str = "Tamm") -> str:
    return f"{number}-{campaign},{campaign},OTT,{name}"


def _performed(server: Server, campaign: str) -> list[str]:
    """Returns the parts of the subscription numbers before the first hyphen, sorted."""
    done = told_as_json("action", "list", f"--reference={campaign}", server=server)
    return sorted(each["subscription"].partition("-")[0] for each in done)


def _batch(server: Server, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Runs `action batch` in a process, which gets `given` on standard input."""
    done = subprocess.run(
        [*PROGRAM, "action", "batch", *arguments, "--server", server.address],
        input=given,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def test_a_stray_quotation_mark_refuses_its_line_and_no_other(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    rows = [
        HEADING,
        _row(1, campaign),
        _row(2, campaign, name='"Tamm'),
        _row(3, campaign),
        _row(4, campaign, name='"Tamm" & Co'),
        _row(5, campaign, name='"Tamm, ""Jaan"""'),
    ]
    file.write_text("\n".join(rows))

    told = run("action", "batch", str(file), server=server)

    assert (told.exit_code, told.stdout.split(", see")[0]) == (1, "3 done, 2 refused")
    assert "line 3: not CSV: a quotation mark opens a cell that does not end" in told.stderr
    assert "line 5: not CSV" in told.stderr
    assert _performed(server, campaign) == ["1", "3", "5"]
    refused = (tmp_path / "list.csv.refused").read_text()
    assert refused.splitlines() == [HEADING, rows[2], rows[4]]


def test_a_refused_line_in_the_middle_repeats_no_other(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    row = f"{campaign},OTT"
    file.write_text(f"reference,become_subscriber.type\n{row}\nwrong\n{row}\n{row}\n")

    told = run("action", "batch", str(file), "--batch-size=1", server=server)

    assert told.stdout.startswith("3 done, 1 refused"), told.output
    assert len(_performed(server, campaign)) == 3


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
@pytest.mark.parametrize("kind", ["csv", "json", "gzip"])
def test_standard_input_is_a_file_like_any_other(
    server: Server, campaign: str, name: str, kind: str
) -> None:
    text = f"{HEADING}\n{_row(1, campaign)}\n{_row(2, campaign)}\n".encode()
    if kind == "json":
        become = {"type": "OTT"}
        lines = [
            {"subscription": f"{n}-{campaign}", "reference": campaign, "become_subscriber": become}
            for n in (1, 2)
        ]
        text = "\n".join(map(json.dumps, lines)).encode()

    done = _batch(server, name, given=gzip.compress(text) if kind == "gzip" else text)

    assert (done.returncode, done.stdout) == (0, "2 done, 0 refused\n"), done.stderr
    assert _performed(server, campaign) == ["1", "2"]


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_never_the_file_for_refused_lines(name: str, tmp_path: Path) -> None:
    refused = tmp_path / "stdin.refused"
    refused.write_text(f"{HEADING}\n{_row(1, 'again')}\n")
    before = refused.read_bytes()

    with refused.open("rb") as given:
        done = subprocess.run(
            [*PROGRAM, "action", "batch", name, "--server=127.0.0.1:1", "--timeout=0.2"],
            stdin=given,
            capture_output=True,
            cwd=tmp_path,
            check=False,
            timeout=60,
        )

    assert done.returncode == 1
    assert b"Error: stdin.refused is the file for refused lines" in done.stderr
    assert refused.read_bytes() == before


def test_a_named_pipe_is_read_once(server: Server, campaign: str, tmp_path: Path) -> None:
    pipe = tmp_path / "fifo"
    os.mkfifo(pipe)
    text = f"{HEADING}\n{_row(1, campaign)}\nwrong\n"
    writing = threading.Thread(target=lambda: pipe.write_text(text))
    writing.start()

    done = _batch(server, str(pipe))
    writing.join()

    assert done.stdout.startswith("1 done, 1 refused"), done.stderr
    assert (tmp_path / "fifo.refused").read_text() == f"{HEADING}\nwrong\n"


def test_the_same_file_again_says_what_was_done_before(
    server: Server, crm: Client, campaign: str, tmp_path: Path
) -> None:
    provider = Provider(code=campaign[:8])
    provider.distributors.add(code="APP")
    provider.services.add(code="STREAM", provider_service_id="1")
    crm.create_provider(provider)
    crm.set_provider_state(provider.code, state="EFFECTIVE")
    file = tmp_path / "list.csv"
    service = "become_subscriber.services[0]"
    columns = f"{HEADING},become_subscriber.provider,{service}.distributor,{service}.service"
    rows = [f"{_row(n, campaign)},{provider.code},APP,STREAM" for n in (1, 2)]
    file.write_text("\n".join([columns, *rows]))
    assert run("action", "batch", str(file), server=server).stdout == "2 done, 0 refused\n"
    answer(crm, provider.code, status=ResponseStatus.REJECTED)
    accept_all(crm, provider.code)

    again = run("action", "batch", str(file), server=server)
    assert again.stdout == "0 new, 2 done before (1 REJECTED, 1 SETTLED), 0 refused\n"
    waited = run("action", "batch", str(file), "--wait", server=server)
    assert waited.exit_code == 1
    assert waited.stdout.endswith("0 refused; 1 REJECTED, 1 SETTLED\n")
    assert "line 2: A" in waited.stderr
    assert "REJECTED_BY_PLATFORM E42 not on this card" in waited.stderr
    anew = run("action", "batch", str(file), "--again", server=server)
    assert "[SUBSCRIPTION_EXISTS]" in anew.stderr


def test_a_batch_waits_until_its_actions_are_settled(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(f"{HEADING}\n{_row(1, campaign)}\n")

    told = run("action", "batch", str(file), "--wait", server=server)

    assert (told.exit_code, told.stdout) == (0, "1 done, 0 refused; 1 SETTLED\n")


def test_lines_that_are_meant_anew_are_performed_again(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(f"reference,become_subscriber.type\n{campaign},OTT\n")

    for options in (), ("--again",), ("--again",), ("--run=x",), ("--run=x",):
        assert run("action", "batch", str(file), *options, server=server).exit_code == 0

    assert len(_performed(server, campaign)) == 4


@pytest.mark.parametrize("kind", ["utf-16", "utf-8-sig", "cr", "gzip", "semicolons", "tabs"])
def test_texts_of_spreadsheets_are_understood(
    server: Server, campaign: str, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / ("list.csv.gz" if kind == "gzip" else "list.csv")
    text = "\r\n".join([HEADING, _row(1, campaign, name="Õunapuu"), ",,,", _row(2, campaign), ""])
    written = {
        "utf-16": text.encode("utf-16"),
        "utf-8-sig": text.encode("utf-8-sig"),
        "cr": text.replace("\r\n", "\r").encode(),
        "gzip": gzip.compress(text.encode()),
        "semicolons": text.replace(",", ";").encode(),
        "tabs": text.replace(",", "\t").encode(),
    }
    file.write_bytes(written[kind])

    told = run("action", "batch", str(file), server=server)

    assert (told.exit_code, told.output) == (0, "2 done, 0 refused\n")
    (named,) = told_as_json("subscription", "show", f"1-{campaign}", server=server)
    assert named["holder"]["name"] == "Õunapuu"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], "cannot be read"),
        ("subscription\n1\n".encode("utf-16")[:-1], "cannot be read: it is not valid UTF-16"),
        ("subscription\n1\n".encode("utf-16-le"), "contains NUL bytes"),
        (b"PK\x03\x04...", "is a spreadsheet or a ZIP file"),
    ],
)
def test_what_is_no_text_is_refused_whole(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(content)

    for command in ("action", "batch"), ("provider", "apply"):
        told = run(*command, str(file))
        assert (told.exit_code, said in told.stderr) == (1, True), told.output


def test_bytes_that_are_not_utf8_refuse_their_line_with_advice(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    rows = [HEADING, _row(1, campaign), _row(2, campaign, name="Pärn"), _row(3, campaign)]
    file = tmp_path / "cp.csv"
    file.write_text("\n".join(rows), encoding="cp1252")
    lines = tmp_path / "cp.ndjson"
    lines.write_text('{}\n{"subscription": "Pärn"}\n', encoding="cp1252")

    told = run("action", "batch", str(file), server=server)
    named = run("action", "batch", str(lines), server=server)

    column = "become_subscriber.holder.name"
    why = f"is not UTF-8 (byte 0xe4 in column {column}): save the file as CSV UTF-8"
    assert f"line 3: {why}\n" in told.stderr
    assert told.stdout.startswith("2 done, 1 refused"), told.output
    assert (tmp_path / "cp.csv.refused").read_bytes().splitlines()[1] == rows[2].encode("cp1252")
    assert "line 2: is not UTF-8 (byte 0xe4): save the file as UTF-8\n" in named.stderr


def test_a_report_ends_at_a_line_that_is_not_utf8(
    server: Server, crm: Client, campaign: str, tmp_path: Path
) -> None:
    crm.create_provider(Provider(code=campaign))
    file = tmp_path / "cp.csv"
    text = "account_number,missing\nA1,true\nPärn,true\n"
    file.write_text(text, encoding="cp1252")

    told = run("platform", "report", str(file), "--provider", campaign, server=server)

    why = "is not UTF-8 (byte 0xe4 in column account_number): save the file as CSV UTF-8"
    assert (told.exit_code, f"cp.csv, line 3: {why}" in told.stderr) == (1, True), told.output


@pytest.mark.parametrize(
    "command",
    [
        ("provider", "apply"),
        ("reset", "run", "define", "--provider=P", "--subscriptions-file"),
    ],
)
def test_a_file_that_is_read_whole_names_the_line_that_is_not_utf8(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "cp.txt"
    file.write_text('code = "P"\nname = "Pärn"\n', encoding="cp1252")

    told = run(*command, str(file))

    why = "cp.txt, line 2: is not UTF-8 (byte 0xe4): save the file as UTF-8"
    assert (told.exit_code, why in told.stderr) == (2, True), told.output


def test_cells_of_spreadsheets_are_understood_or_refused(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    columns = "subscription,reference,become_subscriber.type,become_subscriber.holder.number,,"
    rows = [
        f'1-{campaign},{campaign},OTT,="0098765432",,',
        f'2-{campaign},{campaign},OTT,"=""0098765433""",,',
        f"3-{campaign},{campaign},OTT,9.8765E+07,,",
        f'4-{campaign},{campaign},OTT,"9,8765E+07",,',
        f"5-{campaign},{campaign},OTT,5,,note",
        f"6-{campaign},{campaign},OTT,12E345,,,,,",
        ",,,,,",
        f"7-{campaign},{campaign},OTT,{'7' * 200_000},,",
        f"8-{campaign},{campaign},OTT,8,,",
    ]
    file.write_text("\n".join([columns, *rows]))

    told = run("action", "batch", str(file), server=server)

    assert told.stdout.startswith("4 done, 4 refused"), told.output
    assert "line 4: '9.8765E+07' is a number that a spreadsheet has rounded" in told.stderr
    assert "line 6: 'note' stands in a column without a heading" in told.stderr
    assert _performed(server, campaign) == ["1", "2", "6", "8"]
    (first,) = told_as_json("subscription", "show", f"1-{campaign}", server=server)
    assert first["holder"]["number"] == "0098765432"


def test_a_file_of_refused_lines_that_cannot_be_written_is_found_before_the_first_call(
    server: Server, campaign: str, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(f"{HEADING}\n{_row(1, campaign)}\nwrong\n")
    (tmp_path / "list.csv.refused").mkdir()

    told = run("action", "batch", str(file), server=server)

    assert told.exit_code == 1
    assert "list.csv.refused, the file for refused lines, cannot be written" in told.stderr
    assert _performed(server, campaign) == []


def test_a_provider_file_is_read_like_every_other_file(server: Server, campaign: str) -> None:
    text = f"""
        code = "{campaign}"
        services = [{{ code = "A", provider_service_id = "1", kind = "usage" }}]
        request_settings = {{ activation_method = "whole-subscription" }}
    """
    for given in (text.encode("utf-8-sig"), text.encode("utf-16"), gzip.compress(text.encode())):
        done = subprocess.run(
            [*PROGRAM, "provider", "apply", "-", "--server", server.address],
            input=given,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    (shown,) = told_as_json("provider", "show", campaign, server=server)
    assert shown["services"][0]["kind"] == "SERVICE_KIND_USAGE"
    assert shown["request_settings"]["activation_method"] == "REQUEST_METHOD_WHOLE_SUBSCRIPTION"


def test_a_report_from_a_pipe_names_the_time_of_its_reading(server: Server, campaign: str) -> None:
    report = [*PROGRAM, "platform", "report", "-", "--provider", campaign]
    report += ["--server", server.address]
    line = f'{{"subscription": "{campaign}", "missing": true}}'.encode()

    refused = subprocess.run(report, input=line, capture_output=True, check=False)
    assert (refused.returncode, b"--observed-time is missing" in refused.stderr) == (2, True)
