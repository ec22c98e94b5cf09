"""Distributes the tests among the processes of a run.

The marks of pytest-xdist for this purpose have no effect with pytest 9.2.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from zlib import crc32

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parents[1]
UNIT = TESTS / "unit"


class Distribution(LoadScopeScheduling):
    """Gives a module whose tests share a fixture to one process, and every other test to the next
    process that is free.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _unit(nodeid)


def mix(items: list[pytest.Item]) -> None:
    """Puts the tests into a mixed order, so that tests that wait run beside tests that compute. The
    many short tests of `unit` are the last, so that all processes end at the same time.
    """
    items.sort(key=lambda item: (UNIT in item.path.parents, crc32(_unit(item.nodeid).encode())))


def _unit(nodeid: str) -> str:
    module = nodeid.partition("::")[0]
    return module if _shares_a_fixture(module) else nodeid


@cache
def _shares_a_fixture(module: str) -> bool:
    return 'scope="module"' in (TESTS.parent / module).read_text(encoding="utf-8")
