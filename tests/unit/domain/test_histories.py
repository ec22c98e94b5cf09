"""Random histories of one subscription at two providers, with simulated platforms as the truth.

A failure tells the steps of the shortest history found that leads to it, and its story.
"""

from __future__ import annotations

import pytest
from hypothesis import given, note, seed, settings

from generic_provider_server.domain.values import RequestState
from support.lifetimes import CALM, SEEDS, STORMY, UNREFUSED, Lifetime, Step, histories, providers
from support.must_hold import check_confirmed

CHUNKS = 4
SHRINKING = pytest.mark.timeout(600)
"""What a failing history needs to become a short one; one that holds takes seconds."""

few = settings(max_examples=75, deadline=None, database=None)


@SHRINKING
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_happens_what_is_in_sync_is_on_the_platform(chunk: int) -> None:
    @seed(chunk)
    @few
    @given(start=SEEDS, steps=histories(STORMY))
    def play(start: int, steps: list[tuple[Step, int]]) -> None:
        lifetime = Lifetime(providers(), tell=note)
        lifetime.play(start, steps)
        lifetime.drain()
        lifetime.heal()

    play()


@SHRINKING
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_order_that_nobody_refused_is_lost(chunk: int) -> None:
    @seed(chunk)
    @few
    @given(start=SEEDS, steps=histories(UNREFUSED))
    def play(start: int, steps: list[tuple[Step, int]]) -> None:
        lifetime = Lifetime(providers(), tell=note, refusing=False)
        lifetime.play(start, steps)
        lifetime.drain()
        rejected = [f for f in lifetime.life.finals.values() if f.state is RequestState.REJECTED]
        assert not rejected

    play()


@SHRINKING
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_without_doubt_the_platform_is_confirmed_to_hold_what_is_wanted(chunk: int) -> None:
    @seed(chunk)
    @few
    @given(start=SEEDS, steps=histories(CALM))
    def play(start: int, steps: list[tuple[Step, int]]) -> None:
        lifetime = Lifetime(providers(), tell=note)
        lifetime.play(start, steps)
        lifetime.drain()
        check_confirmed(lifetime.life)

    play()
