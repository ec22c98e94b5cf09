"""Tests that a value that is computed by a shortcut equals the value of the full computation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from generic_provider_server.domain.platform.compare import compare
from generic_provider_server.domain.platform.plan import plan
from generic_provider_server.domain.platform.request_effects import effect, effects
from generic_provider_server.domain.subscription.aggregate import Aggregate
from generic_provider_server.domain.subscription.differences import differences
from generic_provider_server.domain.subscription.ledger import Ledger
from generic_provider_server.domain.values import SyncState
from support.fresh import play_fresh
from support.lifetimes import STORMY, Lifetime, Step, providers


class Watched(Lifetime):
    """Plays a lifetime. After each step, compares the result of every shortcut with the result of
    the full computation.
    """

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


async def test_every_shortcut_equals_the_slow_way() -> None:
    async def play(start: int, steps: Sequence[tuple[Step, int]], story: list[str]) -> None:
        Watched(providers(), tell=story.append).play(start, steps)

    await play_fresh("caches", count=100, weights=STORMY, play=play)
