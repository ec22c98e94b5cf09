"""Tests log lines that cannot be written, texts of callers that look like other fields of a log
line, and the table of messages in the manual.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from generic_provider_server.config import LogFormat, Settings
from generic_provider_server.domain.audit import AuditEntry
from generic_provider_server.domain.values import Instant
from generic_provider_server.logs import STANDARD_ERROR, audit_lines

ROOT = Path(__file__).parents[2]
ONE_LINE_EACH = """
import logging, structlog
from generic_provider_server.config import Settings
from generic_provider_server.domain.audit import AuditEntry
from generic_provider_server.domain.values import Instant
from generic_provider_server.logs import STANDARD_ERROR, audit_lines, configure_logs

configure_logs(Settings())
writes = []
STANDARD_ERROR.write = writes.append
structlog.get_logger().warning("said")
logging.getLogger("library").warning("said")
audit_lines(Settings())([AuditEntry(time=Instant(1), call=1, method="", caller="")])
assert [text.count("\\n") for text in writes] == [1, 1, 1], writes
"""


def test_a_line_is_written_together_with_its_end_because_other_threads_write_too() -> None:
    subprocess.run([sys.executable, "-c", ONE_LINE_EACH], check=True)


@pytest.mark.timeout(20)
def test_a_reader_that_stands_still_does_not_stop_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as log, os.fdopen(writing, "w") as error:
        monkeypatch.setattr(sys, "stderr", error)
        for n in range(1_000):
            STANDARD_ERROR.write(f"{n:01000}\n")
        kept = log.read1(1_000_000).decode().splitlines()
        STANDARD_ERROR.write("it reads again\n")
        said = log.read1(1_000_000).decode().split()
        monkeypatch.undo()

    assert [int(line) for line in kept] == list(range(len(kept)))
    assert json.loads(said[0])["lines"] == 1_000 - len(kept)
    assert " ".join(said[1:]) == "it reads again"


@pytest.mark.timeout(20)
def test_every_line_of_a_write_that_is_not_written_completely_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = [
        AuditEntry(time=Instant(1), call=n, method=f"{n:01000}", caller="") for n in range(1_000)
    ]
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as log, os.fdopen(writing, "w") as error:
        monkeypatch.setattr(sys, "stderr", error)
        audit_lines(Settings())(entries)
        kept = log.read1(1_000_000)
        STANDARD_ERROR.write("it reads again\n")
        said = log.read1(1_000_000).decode().split()
        monkeypatch.undo()

    assert not kept.endswith(b"\n")
    assert json.loads(said[0])["lines"] == 1_000 - kept.count(b"\n")


def test_lines_that_a_full_disk_refuses_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w+") as error, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", error)
        with monkeypatch.context() as full, Path("/dev/full").open("w") as refusing:
            full.setattr(sys, "stderr", refusing)
            STANDARD_ERROR.write("one\ntwo\n")
            STANDARD_ERROR.write("three\n")
        STANDARD_ERROR.write("there is room again\n")
        said = Path(error.name).read_text().split("\n")

    assert json.loads(said[1])["lines"] == 3
    assert said[2] == "there is room again"


@pytest.mark.parametrize(
    "imitation", ["a caller=root", "a\ncaller=root", "a\u3000caller=root", "'a'"]
)
def test_no_text_of_a_caller_imitates_another_fact_in_the_log(
    imitation: str, capfd: pytest.CaptureFixture[str]
) -> None:
    entry = AuditEntry(time=Instant(1), call=1, method="", caller="mallory", performed_by=imitation)
    audit_lines(Settings(log_format=LogFormat.CONSOLE))([entry])
    (line,) = capfd.readouterr().err.splitlines()

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", line.split()[0])
    bare = re.sub(r"'.*?'|\".*?\"", "", line)
    assert "caller=mallory" in bare
    assert bare.endswith(" performed_by=")


def test_the_manual_explains_every_message_of_the_log() -> None:
    sources = "".join(each.read_text() for each in (ROOT / "server").rglob("*.py"))
    pages = "".join(each.read_text() for each in (ROOT / "docs").glob("*.md"))
    messages = set(re.findall(r'log\.[a-z]+\(\s*"([a-z_]+)"', sources))

    assert {name for name in messages if f"`{name}`" not in pages} == set()
    assert "store_lost" in messages
