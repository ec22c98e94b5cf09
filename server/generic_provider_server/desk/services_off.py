"""Explains services that are off because the subscription is off or their terms are over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from generic_provider import ServiceState, SubscribedService, Subscription, SubscriptionState

from .command_lines import advised
from .output import moment

SWITCHING_ON = {
    SubscriptionState.DRAFT: "activate",
    SubscriptionState.NOT_EFFECTIVE: "activate",
    SubscriptionState.SHORT_TERM_NOT_EFFECTIVE: "end-short-term-deactivation",
    SubscriptionState.IN_RESTING: "end-resting",
}
"""For each state in which a subscription is off: the command that switches it on."""
FOLLOWING = ("DRAFT", "NOT_EFFECTIVE")
"""The states of the services that Activate switches on."""


def off_with_it(found: Subscription) -> list[SubscribedService]:
    """Returns the services that are off, and that are on again when the subscription is on."""
    if found.state not in SWITCHING_ON:
        return []
    same = SubscriptionState.name_of(found.state)
    following = FOLLOWING if same in FOLLOWING else (same,)
    return [
        each
        for each in found.services
        if ServiceState.name_of(each.state) in following and not _is_over(each)
    ]


def not_sent_with_it(found: Subscription, services: Sequence[SubscribedService]) -> str:
    """Names the services that are off, and the reason."""
    names = ", ".join([f"{each.service} on {each.distributor}" for each in services])
    until = f" until {moment(found, 'until')}" if found.HasField("until") else ""
    return f"{names}, because the subscription is {SubscriptionState.name_of(found.state)}{until}"


def how_to_switch_on(found: Subscription) -> str:
    """Returns the advice for a subscription that is off; empty if it is on, or if its end is final.

    If the terms of all its services are over, only new term ends switch them on.
    """
    if found.state not in SWITCHING_ON:
        return ""
    if not off_with_it(found) and (over := [each for each in found.services if _is_over(each)]):
        places = [f"--service={each.provider}:{each.distributor}:{each.service}" for each in over]
        renew = "action", "change-terms", found.number, *places, "--term-end", "TIME"
        return advised("the terms of its services are over; to renew them, if wanted", *renew)
    purpose = "if the subscription should be on now, switch it on"
    return advised(purpose, "action", SWITCHING_ON[found.state], found.number)


def _is_over(service: SubscribedService) -> bool:
    return service.HasField("term_end") and service.term_end.ToDatetime(UTC) <= datetime.now(UTC)
