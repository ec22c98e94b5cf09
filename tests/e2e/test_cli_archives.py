"""Tests how operators make, read and delete archives."""

from __future__ import annotations

import csv
import hashlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from generic_provider import (
    Archive,
    Client,
    ProvisioningResponse,
    ResponseStatus,
    ServerUnavailable,
    actions,
)
from generic_provider_server.cli import archive
from generic_provider_server.demo.aluxsat import provider
from support.archives import make_old
from support.command_line import run, told_as_json
from support.processes import Server, wait_until

CODE = "ALUXSAT"


@pytest.fixture
def server(url: str, tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "archives"
    folder.mkdir()
    with Server(tmp_path, f"--archive-folder={folder}", database=url) as running:
        yield running


@pytest.fixture
def request_number(server: Server, url: str) -> str:
    """Returns the number of a request of S1 that was settled 100 days ago."""
    with Client(server.address) as crm:
        crm.create_provider(provider(CODE))
        crm.set_provider_state(CODE, state="EFFECTIVE")
        items = [("MAIN", goods, "1") for goods in ("SMARTCARD", "DECODER")]
        become = actions.BecomeSubscriber(type="DTH", provider=CODE, items=items)
        crm.perform(become, subscription="S1", reference="order-1")
        (lease,) = crm.pull(CODE, adapter="a").subscriptions
        (request,) = lease.requests
        accepted = ProvisioningResponse(
            request=request.number, lease_token=lease.lease_token, status=ResponseStatus.ACCEPTED
        )
        crm.send_responses(CODE, responses=[accepted])
    make_old(url, days=100)
    return request.number


def test_a_full_disk_is_an_error_of_the_downloaded_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "get_archive", lambda *_: Archive())
    monkeypatch.setattr(Client, "download_archive", lambda *_: [b"a piece"])
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    monkeypatch.setattr(archive, "_new_part", lambda _: full)

    told = run("archive", "download", "Z0000000001", f"--to={tmp_path / 'archive'}")

    error = f"Error: {tmp_path / 'archive'}: No space left on device\n"
    assert (told.exit_code, told.stderr.endswith(error)) == (1, True), told.stderr


def test_a_download_does_not_disturb_another_of_the_same_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second download begins while the first runs, and its connection breaks."""
    file = tmp_path / "archive"
    download = ("archive", "download", "Z0000000001", f"--to={file}")

    def broken(*_: object) -> Iterator[bytes]:
        yield b"one"
        raise ServerUnavailable("the connection broke", reason="DRAINING")

    def first(*_: object) -> Iterator[bytes]:
        yield b"one"
        monkeypatch.setattr(Client, "download_archive", broken)
        assert run(*download).exit_code == 3
        yield b"two"

    found = Archive(checksum=hashlib.sha256(b"onetwo").hexdigest())
    monkeypatch.setattr(Client, "get_archive", lambda *_: found)
    monkeypatch.setattr(Client, "download_archive", first)

    told = run(*download)

    assert (told.exit_code, told.output) == (0, f"{file}\n")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"onetwo"]


def test_old_requests_go_into_a_file_that_is_read_and_deleted(
    server: Server, request_number: str, tmp_path: Path
) -> None:
    made = run("archive", "create", "--older-than=90d", server=server)
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("Z0000000001 COMPLETED, 1 request, ")
    (archive,) = told_as_json("archive", "list", "--subscription=S1", server=server)
    file = tmp_path / "copy" / archive["file"]
    file.parent.mkdir()

    explained = run("subscription", "explain", "S1", server=server)
    assert "Older requests of the subscription are in Z0000000001." in explained.stdout
    for what in ("request", "action"):
        listed = run(what, "list", "--subscription=S1", server=server)
        older = "Older requests of the subscription are in Z0000000001.\n"
        assert listed.stderr == f"nothing found\n{older}"
    assert "confirmed   by requests that are not in the database" in explained.stdout
    (told,) = told_as_json("subscription", "explain", "S1", server=server)
    assert told["archives"] == [archive]
    gone = run("action", "get", "A0000000001", server=server)
    may_be = "it may be in an archive: generic-provider archive list"
    assert (gone.exit_code, may_be in gone.stderr) == (1, True), gone.stderr
    missing = run("request", "show", request_number, server=server)
    assert (missing.exit_code, "is in archive Z0000000001" in missing.stderr) == (1, True)
    downloaded = run("archive", "download", archive["id"], f"--to={file}", server=server)
    assert downloaded.exit_code == 0, downloaded.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = run("archive", "download", archive["id"], f"--to={file}", server=server)
    assert (again.exit_code, "exists already; give another file with --to" in again.stderr) == (
        1,
        True,
    )
    shown = run("archive", "show", str(file), f"--request={request_number}", "--json")
    request, action, entry = map(json.loads, shown.stdout.splitlines())
    assert (request["kind"], request["number"]) == ("request", request_number)
    assert (action["kind"], action["performed"]["reference"]) == ("action", "order-1")
    assert (entry["kind"], entry["method"]) == ("audit", "PerformAction")

    other = run("archive", "show", str(file), "--subscription=S2")
    nothing = f"{file.name} has no line about subscription S2\n"
    assert (other.exit_code, other.stdout, other.stderr) == (0, "", nothing)
    wrong = run("archive", "delete", archive["id"], "--checksum=0", server=server)
    assert (wrong.exit_code, "CHECKSUM_MISMATCH" in wrong.stderr) == (1, True)
    deleted = run(
        "archive", "delete", archive["id"], f"--checksum={archive['checksum']}", server=server
    )
    assert deleted.stdout.startswith("Z0000000001 DELETED: deleted by ")
    assert list((tmp_path / "archives").iterdir()) == []
    explained = run("subscription", "explain", "S1", server=server)
    assert "confirmed   by requests that are not in the database" in explained.stdout
    _check_audit(server)


def test_the_refusal_of_an_archived_request_names_the_next_step(
    server: Server, request_number: str
) -> None:
    run("archive", "create", "--older-than=90d", server=server)
    (archive,) = told_as_json("archive", "list", server=server)

    missing = run("request", "show", request_number, server=server)
    to_read_it = "to read it: generic-provider archive download Z0000000001"
    assert missing.stderr.endswith(f"; {to_read_it} [REQUEST_NOT_FOUND]\n"), missing.stderr
    checksum = f"--checksum={archive['checksum']}"
    deleted = run("archive", "delete", "Z0000000001", checksum, server=server)
    assert deleted.stdout.endswith(f", {archive['file']} is deleted\n")
    missing = run("request", "show", request_number, server=server)
    assert missing.stderr.endswith("Z0000000001, which is deleted [REQUEST_NOT_FOUND]\n")
    download = run("archive", "download", "Z0000000001", server=server)
    assert download.stderr.endswith("it has no file to download [ARCHIVE_NOT_FOUND]\n")


def _check_audit(server: Server) -> None:
    """Checks that the audit trail has entries of the refused and of the successful deletion of an
    archive, and no entries that were archived.
    """
    about = ("audit", "list", "--method=DeleteArchive", "--resource=Z0000000001")
    refused = (*about, "--refused", "--code=FAILED_PRECONDITION")
    wait_until(lambda: bool(told_as_json(*refused, server=server)), what="the entry is written")
    in_small_letters = (*about, "--refused", "--code=failed-precondition")
    assert told_as_json(*in_small_letters, server=server) == told_as_json(*refused, server=server)
    for codes in (["--code=CHECKSUM_MISMATCH"], ["--code=checksum-mismatch", "--code=aborted"]):
        assert told_as_json(*about, *codes, server=server) == told_as_json(*refused, server=server)
    both = told_as_json(*about, "--code=OK", "--code=CHECKSUM_MISMATCH", server=server)
    assert [each["code"] for each in both] == ["OK", "FAILED_PRECONDITION"]
    assert told_as_json(*about, "--code=ETAG_MISMATCH", server=server) == []
    table = run(*about, server=server).stdout.splitlines()
    assert table[0].split() == [
        *("time", "call", "caller", "performed", "by", "provider"),
        *("subscription", "outcome", "about"),
    ]
    assert [line.split()[-2:] for line in table[1:]] == [
        ["OK", "Z0000000001"],
        ["CHECKSUM_MISMATCH", "Z0000000001"],
    ]
    exported = [*csv.DictReader(run(*about, "--csv", server=server).stdout.splitlines())]
    assert [(each["code"], each["reason"]) for each in exported] == [
        ("OK", ""),
        ("FAILED_PRECONDITION", "CHECKSUM_MISMATCH"),
    ]
    told = told_as_json(*refused, server=server)
    keys = "id", "time", "code"
    assert [[each[key] for key in keys] for each in told] == [[exported[1][key] for key in keys]]
    assert run("audit", "list", "--subscription=S1", "--csv", server=server).stdout.count("\n") == 1


def test_a_file_is_shown_without_a_server_and_refused_if_it_is_damaged(
    server: Server, request_number: str, tmp_path: Path
) -> None:
    run("archive", "create", "--created-before=2100-01-01T00:00Z", server=server)
    (file,) = (tmp_path / "archives").iterdir()

    summary = run("archive", "show", str(file))
    assert '"request": 1' in summary.stdout
    every = run("archive", "show", str(file), "--subscription=S1")
    assert request_number in every.stdout
    assert "order-1" in every.stdout
    by_id = run("archive", "show", "Z0000000001")
    assert (by_id.exit_code, "archive download Z0000000001 gets the file" in by_id.stderr) == (2, 1)
    assert [line for line in every.stdout.splitlines() if "PerformAction" in line] == [
        "  method             PerformAction"
    ]
    unknown = run("archive", "show", str(file), "--request=R0000000099")
    assert (unknown.exit_code, "has no request R0000000099" in unknown.stderr) == (1, True)
    checked = run("archive", "show", str(file), f"--checksum={0:064}")
    assert (checked.exit_code, "is damaged: its SHA-256 is" in checked.stderr) == (1, True)
    file.write_bytes(file.read_bytes()[:-9])
    for arguments in ((), (f"--request={request_number}",), ("--json",)):
        refused = run("archive", "show", str(file), *arguments)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "is damaged" in refused.stderr


def test_an_archive_without_requests_says_why(server: Server) -> None:
    made = run("archive", "create", "--older-than=90d", server=server)

    assert (made.exit_code, "COMPLETED, 0 requests" in made.stdout) == (0, True)
    assert "No request is old enough" in made.stderr


def test_how_old_is_said_once(server: Server) -> None:
    for arguments in ((), ("--older-than=9d", "--created-before=2026-01-01T00:00Z")):
        wrong = run("archive", "create", *arguments, server=server)
        assert (wrong.exit_code, "either --older-than or" in wrong.stderr) == (2, True)
    wrong = run("archive", "create", "--older-than=soon", server=server)
    assert (wrong.exit_code, "is not a span" in wrong.stderr) == (2, True)


def test_a_missing_checksum_says_where_it_is_shown() -> None:
    refused = run("archive", "delete", "Z1")

    said = "Missing option '--checksum'. `archive list` shows it.\n"
    assert (refused.exit_code, refused.stderr.endswith(said)) == (2, True), refused.stderr
