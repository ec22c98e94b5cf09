"""Computes *expected* for each unit of a queue."""

from __future__ import annotations

from itertools import takewhile
from typing import NamedTuple

from ..platform.image import PlatformImage, unexpired
from ..platform.request_effects import effects
from ..values import Instant
from .aggregate import Link
from .pending_requests import Pending


class Fold(NamedTuple):
    """The first `done` requests of a queue. `last` is the last of these requests; `image` is
    *confirmed* with their effects.
    """

    confirmed: PlatformImage
    done: int
    last: Pending | None
    image: PlatformImage

    def continues(self, link: Link, before_unit: int | None) -> bool:
        """Tells whether `image` can be used for the link: *confirmed* has not changed, and the
        first `done` requests of the queue are still the same and belong to units before
        `before_unit`.
        """
        if self.confirmed is not link.confirmed or self.last is None:
            return False
        heads = len(link.queue) >= self.done and link.queue[self.done - 1] is self.last
        return heads and (before_unit is None or self.last.unit < before_unit)


def expected_of(
    link: Link, *, now: Instant, before_unit: int | None, folds: dict[str, Fold]
) -> PlatformImage:
    """Returns `Link.expected` of a link that changes.

    `folds`: the previous computation for each provider, which the new computation replaces. A
    computation continues the previous computation if *confirmed* and the requests that the previous
    computation used have not changed, and these requests all belong to earlier units. So the
    computations for all units, in the order of the units, together take only as long as the
    computation for the last unit.
    """
    fold = folds.get(link.provider)
    if fold is None or not fold.continues(link, before_unit):
        fold = Fold(link.confirmed, 0, None, unexpired(link.confirmed, now=now))
    rest = link.queue[fold.done :]
    if before_unit is not None:
        rest = tuple(takewhile(lambda pending: pending.unit < before_unit, rest))
    if rest:
        reached = effects(fold.image, [pending.request for pending in rest])
        image = unexpired(reached, now=now)
        fold = Fold(link.confirmed, fold.done + len(rest), rest[-1], image)
    folds[link.provider] = fold
    return fold.image
