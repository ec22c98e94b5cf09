"""Reads from the server everything that explains the state of a subscription."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from generic_provider import (
    ActionState,
    Archive,
    Client,
    ConnectedAdapter,
    Provider,
    ProviderLink,
    ProvisioningRequest,
    RequestNotFound,
    RequestState,
    Subscription,
    SubscriptionAction,
)

from .advice import next_step
from .archived import archives_with
from .wording import not_sent

MOST_ACTIONS = 5
MOST_REQUESTS = 50
REFUSED = (ActionState.REJECTED, ActionState.PARTLY_REJECTED)


class Platform(NamedTuple):
    """Everything that is known about the subscription at one provider."""

    subscription: str
    link: ProviderLink
    provider: Provider
    pending: list[ProvisioningRequest]
    confirmation: ProvisioningRequest | None
    """The newest request that the platform accepted."""
    adapters: list[ConnectedAdapter]
    not_sent: list[str]
    """One sentence for each service that is on and is not sent to the platform."""
    refused: SubscriptionAction | None
    """The newest action, if this platform rejected it or a part of it."""
    rejected: ProvisioningRequest | None
    """The request that caused the last error, if it is not archived."""

    @property
    def next_step(self) -> str:
        return next_step(
            self.link,
            pending=self.pending,
            adapters=self.adapters,
            provider=self.provider,
            subscription=self.subscription,
            not_sent=self.not_sent,
            refused=self.refused,
        )


class Facts(NamedTuple):
    subscription: Subscription
    platforms: list[Platform]
    actions: list[SubscriptionAction]
    """The newest actions that are not scheduled, the newest first."""
    scheduled: list[SubscriptionAction]
    requests: list[ProvisioningRequest]
    """The newest requests, the newest first."""
    archives: list[Archive]
    """The newest archives that contain older requests of the subscription."""


def facts_of(client: Client, subscription: Subscription) -> Facts:
    number = subscription.number
    scheduled = [*client.list_actions(subscription=number, state=ActionState.SCHEDULED)]
    actions = client.list_actions(subscription=number, page_size=MOST_ACTIONS + len(scheduled))
    performed = (each for each in actions if each.state != ActionState.SCHEDULED)
    newest = [*islice(performed, MOST_ACTIONS)]
    requests = client.list_requests(subscription=number, page_size=MOST_REQUESTS)
    platforms = [
        _platform(client, subscription, link, newest) for link in subscription.provider_links
    ]
    return Facts(
        subscription,
        platforms,
        newest,
        scheduled,
        [*islice(requests, MOST_REQUESTS)],
        archives_with(client, number),
    )


def _platform(
    client: Client,
    subscription: Subscription,
    link: ProviderLink,
    newest: Sequence[SubscriptionAction],
) -> Platform:
    number, provider = subscription.number, link.provider
    ours = partial(client.list_requests, subscription=number, provider=provider)
    refused = [e for e in newest[:1] if e.state in REFUSED and e.error.provider == provider]
    return Platform(
        number,
        link,
        client.get_provider(provider),
        list(ours(state=RequestState.PENDING, oldest_first=True)),
        next(ours(state=RequestState.COMPLETED, page_size=1), None),
        list(client.list_adapters(provider=provider)),
        [
            not_sent(each)
            for each in subscription.services
            if each.provider == provider and each.missing_goods_types
        ],
        next(iter(refused), None),
        _rejected(client, link),
    )


def _rejected(client: Client, link: ProviderLink) -> ProvisioningRequest | None:
    try:
        return client.get_request(link.last_error.request) if link.HasField("last_error") else None
    except RequestNotFound:
        return None
