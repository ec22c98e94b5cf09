"""What is computed the short way is what the slow way gives."""

from __future__ import annotations

from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from generic_provider_server.domain.platform.compare import compare
from generic_provider_server.domain.platform.effect import effect, effects
from generic_provider_server.domain.platform.plan import plan
from generic_provider_server.domain.subscription.aggregate import Aggregate
from generic_provider_server.domain.subscription.differences import differences
from generic_provider_server.domain.subscription.ledger import Ledger
from generic_provider_server.domain.values import SyncState
from support.lifetimes import STORMY, Lifetime, Step, histories
from support.lifetimes import providers as known_providers


class Watched(Lifetime):
    """After each step, every shortcut is compared with the computation that it saves."""

    def _take(self, step: Step) -> None:
        super()._take(step)
        self.watch(self.life.there)

    def watch(self, there: Aggregate) -> None:
        ledger = Ledger(there, self.life.circumstances)
        for link in there.links:
            catalogue = self.life.catalogues[link.provider]
            held, wanted = link.expected(now=self.life.now), self.life.wanted(link.provider)
            needed = plan(held, wanted, catalogue=catalogue)
            told = differences(link, there.desired, catalogue=catalogue, now=self.life.now)
            assert bool(needed) == bool(told) == bool(compare(held, wanted))
            queue = [pending.request for pending in link.queue]
            assert effects(link.confirmed, queue) == reduce(effect, queue, link.confirmed)
            for pending in link.queue:
                slow = link.expected(now=self.life.now, before_unit=pending.unit)
                assert ledger.expected(link.provider, before_unit=pending.unit) == slow
            assert ledger.expected(link.provider) == held
            assert ledger.image(there.desired, catalogue) == wanted
            in_time = SyncState.PENDING if link.queue else SyncState.IN_SYNC
            assert link.sync_state is (SyncState.OUT_OF_SYNC if needed else in_time)


@settings(max_examples=100)
@given(start=st.integers(0, 2**20 - 1), steps=histories(STORMY))
def test_every_shortcut_equals_the_slow_way(start: int, steps: list[tuple[Step, int]]) -> None:
    Watched(known_providers(), tell=lambda _: None).play(start, steps)
