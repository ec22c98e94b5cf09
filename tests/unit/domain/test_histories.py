"""Plays random histories of one subscription, and compares them with simulated platforms.

A failure shows the steps and the story of the shortest failing history that was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from generic_provider_server.domain.values import Provider, RequestState
from support.figures import Figure
from support.fresh import play_fresh
from support.lifetimes import CALM, STORMY, UNREFUSED, Lifetime, Step, providers
from support.must_hold import check_confirmed
from support.soak import histories
from support.worlds import world

FRESH = histories(suite=500, soak=8_500, at_once=250)
PROVIDERS = pytest.mark.parametrize("among", ["two providers", "any providers"])
HISTORIES = "histories on the domain"

Steps = Sequence[tuple[Step, int]]


def providers_for(among: str, start: int) -> list[Provider]:
    return providers() if among == "two providers" else world(Random(start))


@PROVIDERS
@FRESH
async def test_whatever_happens_what_is_in_sync_is_on_the_platform(
    among: str, chunk: str, count: int, figure: Figure
) -> None:
    async def play(start: int, steps: Steps, story: list[str]) -> None:
        lifetime = Lifetime(providers_for(among, start), tell=story.append)
        lifetime.play(start, steps)
        lifetime.answer_all()
        lifetime.heal()

    await play_fresh("stormy", among, chunk, count=count, weights=STORMY, play=play)
    figure(HISTORIES, count)


@PROVIDERS
@FRESH
async def test_no_order_that_nobody_refused_is_lost(
    among: str, chunk: str, count: int, figure: Figure
) -> None:
    async def play(start: int, steps: Steps, story: list[str]) -> None:
        lifetime = Lifetime(providers_for(among, start), tell=story.append, refusing=False)
        lifetime.play(start, steps)
        lifetime.answer_all()
        rejected = [f for f in lifetime.life.finals.values() if f.state is RequestState.REJECTED]
        assert not rejected

    await play_fresh("unrefused", among, chunk, count=count, weights=UNREFUSED, play=play)
    figure(HISTORIES, count)


@PROVIDERS
@FRESH
async def test_without_doubt_the_platform_is_confirmed_to_hold_what_is_wanted(
    among: str, chunk: str, count: int, figure: Figure
) -> None:
    async def play(start: int, steps: Steps, story: list[str]) -> None:
        lifetime = Lifetime(providers_for(among, start), tell=story.append)
        lifetime.play(start, steps)
        lifetime.answer_all()
        check_confirmed(lifetime.life)

    await play_fresh("calm", among, chunk, count=count, weights=CALM, play=play)
    figure(HISTORIES, count)
