"""Checks that the README and the table of settings are true. The code in the README passes the type
checker, and runs.
"""

from __future__ import annotations

import os
import re
import runpy
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from generic_provider import Client, ProvisionedService, RequestType, actions, testing
from generic_provider_server.options import DESCRIBED, Described
from support.forking import PROGRAM
from support.processes import PATIENCE, Server, wait_until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "localhost:50051"
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
PROVIDER = "docs/aluxsat.toml"


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


ADAPTER, TARGET, TEST, CRM, WATCH, FAKE = blocks("python")
PRINTED, HEARD, FAKED = blocks("text")[-3:]
(RAW_ADAPTER,) = blocks("python", (ROOT / "docs/adapters.md").read_text(encoding="utf-8"))


@pytest.mark.timeout(240)
def test_the_code_passes_the_type_checker_as_does_that_of_the_manual(tmp_path: Path) -> None:
    files = [_written(tmp_path / name, code) for name, code in _code().items()]
    command = [sys.executable, "-m", "mypy", "--strict", *map(str, files)]

    checked = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.timeout(240)
def test_who_runs_the_page_from_its_start_to_its_end_gets_what_it_shows(tmp_path: Path) -> None:
    with Server(tmp_path) as server, Client(server.address) as client:
        applied = _run(*_apply_command(), server=server)
        assert applied.stdout.strip() in README
        with _adapter(ADAPTER, tmp_path, server):
            wait_until(lambda: bool([*client.list_adapters()]), what="the adapter is connected")
            for _ in range(2):
                assert _printed(CRM, tmp_path / "crm.py", server) == PRINTED
            assert len([*client.list_actions()]) == 3
            with _watching(tmp_path, server) as lines:
                assert next(lines) == HEARD
            add = actions.AddServices(services=[("MAIN", "FILM")])
            client.perform(add, subscription=HEARD.split()[0])
            with _watching(tmp_path, server) as lines:
                assert next(lines) == HEARD
        assert " on 1002 for 0012345678" in (tmp_path / "adapter.log").read_text()
        for _ in range(2):
            assert _printed(FAKE, tmp_path / "fake.py", server) == FAKED
    with closing(sqlite3.connect(tmp_path / "crm.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM note").fetchone() == (2,)


@pytest.mark.parametrize("kind", ["ACTIVATE_SERVICE", "DEACTIVATE_SERVICE"])
def test_the_adapter_switches_a_service_for_its_cards(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = runpy.run_path(str(_written(tmp_path / "adapter.py", ADAPTER)))
    sport = ProvisionedService(service="SPORT", provider_service_id="1001", distributor="MAIN")
    sport.items.add(serial_number="0012345678", provider_goods_type="CARD")
    sport.items.add(serial_number="B-4711", provider_goods_type="STB")

    testing.run(shown["adapter"], testing.request(kind, service=sport))

    assert capsys.readouterr().out.endswith("1001 for 0012345678\n")


def test_the_adapter_accepts_nothing_that_it_does_not_do(tmp_path: Path) -> None:
    shown = runpy.run_path(str(_written(tmp_path / "adapter.py", ADAPTER)))
    given_back = [
        RequestType.name_of(each)
        for each in RequestType.values()
        if testing.run(shown["adapter"], testing.request(each)).error_code == "UNKNOWN_TYPE"
    ]
    done = {"BECOME_SUBSCRIBER", "ACTIVATE_SERVICE", "DEACTIVATE_SERVICE"}
    assert {*given_back} == {RequestType.name_of(each) for each in RequestType.values()} - done


@pytest.mark.timeout(120)
def test_the_adapter_that_puts_the_whole_set_serves(tmp_path: Path) -> None:
    with Server(tmp_path) as server, Client(server.address) as crm:
        _run(*_apply_command(), server=server)
        with _adapter(TARGET, tmp_path, server):
            family = actions.BecomeSubscriber(
                type="DTH",
                provider="ALUXSAT",
                items=[("MAIN", "SMARTCARD", "0012345678"), ("MAIN", "DECODER", "B-4711")],
                services=[("MAIN", "SPORT")],
            )
            done = crm.perform(family, subscription="S1").action
            crm.get_action(done.id, wait=timedelta(seconds=30))
        (link,) = crm.get_subscription("S1").provider_links
    assert link.account_number == "OTT-S1"
    told = (tmp_path / "adapter.log").read_text()
    assert told == "1 requests: S1 ['B-4711', '0012345678'] ['1001']\n"


def test_the_tests_shown_pass(tmp_path: Path) -> None:
    _written(tmp_path / "adapter.py", ADAPTER)
    test = _written(tmp_path / "test_adapter.py", TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test.name]
    tested = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr


@contextmanager
def _watching(folder: Path, server: Server) -> Iterator[Iterator[str]]:
    """Runs the CRM that watches. Yields the lines that it prints, and checks that it ends without
    an error at Ctrl-C.
    """
    # without this handler, programs would ignore SIGINT if the tests run in the background
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code = _written(folder / "watch.py", heard + WATCH.replace(ADDRESS, server.address))
    command = [sys.executable, str(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        try:
            assert process.stdout
            yield iter(process.stdout)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def test_the_provider_shown_is_the_file_that_is_applied() -> None:
    assert blocks("toml") == [(ROOT / PROVIDER).read_text(encoding="utf-8")]


def test_the_table_of_settings_is_that_of_the_server() -> None:
    rows = [_row(line) for line in OPERATIONS.splitlines() if "| `GENERIC_PROVIDER_" in line]

    assert rows == [
        [f"`{s.option}`", f"`{s.variable}`", _default(s), s.description] for s in DESCRIBED.values()
    ]


def test_what_the_pages_link_to_exists() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    links = [
        page.parent / link
        for page in pages
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    ]

    assert [link for link in links if not link.exists()] == []


def _code() -> dict[str, str]:
    return {
        "adapter.py": ADAPTER,
        "target.py": TARGET,
        "test_adapter.py": TEST,
        "crm.py": CRM,
        "fake.py": FAKE,
        "watch.py": WATCH,
        "raw_adapter.py": RAW_ADAPTER,
    }


def _printed(code: str, file: Path, server: Server) -> str:
    script = _written(file, code.replace(ADDRESS, server.address))
    return _run(sys.executable, str(script), server=server).stdout


def _written(file: Path, code: str) -> Path:
    file.write_text(code, encoding="utf-8")
    return file


def _apply_command() -> list[str]:
    """Returns the README's command that creates the provider, changed to run the program of these
    tests.
    """
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
def _adapter(shown: str, folder: Path, server: Server) -> Iterator[None]:
    """Runs an adapter of the README, and checks that it ends without an error after SIGTERM."""
    code = _written(folder / "adapter.py", shown.replace(ADDRESS, server.address))
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
