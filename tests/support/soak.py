"""Tests in two forms: a short one in the suite, and a long one, marked `soak`, in `make soak`."""

from __future__ import annotations

import os

import pytest

ROUNDS = int(os.environ.get("ROUNDS", "1"))
"""How many times as long as usual `make soak` takes."""


def forms(name: str, *, suite: object, soak: object) -> pytest.MarkDecorator:
    """The test's argument in each of its forms."""
    both = [pytest.param(suite, id="suite"), pytest.param(soak, id="soak", marks=pytest.mark.soak)]
    return pytest.mark.parametrize(name, both)


def histories(*, suite: int, soak: int, at_once: int) -> pytest.MarkDecorator:
    """The arguments `chunk`, a name, and `count` of a test that plays so many histories."""
    few = [pytest.param(f"{n}", at_once, id=f"{n}") for n in range(suite // at_once)]
    many = [
        pytest.param(f"soak {n}", at_once, id=f"soak {n}", marks=pytest.mark.soak)
        for n in range(soak * ROUNDS // at_once)
    ]
    return pytest.mark.parametrize(("chunk", "count"), [*few, *many])
