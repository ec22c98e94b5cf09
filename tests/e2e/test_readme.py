"""What the README shows is true: its code type-checks and runs, its table is the server's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from generic_provider import Client
from generic_provider_server.config import DESCRIBED, Described
from support.processes import PATIENCE, PROGRAM, Server, wait_until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "localhost:50051"
PROVIDER = "docs/aluxsat.toml"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


ADAPTER, CRM = blocks("python")


@pytest.mark.timeout(240)
def test_the_code_passes_the_type_checker(tmp_path: Path) -> None:
    files = [_written(tmp_path / name, code) for name, code in _code().items()]
    command = [sys.executable, "-m", "mypy", "--strict", *map(str, files)]

    checked = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.timeout(120)
def test_the_minute_from_the_start_to_the_crm_goes_as_it_is_told(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        applied = _run(*_apply_command(), server=server)
        assert applied.stdout.strip() in README
        with Client(server.address) as client, _adapter(tmp_path, server):
            wait_until(lambda: bool([*client.list_adapters()]), what="the adapter is connected")
            crm = _written(tmp_path / "crm.py", CRM.replace(ADDRESS, server.address))
            for _ in range(2):
                told = _run(sys.executable, str(crm), server=server)
                assert told.stdout == blocks("text")[-1]
            assert len([*client.list_actions()]) == 3
        assert "switch on 1002 for 0012345678" in (tmp_path / "adapter.log").read_text()


def test_the_provider_shown_is_the_file_that_is_applied() -> None:
    assert blocks("toml") == [(ROOT / PROVIDER).read_text(encoding="utf-8")]


def test_the_table_of_settings_is_that_of_the_server() -> None:
    rows = [
        _row(line) for line in README.splitlines() if "`GENERIC_PROVIDER_" in line and "|" in line
    ]

    assert rows == [
        [f"`{s.option}`", f"`{s.variable}`", _default(s), s.description] for s in DESCRIBED.values()
    ]


def test_what_the_pages_link_to_exists() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    links = [
        page.parent / link
        for page in pages
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    ]

    assert [link for link in links if not link.exists()] == []


def _code() -> dict[str, str]:
    return {"adapter.py": ADAPTER, "crm.py": CRM}


def _written(file: Path, code: str) -> Path:
    file.write_text(code, encoding="utf-8")
    return file


def _apply_command() -> list[str]:
    """As in the README, by the program of these tests."""
    found = re.search(rf"generic-provider (provider apply {re.escape(PROVIDER)}.*)", README)
    assert found
    return [*PROGRAM, *found[1].split()]


def _run(*command: str, server: Server) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GENERIC_PROVIDER_SERVER": server.address}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, cwd=ROOT, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@contextmanager
def _adapter(folder: Path, server: Server) -> Iterator[None]:
    """The adapter of the README, until SIGTERM, on which it leaves in good order."""
    code = _written(folder / "adapter.py", ADAPTER.replace(ADDRESS, server.address))
    with (folder / "adapter.log").open("w") as log:
        process = subprocess.Popen([sys.executable, str(code)], stdout=log, stderr=log)
    try:
        yield
        process.terminate()
        assert process.wait(PATIENCE) == 0, (folder / "adapter.log").read_text()
    finally:
        process.kill()
        process.wait()


def _row(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _default(setting: Described) -> str:
    match setting.default:
        case None | "":
            return ""
        case False:
            return "off"
        case default:
            return f"`{default}`"
