"""Explains services that are off, and names the commands that switch them on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from generic_provider import ServiceState, SubscribedService, Subscription, SubscriptionState

from .command_lines import advised
from .output import moment

ON = (SubscriptionState.EFFECTIVE, SubscriptionState.SHORT_TERM_EFFECTIVE)
SWITCHING_ON = {
    SubscriptionState.DRAFT: "activate",
    SubscriptionState.NOT_EFFECTIVE: "activate",
    SubscriptionState.SHORT_TERM_NOT_EFFECTIVE: "end-short-term-deactivation",
    SubscriptionState.IN_RESTING: "end-resting",
}
"""The command that switches a subscription on, for each state in which a subscription is off."""
FOLLOWING = ("DRAFT", "NOT_EFFECTIVE")
"""The states of the services that Activate switches on."""
STARTABLE = (*FOLLOWING, "IN_RESTING", "SHORT_TERM_NOT_EFFECTIVE")
"""The states of the services that Start Services switches on."""


def off_with_it(found: Subscription) -> list[SubscribedService]:
    """Returns the services that are off only because the subscription is off."""
    if found.state not in SWITCHING_ON:
        return []
    same = SubscriptionState.name_of(found.state)
    following = FOLLOWING if same in FOLLOWING else (same,)
    return [
        each
        for each in found.services
        if ServiceState.name_of(each.state) in following and not is_over(each)
    ]


def not_sent_with_it(found: Subscription, services: Sequence[SubscribedService]) -> str:
    """Names the services that are off, and the reason."""
    until = f" until {moment(found, 'until')}" if found.HasField("until") else ""
    state = SubscriptionState.name_of(found.state)
    return f"{_names(services)}, because the subscription is {state}{until}"


def how_to_switch_on(found: Subscription, *, provider: str = "") -> str:
    """Returns advice on how to switch on a subscription that is off. For a subscription that is
    on, returns advice on how to switch on its services that are off. Returns an empty text if
    nothing can be switched on. `provider`: only services of this provider count.

    If the subscription is off and the terms of all its services are over, only new term ends switch
    the services on.
    """
    services = [each for each in found.services if provider in ("", each.provider)]
    if found.state in ON:
        stopped = [each for each in services if is_off(each) and not is_over(each)]
        start = "start-services", found.number, *_places(stopped)
        purpose = f"to switch {_names(stopped)} on, if wanted"
        return advised(purpose, "action", *start) if stopped else ""
    if found.state not in SWITCHING_ON:
        return ""
    if not off_with_it(found) and (over := [each for each in services if is_over(each)]):
        renew = "action", "change-terms", found.number, *_places(over), "--term-end", "TIME"
        return advised("the terms of its services are over; to renew them, if wanted", *renew)
    purpose = "if the subscription should be on now, switch it on"
    return advised(purpose, "action", SWITCHING_ON[found.state], found.number)


def _names(services: Sequence[SubscribedService]) -> str:
    return ", ".join([f"{each.service} on {each.distributor}" for each in services])


def _places(services: Sequence[SubscribedService]) -> list[str]:
    return [f"--service={each.provider}:{each.distributor}:{each.service}" for each in services]


def is_off(service: SubscribedService) -> bool:
    return ServiceState.name_of(service.state) in STARTABLE


def is_over(service: SubscribedService) -> bool:
    return service.HasField("term_end") and service.term_end.ToDatetime(UTC) <= datetime.now(UTC)
