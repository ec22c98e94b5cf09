# ruff: noqa: N802 - each constructor has the name of its message
"""Actions on a subscription as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from generic_provider._action_parts import ItemLike, ServiceLike, items_of, services_of
from generic_provider._values import instant
from generic_provider.enums import SubscriptionState
from generic_provider.v1 import subscription_service_pb2 as v1
from generic_provider.v1.resources_pb2 import Account, Address


def BecomeSubscriber(
    *,
    type: str,  # noqa: A002 - the contract names it
    provider: str = "",
    holder: Account | None = None,
    address: Address | None = None,
    items: Iterable[ItemLike] = (),
    services: Iterable[ServiceLike] = (),
    draft: bool = False,
    existing: Iterable[v1.ExistingAccount] = (),
) -> v1.BecomeSubscriber:
    """A new subscription, EFFECTIVE unless `draft`; `provider` is that of what names none.

    Platforms that serve the customer already are named in `existing`.
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


def ExistingAccount(
    *, provider: str, account_number: str, holds_everything: bool = False
) -> v1.ExistingAccount:
    """A platform that serves the customer already, so that nothing is sent to it."""
    return v1.ExistingAccount(
        provider=provider, account_number=account_number, holds_everything=holds_everything
    )


def Activate() -> v1.Activate:
    """A DRAFT or NOT_EFFECTIVE subscription becomes EFFECTIVE, and so do its services."""
    return v1.Activate()


def Deactivate() -> v1.Deactivate:
    """An EFFECTIVE subscription becomes NOT_EFFECTIVE, and so do its services."""
    return v1.Deactivate()


def Rest(*, until: datetime) -> v1.Rest:
    """An EFFECTIVE subscription rests until then; the same again moves the end."""
    return v1.Rest(until=instant("until", until))


def EndResting() -> v1.EndResting:
    """A resting subscription becomes EFFECTIVE at once."""
    return v1.EndResting()


def ShortTermActivate(*, until: datetime) -> v1.ShortTermActivate:
    """A DRAFT or NOT_EFFECTIVE subscription is on until then; the same again moves the end."""
    return v1.ShortTermActivate(until=instant("until", until))


def EndShortTermActivation() -> v1.EndShortTermActivation:
    """A subscription that is on for a short term becomes NOT_EFFECTIVE at once."""
    return v1.EndShortTermActivation()


def ShortTermDeactivate(*, until: datetime) -> v1.ShortTermDeactivate:
    """An EFFECTIVE subscription is off until then; the same again moves the end."""
    return v1.ShortTermDeactivate(until=instant("until", until))


def EndShortTermDeactivation() -> v1.EndShortTermDeactivation:
    """A subscription that is off for a short term becomes EFFECTIVE at once."""
    return v1.EndShortTermDeactivation()


def Terminate() -> v1.Terminate:
    """The subscription and its services end as CANCELLED; its items are free for others."""
    return v1.Terminate()


def Regret() -> v1.Regret:
    """The subscription and its services end as REGRETTED; its items are free for others."""
    return v1.Regret()


def Replace(
    *,
    state: SubscriptionState.ValueType | str,
    type: str,  # noqa: A002 - the contract names it
    until: datetime | None = None,
    holder: Account | None = None,
    address: Address | None = None,
    items: Iterable[ItemLike] = (),
    services: Iterable[ServiceLike] = (),
) -> v1.Replace:
    """The subscription comes to be just this, whatever it was: what is not named leaves it."""
    return v1.Replace(
        state=SubscriptionState.of(state),
        until=instant("until", until),
        type=type,
        holder=holder,
        address=address,
        items=items_of(items),
        services=services_of(services),
    )
