from __future__ import annotations

import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def test_a_plain_install_needs_what_a_grpc_client_needs_and_nothing_else() -> None:
    plain = [
        each for each in map(Requirement, requires("generic-provider") or ()) if not each.marker
    ]

    assert {each.name for each in plain} == {"googleapis-common-protos", "grpcio", "protobuf"}


def test_the_lock_file_pins_a_fitting_version_of_everything_asked_for() -> None:
    pinned = dict(
        line.split()[0].split("==") for line in _lock_file().splitlines() if line[:1].isalnum()
    )

    for each in _asked_for():
        assert each.specifier.contains(pinned[each.name]), each


def test_the_lock_file_names_no_host() -> None:
    assert "://" not in _lock_file()
    assert "--index-url" not in _lock_file()


def _lock_file() -> str:
    return (ROOT / "requirements.lock").read_text()


def _asked_for() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    groups = [project["project"]["dependencies"], project["dependency-groups"]["dev"], *extras]
    return [Requirement(line) for group in groups for line in group]
