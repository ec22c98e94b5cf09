"""Lists the changes of a subscription that the service will make by itself, with their times."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from generic_provider import Subscription, SubscriptionAction, SubscriptionState

from .actions import asked, what_and_who

ENDED = (SubscriptionState.CANCELLED, SubscriptionState.REGRETTED)


def coming(subscription: Subscription, scheduled: Iterable[SubscriptionAction]) -> list[str]:
    """Returns one line for each automatic end and each scheduled action, in the order of their
    times.
    """
    found = [(_time(each.performed, "schedule_time"), _action(each)) for each in scheduled]
    if subscription.state not in ENDED:
        found += _ends(subscription)
    return [f"  {time:%Y-%m-%d %H:%M:%SZ} {text}" for time, text in sorted(found)]


def _action(action: SubscriptionAction) -> str:
    contents = asked(action.performed)
    return f"{action.id} {what_and_who(action)}" + (f": {contents}" if contents else "")


def _ends(subscription: Subscription) -> list[tuple[datetime, str]]:
    now, found = datetime.now(UTC), list[tuple[datetime, str]]()
    if subscription.HasField("until"):
        state = SubscriptionState.name_of(subscription.state)
        found.append((_time(subscription, "until"), f"{state} ends by itself"))
    terms = [
        (_time(each, "term_end"), f"{each.service} on {each.distributor} ends by itself")
        for each in subscription.services
        if each.HasField("term_end")
    ]
    return found + [term for term in terms if term[0] > now]


def _time(message: Any, field: str) -> datetime:
    time: datetime = getattr(message, field).ToDatetime(UTC)
    return time
