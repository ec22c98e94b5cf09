"""Finds examples of the subscriptions and scheduled actions that use a part of a provider."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from msgspec import MsgspecError

from ..commands.providers import PartInUse
from ..domain.refusals import Refused
from ..domain.subscription.names_used import Use, uses_named, uses_of
from ..domain.subscription.records import ActionState, action_id
from ..store.read.filters import ActionFilter, SubscriptionFilter
from ..store.read.queries import Queries
from ..store.store import Store

MOST_NAMED = 10
MOST_EXAMINED = 1_000
"""The greatest number of subscriptions of the provider, and of scheduled actions, that are examined
for one refusal.
"""
AT_ONCE = 100
"""The greatest number of subscriptions or actions that one query examines, so that other queries do
not wait long.
"""


async def with_users(store: Store, refused: PartInUse) -> PartInUse:
    """Returns the refusal with up to MOST_NAMED users of the part in its text. Subscriptions are
    searched first, then scheduled actions. Each of the two searches ends early if the database or
    an examined object cannot be read.
    """
    found = list[str]()
    for page_of in _subscriptions, _scheduled:
        last = ""
        with suppress(MsgspecError, Refused):
            for _ in range(MOST_EXAMINED // AT_ONCE):
                if len(found) >= MOST_NAMED:
                    break
                page, last = await store.read(partial(page_of, use=refused.use, last=last))
                found += page
                if not last:
                    break
    if not found:
        return refused
    every = len(found) == refused.count <= MOST_NAMED
    named = f"{': ' if every else ', for example '}{', '.join(found[:MOST_NAMED])}"
    return PartInUse(
        refused.message + named, use=refused.use, thing=refused.thing, count=refused.count
    )


def _subscriptions(queries: Queries, *, use: Use, last: str) -> tuple[list[str], str]:
    """Returns the subscriptions after `last` that use the part. Also returns the last examined
    subscription, or an empty text if there are no further subscriptions.
    """
    wanted = SubscriptionFilter(provider=use[0])
    page = [each.aggregate for each in queries.subscriptions(wanted, after=last, limit=AT_ONCE)]
    found = [each.desired.number for each in page if use in uses_of(each)]
    return found, page[-1].desired.number if len(page) == AT_ONCE else ""


def _scheduled(queries: Queries, *, use: Use, last: str) -> tuple[list[str], str]:
    """Does the same as `_subscriptions` for scheduled actions, beginning with the newest action."""
    wanted = ActionFilter(states=(ActionState.SCHEDULED,))
    page = queries.actions(wanted, before=int(last or 0), limit=AT_ONCE)
    found = [action_id(each.id) for each in page if each.action and use in uses_named(each.action)]
    return found, str(page[-1].id) if len(page) == AT_ONCE else ""
