"""Applies the CRM's rules: computes the state of a subscription after an action, or refuses the
action.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from ..actions import (
    Activate,
    AddItems,
    AddServices,
    AddUsage,
    AnyAction,
    BecomeSubscriber,
    CancelUsage,
    ChangeDistribution,
    ChangeLocation,
    ChangeSubscriber,
    ChangeTerms,
    Deactivate,
    EndResting,
    EndShortTermActivation,
    EndShortTermDeactivation,
    Regret,
    RemoveItems,
    RemoveServices,
    Replace,
    Rest,
    ShortTermActivate,
    ShortTermDeactivate,
    StartServices,
    StateAction,
    StopServices,
    SwapItem,
    SwapService,
    Terminate,
)
from ..catalogue import Catalogues
from ..refusals import Reason, Refused
from ..values import FINAL, OFF_UNTIL_ACTIVATED, Instant, State, Subscription
from .apply_items import add_items, change_distribution, remove_items, swap_item
from .apply_services import (
    add_services,
    change_terms,
    remove_services,
    start_services,
    stop_services,
    swap_service,
)
from .apply_states import become_subscriber, finish, replaced, switch
from .apply_usage import add_usage, cancel_usage
from .invariants import check, in_future, linked

EFFECTIVE = frozenset({State.EFFECTIVE})


def apply(
    subscription: Subscription | None,
    action: AnyAction,
    *,
    catalogues: Catalogues,
    at: Instant,
) -> Subscription:
    """Returns the subscription after the action, which is performed at the time `at`. Raises
    Refused if a rule forbids the action.

    The action must be a result of `resolve`, which adds the providers that the caller left out.
    `subscription` is None only for Become Subscriber.
    """
    if isinstance(action, BecomeSubscriber):
        after = become_subscriber(subscription, action, catalogues=catalogues, at=at)
    elif subscription is None:
        raise ValueError(f"{action.kind.name} without a subscription")
    elif subscription.state in FINAL:
        raise refused_in(subscription, action)
    else:
        after = _applied(subscription, action, catalogues=catalogues, at=at)
    check(after, catalogues, at=at, before=subscription)
    if after.stopped_by_term and after.state is not State.NOT_EFFECTIVE:
        after = replace(after, stopped_by_term=False)
    providers = linked(subscription, after, action)
    return after if providers == after.linked else replace(after, linked=providers)


def refused_in(subscription: Subscription, action: AnyAction) -> Refused:
    return Refused(
        Reason.ACTION_NOT_ALLOWED,
        f"{action.kind.name} is not allowed while subscription {subscription.number} "
        f"is {subscription.state.name}",
        action=action.kind.name,
        state=subscription.state.name,
        subscription=subscription.number,
    )


def _applied(
    subscription: Subscription, action: AnyAction, *, catalogues: Catalogues, at: Instant
) -> Subscription:
    match action:
        case AddServices():
            return add_services(subscription, action, catalogues=catalogues, at=at)
        case StartServices() if subscription.on or subscription.state is State.NOT_EFFECTIVE:
            return start_services(subscription, action)
        case StopServices() if subscription.on or action.term_over:
            return stop_services(subscription, action, at=at)
        case RemoveServices():
            return remove_services(subscription, action)
        case ChangeTerms():
            return change_terms(subscription, action, catalogues=catalogues, at=at)
        case SwapService():
            return swap_service(subscription, action, catalogues=catalogues, at=at)
        case AddItems():
            return add_items(subscription, action.items)
        case RemoveItems():
            return remove_items(subscription, action)
        case SwapItem():
            return swap_item(subscription, action)
        case ChangeDistribution():
            return change_distribution(subscription, action)
        case ChangeLocation():
            return replace(subscription, address=action.address)
        case ChangeSubscriber():
            return replace(subscription, holder=action.holder)
        case AddUsage() if subscription.on:
            return add_usage(subscription, action, catalogues=catalogues, at=at)
        case CancelUsage() if subscription.on:
            return cancel_usage(subscription, action, at=at)
        case Replace():
            return replaced(subscription, action, catalogues=catalogues, at=at)
        case StartServices() | StopServices() | AddUsage() | CancelUsage():
            raise refused_in(subscription, action)
        case BecomeSubscriber():
            raise ValueError("Become Subscriber has no state before it")
        case _:
            return _switched(subscription, action, at=at)


def _switched(subscription: Subscription, action: StateAction, *, at: Instant) -> Subscription:
    def go(
        sources: frozenset[State], target: State, *, until: Instant | None = None
    ) -> Subscription:
        if until is not None and subscription.state is target:
            in_future(until, at=at, field="until")
            return replace(subscription, until=until)
        if subscription.state not in sources:
            raise refused_in(subscription, action)
        return switch(subscription, sources, target, until=until, at=at)

    match action:
        case Activate():
            return go(OFF_UNTIL_ACTIVATED, State.EFFECTIVE)
        case Deactivate():
            return go(EFFECTIVE, State.NOT_EFFECTIVE)
        case Rest():
            return go(EFFECTIVE, State.IN_RESTING, until=action.until)
        case EndResting():
            return go(frozenset({State.IN_RESTING}), State.EFFECTIVE)
        case ShortTermActivate():
            return go(OFF_UNTIL_ACTIVATED, State.SHORT_TERM_EFFECTIVE, until=action.until)
        case EndShortTermActivation():
            return go(frozenset({State.SHORT_TERM_EFFECTIVE}), State.NOT_EFFECTIVE)
        case ShortTermDeactivate():
            return go(EFFECTIVE, State.SHORT_TERM_NOT_EFFECTIVE, until=action.until)
        case EndShortTermDeactivation():
            return go(frozenset({State.SHORT_TERM_NOT_EFFECTIVE}), State.EFFECTIVE)
        case Terminate():
            return finish(subscription, State.CANCELLED)
        case Regret():
            return finish(subscription, State.REGRETTED)
        case _:
            assert_never(action)
