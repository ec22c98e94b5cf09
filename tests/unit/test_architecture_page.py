"""Tests that the map in docs/architecture.md names every module."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "server/generic_provider_server", ROOT / "client/generic_provider")
WITHOUT_MODULES = {"v1", "migrations"}
"""Folders with generated code, or with files that are described together."""


def test_the_map_names_every_module() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    the_map = page[page.index("## The map") : page.index("## From an action")]
    named = set(re.findall(r"`([\w*]+)`", the_map))

    missing = [name for name in _modules() if not any(fnmatch(name, each) for each in named)]

    assert missing == []


def test_the_page_names_no_file_that_does_not_exist() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if _is_ours(path)}

    named = set(re.findall(r"`([\w/]+\.py)`", page))

    assert [
        name for name in named if not any(f"/{each}".endswith(f"/{name}") for each in files)
    ] == []


def _modules() -> list[str]:
    return sorted(
        path.stem
        for package in PACKAGES
        for path in package.rglob("*.py")
        if path.stem != "__init__" and not WITHOUT_MODULES & set(path.parts)
    )


def _is_ours(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
