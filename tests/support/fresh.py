"""Gives tests random numbers.

Every run has a new seed, so that each run makes other random choices. pytest's header and every
failure show the seed; a run with the same GENERIC_PROVIDER_TEST_SEED makes the same choices.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

VARIABLE = "GENERIC_PROVIDER_TEST_SEED"
SEED = os.environ.setdefault(VARIABLE, str(secrets.randbelow(10**9)))
"""The seed is in the environment, so that all processes of a run have the same seed."""

STEPS = 40

Kind = TypeVar("Kind")
Step = TypeVar("Step")
Play = Callable[[int, Sequence[tuple[Kind, int]], list[str]], Awaitable[None]]
"""Plays a history. The arguments are the seed of the start, the steps, each with its seed, and a
list to which the function appends the story, one line for each event. The function raises an
exception if a rule is broken.
"""


def dice(*names: object) -> random.Random:
    """Returns a source of random numbers that depends only on the seed of the run and the names."""
    return random.Random(f"{SEED} {names}")


async def play_fresh(
    *names: object,
    count: int,
    weights: Mapping[Kind, int],
    play: Play[Kind],
    alone: Play[Kind] | None = None,
) -> None:
    """Plays this many new histories.

    A history that fails is shortened, and shown with its story. If the histories of `play` share a
    store, `alone` must play a history on a store of its own.
    """
    source = dice(*names)
    for _ in range(count):
        start = source.getrandbits(60)
        kinds = source.choices(list(weights), list(weights.values()), k=STEPS)
        steps = [(kind, source.getrandbits(20)) for kind in kinds]
        story: list[str] = []
        try:
            await play(start, steps, story)
        except Exception as error:
            told = await _shortest_failure(alone or play, start, steps)
            told = told or [*story[-200:], f"fails only after other histories: {error!r}"]
            raise AssertionError("\n".join([f"{VARIABLE}={SEED}", *told])) from error


async def _shortest_failure(
    play: Play[Kind], start: int, steps: Sequence[tuple[Kind, int]]
) -> list[str]:
    """Returns the story of the shortest history that fails, or an empty list if none fails."""

    async def failure(steps: Sequence[tuple[Kind, int]]) -> list[str]:
        story: list[str] = []
        try:
            await play(start, steps, story)
        except Exception as error:  # noqa: BLE001 - whatever it is, the history fails
            return [f"start={start}, steps={steps}", *story[-200:], repr(error)]
        return []

    return await failure(await shortest(steps, failure))


async def shortest(
    steps: Sequence[Step], fails: Callable[[Sequence[Step]], Awaitable[object]]
) -> Sequence[Step]:
    """Leaves out the steps that the failure does not need: first large parts, then single steps."""
    kept, size = steps, len(steps)
    while size:
        before = len(kept)
        for start in reversed(range(0, before, size)):
            fewer = [*kept[:start], *kept[start + size :]]
            if await fails(fewer):
                kept = fewer
        if size > 1 or len(kept) == before:
            size //= 2
    return kept
