"""Tests advice of `subscription explain` that no test with a server reaches."""

from __future__ import annotations

from generic_provider import (
    ActionKind,
    ProviderLink,
    Subscription,
    SubscriptionAction,
    SubscriptionState,
    SyncState,
)
from generic_provider_server.desk.advice import next_step
from generic_provider_server.desk.facts import Platform


def test_after_a_refused_become_subscriber_without_services_another_action_is_advised() -> None:
    become = SubscriptionAction(id="A1", kind=ActionKind.BECOME_SUBSCRIBER)
    platform = Platform(
        subscription=Subscription(number="S1", state=SubscriptionState.EFFECTIVE),
        link=ProviderLink(provider="P", sync_state=SyncState.IN_SYNC),
        not_sent=[],
        refused=become,
        not_repeated=[become],
        actions=[become],
        coming=[],
        owners={},
    )
    said = "mend the cause of the refusal; then order the refused part of A1 by another action"
    assert next_step(platform, lambda _: ()) == said
