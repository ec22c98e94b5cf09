# ruff: noqa: N802 - each constructor has the name of its message
"""Constructs the actions on the state of a whole subscription."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from generic_provider._action_parts import ItemLike, ServiceLike, items_of, services_of
from generic_provider._arguments import named
from generic_provider._values import instant
from generic_provider.enums import SubscriptionState
from generic_provider.v1 import subscription_service_pb2 as v1
from generic_provider.v1.resources_pb2 import Account, Address


@named
def BecomeSubscriber(
    *,
    type: str,  # noqa: A002 - the protos define this name
    provider: str = "",
    holder: Account | None = None,
    address: Address | None = None,
    items: Iterable[ItemLike] = (),
    services: Iterable[ServiceLike] = (),
    draft: bool = False,
    existing: Iterable[v1.ExistingAccount] = (),
) -> v1.BecomeSubscriber:
    """Creates a subscription. Its state is DRAFT if `draft` is set, otherwise EFFECTIVE. `type` is
    your name for the type of subscription, for example DTH.

    `provider` is the provider of items and services that do not name a provider. `existing` names
    the accounts that the customer already has on platforms.
    """
    return v1.BecomeSubscriber(
        type=type,
        provider=provider,
        holder=holder,
        address=address,
        items=items_of(items),
        services=services_of(services),
        draft=draft,
        existing=existing,
    )


@named
def ExistingAccount(
    *, provider: str, account_number: str, holds_everything: bool = False
) -> v1.ExistingAccount:
    """Names an account that the customer already has on a platform. Become Subscriber sends no
    request to this platform. `holds_everything`: the platform already holds everything that the
    action names; otherwise the contents of the account are unknown.
    """
    return v1.ExistingAccount(
        provider=provider, account_number=account_number, holds_everything=holds_everything
    )


def Activate() -> v1.Activate:
    """Changes a DRAFT or NOT_EFFECTIVE subscription, and its services, to EFFECTIVE."""
    return v1.Activate()


def Deactivate() -> v1.Deactivate:
    """Changes an EFFECTIVE subscription, and its services, to NOT_EFFECTIVE."""
    return v1.Deactivate()


@named
def Rest(*, until: datetime) -> v1.Rest:
    """Lets an EFFECTIVE subscription rest until the given time. A second Rest changes the end of
    the rest.
    """
    return v1.Rest(until=instant("until", until))


def EndResting() -> v1.EndResting:
    """Changes a resting subscription to EFFECTIVE at once."""
    return v1.EndResting()


@named
def ShortTermActivate(*, until: datetime) -> v1.ShortTermActivate:
    """Switches a DRAFT or NOT_EFFECTIVE subscription on until the given time.

    A second ShortTermActivate changes the end of the short term.
    """
    return v1.ShortTermActivate(until=instant("until", until))


def EndShortTermActivation() -> v1.EndShortTermActivation:
    """Ends a short-term activation at once: the subscription becomes NOT_EFFECTIVE."""
    return v1.EndShortTermActivation()


@named
def ShortTermDeactivate(*, until: datetime) -> v1.ShortTermDeactivate:
    """Switches an EFFECTIVE subscription off until the given time.

    A second ShortTermDeactivate changes the end of the short term.
    """
    return v1.ShortTermDeactivate(until=instant("until", until))


def EndShortTermDeactivation() -> v1.EndShortTermDeactivation:
    """Ends a short-term deactivation at once: the subscription becomes EFFECTIVE."""
    return v1.EndShortTermDeactivation()


def Terminate() -> v1.Terminate:
    """Ends the subscription: it becomes CANCELLED, with all its live services. The items of the
    subscription are free for other subscriptions when the action is settled and no platform is
    expected to hold them.
    """
    return v1.Terminate()


def Regret() -> v1.Regret:
    """Ends the subscription: it becomes REGRETTED, with all its live services. The items of the
    subscription are free for other subscriptions when the action is settled and no platform is
    expected to hold them.
    """
    return v1.Regret()


@named
def Replace(
    *,
    state: SubscriptionState.ValueType | str,
    type: str,  # noqa: A002 - the protos define this name
    until: datetime | None = None,
    holder: Account | None = None,
    address: Address | None = None,
    items: Iterable[ItemLike] = (),
    services: Iterable[ServiceLike] = (),
) -> v1.Replace:
    """Changes a live subscription to exactly the given contents. Items and services that are not
    named are removed. `until` is the end of a rest or short term; other states have none.
    """
    return v1.Replace(
        state=SubscriptionState.of(state),
        until=instant("until", until),
        type=type,
        holder=holder,
        address=address,
        items=items_of(items),
        services=services_of(services),
    )
