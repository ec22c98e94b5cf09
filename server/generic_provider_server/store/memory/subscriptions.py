"""Keeps the committed state of recently used subscriptions in memory, because soon after a change
of a subscription the answer of an adapter needs the subscription again.

If other processes write to the database, the revision of a cached subscription is compared with the
revision in the database before the cached state is used.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from ...domain.lane import Lane
from ...domain.subscription.aggregate import Aggregate
from ...domain.subscription.names_changed import uses_added
from ...domain.subscription.names_used import Use, goods_named, uses_of
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


class Kept(Value, frozen=True):
    record: SubscriptionRecord
    lanes: Mapping[str, Lane]
    names: Names | None


class RecentSubscriptions:
    def __init__(self) -> None:
        # after many removals, a plain dict finds its oldest key slowly
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def get(self, subscription: str) -> Kept | None:
        return self._kept.get(subscription)

    def keep(self, subscription: str, kept: Kept) -> None:
        if subscription in self._kept:
            self._kept.move_to_end(subscription)
        self._kept[subscription] = kept
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    def forget(self) -> None:
        self._kept.clear()
