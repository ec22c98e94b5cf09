"""Applies the actions that change the state of a whole subscription, for example Rest."""

from __future__ import annotations

from msgspec.structs import replace

from ..actions import BecomeSubscriber, Replace
from ..catalogue import Catalogues, catalogue_of
from ..refusals import Reason, Refused
from ..values import ON, Instant, State, Subscription
from .apply_services import selected
from .invariants import in_future, latest


def become_subscriber(
    subscription: Subscription | None,
    action: BecomeSubscriber,
    *,
    catalogues: Catalogues,
    at: Instant,
) -> Subscription:
    if subscription is not None:
        raise Refused(
            Reason.SUBSCRIPTION_EXISTS,
            f"subscription {action.number} exists already",
            subscription=action.number,
        )
    for code in (action.provider, *(existing.provider for existing in action.existing)):
        if code:
            catalogue_of(catalogues, code)
    state = State.DRAFT if action.draft else State.EFFECTIVE
    return Subscription(
        number=action.number,
        type=action.type,
        state=state,
        holder=action.holder,
        address=action.address,
        create_time=at,
        items=action.items,
        services=selected(action.services, state, catalogues=catalogues, at=at),
    )


def switch(
    subscription: Subscription,
    sources: frozenset[State],
    target: State,
    *,
    until: Instant | None,
    at: Instant,
) -> Subscription:
    """Changes the state of the subscription, and of each service whose state is in `sources`, to
    `target`.

    A service whose term has ended stays off.
    """
    in_future(until, at=at, field="until")
    services = list(subscription.services)
    for n, service in enumerate(services):
        if service.state in sources and service.term_over and target in ON:
            services[n] = replace(service, state=State.NOT_EFFECTIVE)
        elif service.state in sources:
            services[n] = replace(service, state=target, stopped_by_hand=False)
    return replace(subscription, state=target, until=until, services=tuple(services))


def finish(subscription: Subscription, target: State) -> Subscription:
    return replace(
        subscription,
        state=target,
        until=None,
        items=(),
        usages=(),
        services=tuple([replace(service, state=target) for service in subscription.services]),
    )


def replaced(
    subscription: Subscription, action: Replace, *, catalogues: Catalogues, at: Instant
) -> Subscription:
    in_future(action.until, at=at, field="until")
    services = selected(action.services, action.state, catalogues=catalogues, at=at)
    kept = {service.place for service in services}
    gone = tuple(
        [
            replace(service, state=State.REMOVED)
            for service in subscription.services
            if service.place not in kept and service.state is not State.DRAFT
        ]
    )
    return replace(
        subscription,
        state=action.state,
        type=action.type,
        until=action.until,
        holder=action.holder,
        address=action.address,
        items=action.items,
        services=services,
        former=latest(subscription.former + gone),
    )
