from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer

from generic_provider_server.store.opening import engine_of
from support import fresh
from support.distribution import Distribution, mix
from support.figures import Figure, lines
from support.folders import use_memory
from support.postgres import Databases, Remembered, databases
from support.postgres_programs import WANTED

# The examples of Hypothesis have no deadline, because the duration of an example depends on the
# machine.
settings.register_profile("untimed", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("untimed")

use_memory()

FAILED = pytest.StashKey[bool]()
SEED = f"{fresh.VARIABLE}={fresh.SEED}"

STORES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))
"""The kinds of stores. Each test of a store runs with every kind. A new kind needs a name here and
a case in the fixture `url`.
"""


@pytest.fixture(autouse=True)
def _closing_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generic_provider_server.store.notices.listener.POLL_SECONDS", 0.02)


def pytest_report_header() -> str:
    return f"chance: {SEED}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
        report.sections.append(("chance", SEED))
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Returns the number of processes: with `-n auto` three for each core, because many tests
    mostly wait.
    """
    return len(os.sched_getaffinity(0)) * (3 if config.option.numprocesses == "auto" else 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Distribution:
    return Distribution(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        mix(items)
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.timeout(0), append=False)
        if isinstance(item, pytest.Function) and "postgres" in item.fixturenames:
            item.add_marker(pytest.mark.postgresql)


def pytest_collection_finish() -> None:
    """Excludes the present objects from garbage collection, because these objects stay until the
    end of the run.
    """
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("debian"):
        package, program = mark.args
        if not shutil.which(program):
            pytest.skip(f"needs Debian's package {package}")


@pytest.fixture
def figure(record_property: Figure) -> Figure:
    return record_property


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    told = [each for report in reports if report.when == "call" for each in report.user_properties]
    wanted = os.environ.get(WANTED)
    terminalreporter.section(f"figures, {SEED}" + (f" {WANTED}={wanted}" if wanted else ""))
    for line in lines(told):
        terminalreporter.line(line)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """A PostgreSQL server on which a test makes its own databases."""
    with databases() as found:
        yield found


def _prepare(url: str) -> None:
    engine = engine_of(url)
    engine.prepare()
    engine.close()


@pytest.fixture(scope="session")
def _empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a database with the service's tables. Each test copies the file instead of making
    tables.
    """
    file = tmp_path_factory.mktemp("empty") / "store.db"
    _prepare(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def _remembered(postgres: Databases) -> Iterator[Remembered]:
    """A database with the service's tables, which the tests use one after the other."""
    remembered = Remembered(postgres, _prepare)
    yield remembered
    remembered.drop()


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, _remembered: Remembered) -> Iterator[str]:
    """The URL of an empty database on PostgreSQL."""
    yield _remembered.url
    if request.node.stash.get(FAILED, False):
        # the failed test may have left a store open, and this store may still change the database
        _remembered.make_another()
    else:
        _remembered.restore()


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database. Each test runs once for each kind of database."""
    match request.param:
        case "sqlite":
            empty = request.getfixturevalue("_empty_file")
            return f"sqlite:///{shutil.copy(empty, tmp_path / 'store.db')}"
        case "postgresql":
            return str(request.getfixturevalue("postgres_url"))
        case kind:
            raise ValueError(f"no database for a store of kind {kind!r}")
