"""Keeps recently used subscriptions in memory, because soon after a change of a subscription the
answer of an adapter needs the subscription again.

If other processes write to the database, the revision of a cached subscription is compared with the
revision in the database before the cached subscription is used.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ...domain.lane import Lane
from ...domain.subscription.aggregate import Aggregate
from ...domain.subscription.names_changed import uses_added
from ...domain.subscription.names_used import Use, goods_named, uses_of
from ...domain.subscription.pending_requests import Pending
from ...domain.subscription.records import SubscriptionRecord
from ...domain.subscription.transition import Transition
from ...domain.values import Goods, Value

MOST_KEPT = 5_000


class Names(Value, frozen=True):
    """The items and the parts of providers that a subscription uses."""

    goods: set[Goods]
    uses: frozenset[Use]


NO_NAMES = Names(set(), frozenset())


def names_of(aggregate: Aggregate) -> Names:
    return Names(goods_named(aggregate), uses_of(aggregate))


def names_after(former: Aggregate | None, names: Names, transition: Transition) -> Names:
    """Returns the names after the transition. `former`: the state before the transition. `names`:
    the names in the state `former`.
    """
    added = uses_added(former, transition) if former else None
    if added is None:
        return names_of(transition.aggregate)
    return names if added <= names.uses else Names(names.goods, names.uses | added)


@dataclass(slots=True, eq=False)
class LoadedSubscription:
    """A subscription with its lanes, as the running transaction has changed them. Only the writer's
    thread uses the object. If a transaction fails, the writer drops all cached subscriptions.

    `record`: None if the subscription does not exist. `stored`: the state in the database, or None.
    `names`: the names of `record`; None if they are the same as the names of `stored`.
    `stored_names`: the names of `stored`; None if nobody has collected them yet.
    """

    number: str
    record: SubscriptionRecord | None = None
    lanes: dict[str, Lane] = field(default_factory=dict)
    stored: Aggregate | None = None
    names: Names | None = None
    stored_names: Names | None = None

    @property
    def revision(self) -> int | None:
        return self.record.revision if self.record else None

    def lane(self, provider: str) -> Lane:
        return self.lanes.get(provider) or Lane(provider=provider, subscription=self.number)

    def queue(self, provider: str) -> tuple[Pending, ...]:
        return self.record.aggregate.queue(provider) if self.record else ()

    def leased(self, provider: str) -> frozenset[int]:
        """Returns the numbers of the requests that the live lease at the provider covers."""
        lane = self.lanes.get(provider)
        return lane.leased(self.queue(provider)) if lane and lane.lease_until else frozenset()

    def former_names(self) -> Names:
        """Returns the names of `stored`."""
        if self.stored_names is None:
            self.stored_names = NO_NAMES if self.stored is None else names_of(self.stored)
        return self.stored_names

    def note_stored(self) -> None:
        """Records that the database contains `record` now."""
        self.stored = self.record.aggregate if self.record else None
        if self.names is not None:
            self.stored_names, self.names = self.names, None


class RecentSubscriptions:
    def __init__(self) -> None:
        # after many removals, a plain dict finds its oldest key slowly
        self._kept: OrderedDict[str, LoadedSubscription] = OrderedDict()

    def get(self, number: str) -> LoadedSubscription | None:
        return self._kept.get(number)

    def keep(self, subscriptions: Iterable[LoadedSubscription]) -> None:
        """Caches the subscriptions that exist."""
        kept = self._kept
        for each in subscriptions:
            if each.record is not None:
                kept[each.number] = each
                kept.move_to_end(each.number)
        while len(kept) > MOST_KEPT:
            kept.popitem(last=False)

    def forget(self) -> None:
        self._kept.clear()
