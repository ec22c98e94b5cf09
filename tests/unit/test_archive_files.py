from __future__ import annotations

import gzip
import json
import os
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import Raw
from peewee import Model

from generic_provider_server.domain.archive import file_name
from generic_provider_server.store.archives.file import ArchiveFile, ArchiveWriter, DamagedArchive
from generic_provider_server.store.archives.lines import (
    ActionLine,
    Content,
    EntryLine,
    Opening,
    RequestLine,
    RunLine,
    encode_line,
    moment,
)
from generic_provider_server.store.database.bulk import columns_of
from generic_provider_server.store.database.models import ActionRow, RequestRow
from support.command_line import run

NOON = moment(1_800_000_000_000_000)
OPENING = Opening(id="Z0000000001", provider="SAT", created_before=NOON, create_time=NOON)
LINES: list[Content] = [
    RequestLine(
        number=f"R{n:010}",
        provider="SAT",
        subscription="S1",
        type="ACTIVATE_SERVICE",
        state="COMPLETED",
        origin="ACTION",
        create_time=NOON,
        schedule_time=NOON,
        settle_time=NOON,
        unit=n,
        position=0,
        contents=Raw(b'{"type":2}'),
    )
    for n in range(5)
]
RUN: list[Content] = [
    RunLine(
        id="U0000000007",
        provider="SAT",
        state="COMPLETED",
        start_time=NOON,
        end_time=NOON,
        contents=Raw(b'{"id":7}'),
    ),
    *[
        EntryLine(
            reset_run="U0000000007",
            subscription=number,
            outcome="REQUESTS_CREATED",
            contents=Raw(b'{"requests":1}'),
        )
        for number in ("S1", "S2")
    ],
]


LEFT_OUT = {"handover", "due_time", "expected_revision", "bulk"}
"""The fields of requests and actions that an archive leaves out, because they matter only before
the final state.
"""
RENAMED = {"attempts": "delivery_attempts", "kind": "action"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Returns a complete archive under its final name."""
    part = tmp_path / "part"
    with closing(ArchiveWriter(part, OPENING)) as writer:
        for line in LINES:
            writer.add([line])
        size, checksum = writer.finish()
    assert part.stat().st_size == size
    return part.rename(tmp_path / file_name(OPENING.id, checksum))


def test_a_reset_run_is_shown_with_its_entries(tmp_path: Path) -> None:
    file = tmp_path / "archive"
    with closing(ArchiveWriter(file, OPENING)) as writer:
        writer.add([*LINES, *RUN])
        writer.finish()

    shown = run("archive", "show", str(file), "--reset-run=U0000000007", "--json")
    assert [json.loads(line) for line in shown.stdout.splitlines()] == [
        json.loads(encode_line(line)) for line in RUN
    ]
    of_one = run("archive", "show", str(file), "--subscription=S2")
    assert "REQUESTS_CREATED" in of_one.stdout
    other = run("archive", "show", str(file), "--reset-run=U0000000008")
    assert (other.exit_code, "has no reset run U0000000008" in other.stderr) == (1, True)


def read(file: Path, *, checksum: str = "") -> list[Content]:
    return list(ArchiveFile(file, checksum=checksum).contents())


def test_what_was_written_is_read_again(file: Path) -> None:
    found = ArchiveFile(file)
    assert found.opening == OPENING
    assert [line.number for line in found.contents() if isinstance(line, RequestLine)] == [
        line.number for line in LINES if isinstance(line, RequestLine)
    ]
    assert found.counts == {"request": len(LINES)}


def test_nobody_but_its_owner_reads_it(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_uid == os.getuid()


def test_a_line_says_what_it_says_without_this_program(file: Path) -> None:
    opening, first, *_, closing = map(json.loads, gzip.decompress(file.read_bytes()).splitlines())
    assert opening["kind"] == "archive"
    assert first["kind"] == "request"
    assert first["settle_time"] == "2027-01-15T08:00:00Z"
    assert first["contents"] == {"type": 2}
    assert closing == {"kind": "end", "lines": {"request": len(LINES)}}


@pytest.mark.parametrize(
    ("table", "line", "contents"),
    [(RequestRow, RequestLine, "document"), (ActionRow, ActionLine, "action")],
)
def test_a_line_has_every_column_that_is_not_left_out(
    table: type[Model], line: type[Content], contents: str
) -> None:
    names = {contents: "contents", **RENAMED}
    columns = {names.get(each, each) for each in columns_of(table).split(", ")} - LEFT_OUT
    assert columns == set(line.__struct_fields__)


def test_a_file_cut_short_anywhere_is_refused_whatever_its_name(file: Path) -> None:
    whole = file.read_bytes()
    renamed = file.with_name("renamed.gz")
    for length in range(len(whole)):
        renamed.write_bytes(whole[:length])
        with pytest.raises(DamagedArchive, match="is damaged"):
            read(renamed)


def test_a_file_altered_anywhere_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedArchive, match="its SHA-256 is"):
            read(file)


def test_a_file_under_another_name_is_checked_against_a_checksum(file: Path) -> None:
    renamed = file.rename(file.with_name("renamed.gz"))
    assert len(read(renamed)) == len(LINES)
    with pytest.raises(DamagedArchive, match="its SHA-256 is"):
        read(renamed, checksum="0" * 64)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (lambda lines: lines[:0], "does not begin"),
        (lambda lines: lines[1:], "does not begin"),
        (lambda lines: lines[:-1], "cut short"),
        (lambda lines: lines[:2] + lines[3:], "not those that its last line counts"),
        (lambda lines: [*lines, lines[-1]], "not those that its last line counts"),
        (lambda lines: [lines[0], *lines], "first line occurs twice"),
        (lambda lines: [lines[0], b'{"kind":"unheard"}', *lines[1:]], "not have format 2"),
        (lambda lines: [lines[0], b"not json", *lines[1:]], "not have format 2"),
    ],
)
def test_a_file_of_other_lines_is_refused(file: Path, lines: object, why: str) -> None:
    assert callable(lines)
    others = lines(gzip.decompress(file.read_bytes()).splitlines())
    renamed = file.with_name("renamed.gz")
    renamed.write_bytes(gzip.compress(b"".join(line + b"\n" for line in others)))
    with pytest.raises(DamagedArchive, match=why):
        read(renamed)
