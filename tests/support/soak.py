"""Gives tests two forms: a short form, and a long form for `make soak`, marked `soak`."""

from __future__ import annotations

import os

import pytest

ROUNDS = int(os.environ.get("ROUNDS", "1"))
"""`make soak ROUNDS=n` runs n times as many rounds and histories as `make soak`."""

LONGER = 5
"""A chunk is one parametrised case of a test, and plays several random histories. If a chunk of the
short form plays n histories, a chunk of the long form plays LONGER times n, so that pytest must
collect fewer cases.
"""


def forms(name: str, *, suite: object, soak: object) -> pytest.MarkDecorator:
    """Returns a mark that gives the test's argument the value `suite` in the short form, and `soak`
    in the long form.
    """
    both = [pytest.param(suite, id="suite"), pytest.param(soak, id="soak", marks=pytest.mark.soak)]
    return pytest.mark.parametrize(name, both)


def histories(*, suite: int, soak: int, at_once: int) -> pytest.MarkDecorator:
    """Returns a mark for a test with two arguments: `chunk` is the name of a chunk of histories,
    and `count` is the number of histories in the chunk. `make test-quick` plays only the first
    chunk.
    """
    few = [
        pytest.param(f"{n}", at_once, id=f"{n}", marks=[pytest.mark.slow] if n else [])
        for n in range(suite // at_once)
    ]
    longer = LONGER * at_once
    many = [
        pytest.param(f"soak {n}", longer, id=f"soak {n}", marks=pytest.mark.soak)
        for n in range(-(-soak * ROUNDS // longer))
    ]
    return pytest.mark.parametrize(("chunk", "count"), [*few, *many])
