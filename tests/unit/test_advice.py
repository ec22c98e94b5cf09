"""Tests advice of `subscription explain` that no test with a server reaches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf import text_format

from generic_provider import (
    ActionKind,
    ActionState,
    ErrorReason,
    ProviderLink,
    Subscription,
    SubscriptionAction,
    SubscriptionState,
    SyncState,
    Usage,
)
from generic_provider_server.desk.advice import next_step
from generic_provider_server.desk.facts import Platform


def test_after_a_refused_become_subscriber_without_services_another_action_is_advised() -> None:
    become = SubscriptionAction(id="A1", kind=ActionKind.BECOME_SUBSCRIBER)
    said = "mend the cause of the refusal; then order the refused part of A1 by another action"
    assert next_step(_at_platform(become), lambda _: ()) == said


def _at_platform(
    *refused: SubscriptionAction,
    state: SubscriptionState.ValueType = SubscriptionState.EFFECTIVE,
    present: str = "",
) -> Platform:
    """Returns a platform that holds what the CRM wants, and that refused these actions."""
    subscription = Subscription(number="S1", state=state)
    text_format.Merge(present, subscription)
    return Platform(
        subscription=subscription,
        link=ProviderLink(provider="P", sync_state=SyncState.IN_SYNC),
        not_sent=[],
        refused=refused[0],
        not_repeated=refused,
        actions=refused,
        coming=[],
        owners={},
    )


def _refused(asked: str, *, depends: bool = False) -> SubscriptionAction:
    action = SubscriptionAction(id="A1", state=ActionState.REJECTED)
    text_format.Parse(asked, action.performed)
    action.kind = ActionKind.value_of((action.performed.WhichOneof("action") or "").upper())
    if depends:
        action.id, action.error.reason = "A2", ErrorReason.DEPENDS_ON_REJECTED
    return action


NEEDS_ON = ("stop_services:{}", "add_usage:{}", "cancel_usage:{}", "rest:{}", "deactivate:{}")


@pytest.mark.parametrize("asked", [*NEEDS_ON, "start_services:{}"])
@pytest.mark.parametrize(
    ("state", "command"),
    [
        (SubscriptionState.DRAFT, "activate S1"),
        (SubscriptionState.SHORT_TERM_NOT_EFFECTIVE, "end-short-term-deactivation S1"),
    ],
)
def test_a_subscription_that_is_off_is_switched_on_before_an_action_that_needs_it_on(
    asked: str, state: SubscriptionState.ValueType, command: str
) -> None:
    said = next_step(_at_platform(_refused(asked), state=state), lambda _: ("action", "again"))
    assert said.endswith(f": generic-provider action {command}")
    assert "again" not in said


def test_an_action_that_depended_on_a_refused_action_is_repeated_after_it() -> None:
    depending, first = _refused("add_items:{}", depends=True), _refused("add_services:{}")
    said = next_step(_at_platform(depending, first), lambda found: ("action", "again", found.id))
    assert said.endswith("generic-provider action again A1")
    alone = next_step(_at_platform(depending), lambda found: ("action", "again", found.id))
    assert alone.endswith("generic-provider action again A2")


def test_a_usage_record_that_has_not_begun_does_not_hide_that_the_subscription_is_off() -> None:
    coming = Usage(provider="P", service="VOD", reference="V-1")
    coming.start_time.FromDatetime(datetime.now(UTC) + timedelta(hours=2, seconds=30))
    platform = _at_platform(_refused("terminate:{}"), state=SubscriptionState.NOT_EFFECTIVE)
    said = next_step(platform._replace(not_repeated=(), coming=[coming]), lambda _: ())
    assert said.startswith("nothing: VOD V-1 begins at ")
    assert "; if the subscription should be on now, switch it on" in said
    assert said.endswith(": generic-provider action activate S1")


CARD = 'provider:"P",distributor:"MAIN",goods_type:"CARD",serial_number:"1"'


@pytest.mark.parametrize(
    ("asked", "exactly"),
    [
        ('remove_items:{serial_numbers:"1"}', True),
        ('remove_items:{serial_numbers:["1","2"]}', False),
        ('replace:{until:{seconds:9000000000},items:{serial_number:"1"}}', True),
        ('replace:{until:{seconds:1},items:{serial_number:"1"}}', False),
        ('replace:{items:{serial_number:"1"},services:{service:"A",term_end:{seconds:1}}}', False),
    ],
)
def test_no_command_line_is_advised_if_the_service_would_refuse_the_exact_repeat(
    asked: str,
    exactly: bool,  # noqa: FBT001 - parametrize passes it by name
) -> None:
    platform = _at_platform(_refused(asked), present=f"items:{{{CARD}}}")
    said = next_step(platform, lambda _: ("action", "again"))
    assert ("generic-provider action again" in said) is exactly
    assert " again (A1)" in said
