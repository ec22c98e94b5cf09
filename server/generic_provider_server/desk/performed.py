"""Describes the result of an action that was just performed."""

from __future__ import annotations

from collections.abc import Iterator

from generic_provider import ActionKind, PerformActionResponse, RequestType, SubscribedService

from .actions import due, state
from .output import counted
from .services_off import how_to_switch_on, not_sent_with_it, off_with_it
from .wording import about, address, holder, not_sent


def performed_lines(done: PerformActionResponse) -> list[str]:
    made = done.action
    types = [
        f"{each.number or '(preview)'} {RequestType.name_of(each.type)} {about(each)}".rstrip()
        for each in done.requests
    ]
    name = made.id or "(preview)"
    count = counted(len(types), "request")
    if due(made):
        count = f"due {due(made)}"
    # the number in a preview may go to another subscription before the action is performed
    number = made.subscription if made.id or made.performed.subscription else "(new)"
    first = f"{name} {state(made)}, subscription {number}, {count}"
    return [first, *[f"  {line}" for line in (*types, *_notes(done))]]


def _notes(done: PerformActionResponse) -> Iterator[str]:
    """Yields remarks about a result that may surprise the person who performs the action."""
    if done.repeated:
        yield "performed by an earlier call with the same request id; nothing was changed now"
    for provider in done.providers_left_out:
        yield (
            f"{provider} is not effective, so it got no requests; once it is effective again, "
            "the next action or a reset brings its platform to the state of the CRM"
        )
    for each in done.subscription.services:
        if each.missing_goods_types:
            yield f"not sent: {not_sent(each)}"
    if off := _added_but_off(done):
        switch_on = how_to_switch_on(done.subscription)
        yield f"not sent: {not_sent_with_it(done.subscription, off)}; {switch_on}"
    if done.action.kind == ActionKind.CHANGE_SUBSCRIBER:
        yield f"holder: {holder(done.subscription.holder)}"
    if done.action.kind == ActionKind.CHANGE_LOCATION:
        yield f"address: {address(done.subscription.address)}"


def _added_but_off(done: PerformActionResponse) -> list[SubscribedService]:
    """Returns the services that the action has added, and that are off because the subscription is
    off.
    """
    asked = done.action.performed.add_services.services
    return [
        each
        for each in off_with_it(done.subscription)
        if any(
            (each.distributor, each.service) == (added.distributor, added.service)
            and added.provider in ("", each.provider)
            for added in asked
        )
    ]
