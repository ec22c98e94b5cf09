"""Tells whether a refused action can be performed again on the subscription as it is now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from generic_provider import (
    ActionKind,
    ServiceState,
    SubscribedService,
    Subscription,
    SubscriptionAction,
)
from generic_provider import SubscriptionState as State

from .services_off import ON, is_off, is_over

OFF = (State.DRAFT, State.NOT_EFFECTIVE)
FROM: Mapping[int, tuple[int, ...]] = {
    ActionKind.BECOME_SUBSCRIBER: (),
    ActionKind.ACTIVATE: OFF,
    ActionKind.DEACTIVATE: (State.EFFECTIVE,),
    ActionKind.REST: (State.EFFECTIVE, State.IN_RESTING),
    ActionKind.END_RESTING: (State.IN_RESTING,),
    ActionKind.SHORT_TERM_ACTIVATE: (*OFF, State.SHORT_TERM_EFFECTIVE),
    ActionKind.END_SHORT_TERM_ACTIVATION: (State.SHORT_TERM_EFFECTIVE,),
    ActionKind.SHORT_TERM_DEACTIVATE: (State.EFFECTIVE, State.SHORT_TERM_NOT_EFFECTIVE),
    ActionKind.END_SHORT_TERM_DEACTIVATION: (State.SHORT_TERM_NOT_EFFECTIVE,),
    ActionKind.STOP_SERVICES: ON,
    ActionKind.START_SERVICES: (*ON, State.NOT_EFFECTIVE),
    ActionKind.ADD_USAGE: ON,
    ActionKind.CANCEL_USAGE: ON,
}
"""The states of a subscription in which the service performs an action. The service performs an
action that is not in this table in every live state.
"""
FORMER = (ServiceState.SWAPPED, ServiceState.REMOVED)
Condition = Callable[[SubscribedService], bool]
OF_SERVICES: Mapping[str, Condition] = {
    "start_services": lambda each: is_off(each) and not is_over(each),
    "stop_services": lambda each: not is_off(each),
    "remove_services": lambda _: True,
    "change_terms": lambda _: True,
}
"""The actions that list services of the subscription, each with the condition for a service that
the action accepts.
"""


def is_allowed(refused: SubscriptionAction, present: Subscription) -> bool:
    """Tells whether the state of the subscription allows the action."""
    return present.state in FROM.get(refused.kind, (present.state,))


def parts_there(refused: SubscriptionAction, present: Subscription) -> list[bool]:
    """Tells for each service and item that the action starts, stops, changes, moves, replaces or
    removes whether the subscription has it. Returns an empty list for all other actions.
    """
    return [*_parts_there(refused, present)]


def _parts_there(refused: SubscriptionAction, present: Subscription) -> Iterator[bool]:
    chosen = refused.performed.WhichOneof("action") or ""
    asked: Any = getattr(refused.performed, chosen, None)
    match chosen:
        case "swap_service":
            yield _has_service(present, asked, asked.old_service, at=asked.distributor)
        case "swap_item":
            yield _has_item(present, asked.old_serial_number)
        case "remove_items":
            yield from (_has_item(present, serial) for serial in asked.serial_numbers)
        case "change_distribution":
            for move in asked.moves:
                at = move.from_distributor
                if move.service:
                    yield _has_service(present, move, move.service, at=at)
                else:
                    yield _has_item(present, move.serial_number, at=at)
        case _:
            if that := OF_SERVICES.get(chosen):
                for each in asked.services:
                    yield _has_service(present, each, each.service, at=each.distributor, that=that)


def _has_service(
    present: Subscription, named: Any, code: str, *, at: str, that: Condition = lambda _: True
) -> bool:
    return any(
        (each.service, each.distributor) == (code, at)
        and each.provider == (named.provider or each.provider)
        and each.state not in FORMER
        and that(each)
        for each in present.services
    )


def _has_item(present: Subscription, serial: str, *, at: str = "") -> bool:
    return any(
        each.serial_number == serial and each.distributor == (at or each.distributor)
        for each in present.items
    )
