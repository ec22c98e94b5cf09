"""Tests when a reset run need not examine subscriptions for its guard."""

from __future__ import annotations

from collections import Counter

from generic_provider_server.domain.resets.records import GUARD_LEAST, ResetDefinition
from generic_provider_server.services.surveying import Totals, passes_guard
from support.fresh import dice


def test_a_run_that_passes_is_not_held_however_many_would_lose_an_entitlement() -> None:
    chance, outcomes = dice("guard"), Counter[bool]()
    for _ in range(600):
        percent, first = chance.choice([0.5, 5.0, 10.0, 50.0]), chance.choice([None, 1, 5, 12, 40])
        definition = ResetDefinition(
            name="x", provider="P", max_switch_off_percent=percent, first=first
        )
        besides, candidates = chance.randrange(2 * GUARD_LEAST), chance.randrange(60)
        passes = passes_guard(definition, candidates=candidates, besides=besides)
        held = any(
            Totals(losing, Counter(), besides + holding, losing, ()).held(definition)
            for holding in range(candidates + 1)
            for losing in range(min(holding, candidates if first is None else first) + 1)
        )
        assert not (passes and held)
        assert passes is not held or first is not None
        outcomes[passes] += 1
    assert min(outcomes[True], outcomes[False]) > 20
