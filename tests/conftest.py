from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support import fresh
from support.postgres import Databases, databases

# How long an example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("untimed")

SEED = f"{fresh.VARIABLE}={fresh.SEED}"

STORES = ("sqlite", "postgresql")
"""Every kind of store passes the whole suite; a new kind is a name here and a case in `url`."""


def pytest_report_header() -> str:
    return f"chance: {SEED}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        report.sections.append(("chance", SEED))
    return report


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """A PostgreSQL on which tests make databases of their own."""
    with databases() as found:
        yield found


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of one kind."""
    match request.param:
        case "sqlite":
            yield f"sqlite:///{tmp_path / 'store.db'}"
        case "postgresql":
            postgres: Databases = request.getfixturevalue("postgres")
            yield (made := postgres.create_database())
            postgres.drop_database(made)
        case kind:
            raise ValueError(f"no database for a store of kind {kind!r}")
