"""Random histories of one subscription, with simulated platforms as the truth.

A failure tells the steps of the shortest history found that leads to it, and its story.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from generic_provider_server.domain.values import RequestState
from support.fresh import play_fresh
from support.lifetimes import CALM, STORMY, UNREFUSED, Lifetime, Step, providers
from support.must_hold import check_confirmed

HISTORIES = 500
COUNTS = pytest.mark.parametrize("count", [1, 2], ids=["one provider", "two providers"])

Steps = Sequence[tuple[Step, int]]


@COUNTS
async def test_whatever_happens_what_is_in_sync_is_on_the_platform(count: int) -> None:
    async def play(start: int, steps: Steps, story: list[str]) -> None:
        lifetime = Lifetime(providers()[:count], tell=story.append)
        lifetime.play(start, steps)
        lifetime.drain()
        lifetime.heal()

    await play_fresh("stormy", count, count=HISTORIES, weights=STORMY, play=play)


@COUNTS
async def test_no_order_that_nobody_refused_is_lost(count: int) -> None:
    async def play(start: int, steps: Steps, story: list[str]) -> None:
        lifetime = Lifetime(providers()[:count], tell=story.append, refusing=False)
        lifetime.play(start, steps)
        lifetime.drain()
        rejected = [f for f in lifetime.life.finals.values() if f.state is RequestState.REJECTED]
        assert not rejected

    await play_fresh("unrefused", count, count=HISTORIES, weights=UNREFUSED, play=play)


@COUNTS
async def test_without_doubt_the_platform_is_confirmed_to_hold_what_is_wanted(count: int) -> None:
    async def play(start: int, steps: Steps, story: list[str]) -> None:
        lifetime = Lifetime(providers()[:count], tell=story.append)
        lifetime.play(start, steps)
        lifetime.drain()
        check_confirmed(lifetime.life)

    await play_fresh("calm", count, count=HISTORIES, weights=CALM, play=play)
