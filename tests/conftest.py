from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from support.postgres import Databases, databases

# How long an example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """A PostgreSQL on which tests make databases of their own."""
    with databases() as found:
        yield found
