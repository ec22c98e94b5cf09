"""Random histories of one subscription at two providers, with simulated platforms as the truth.

A failure tells the steps of the shortest history found that leads to it, and its story.
"""

from __future__ import annotations

import pytest
from hypothesis import given, note, seed, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from generic_provider_server.domain.values import (
    DeliverySettings,
    Provider,
    Service,
    ServiceKind,
)
from support.catalogues import aluxsat, ott
from support.lifetimes import CALM, STORMY, Lifetime, Step
from support.must_hold import check_confirmed

CHUNKS = 4
STEPS = 40
SEEDS = st.integers(0, 2**20 - 1)
SHRINKING = pytest.mark.timeout(600)
"""What a failing history needs to become a short one; one that holds takes seconds."""

few = settings(max_examples=75, deadline=None, database=None)


def providers() -> list[Provider]:
    """Both post usage; one gives up after three attempts, the other after five."""
    rent = Service(code="RENT", provider_service_id="R", kind=ServiceKind.USAGE)
    return [
        replace(
            provider,
            services=(*provider.services, rent),
            delivery_settings=DeliverySettings(max_delivery_attempts=attempts),
        )
        for provider, attempts in ((aluxsat(), 3), (ott(), 5))
    ]


def histories(weights: dict[Step, int]) -> st.SearchStrategy[list[tuple[Step, int]]]:
    kinds = [kind for kind, weight in weights.items() for _ in range(weight)]
    step = st.tuples(st.sampled_from(kinds), SEEDS)
    return st.lists(step, min_size=STEPS, max_size=STEPS)


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
