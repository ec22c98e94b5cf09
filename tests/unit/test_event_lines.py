"""Tests the lines that describe events."""

from __future__ import annotations

from generic_provider import Event, ProvisioningRequest, SubscriptionAction
from generic_provider_server.desk.events import lines


def _said(event: Event) -> str:
    (line,) = lines(event)
    return line


def test_events_of_what_was_archived_say_so() -> None:
    action, request = SubscriptionAction(id="A1"), ProvisioningRequest(number="R1")
    executed = Event.ActionExecuted(action=action)
    assert _said(Event(action_executed=executed)) == "executed A1 (archived)"
    settled = Event.ActionSettled(action=action)
    assert _said(Event(action_settled=settled)) == "settled A1 (archived)"
    created = Event.RequestCreated(request=request)
    assert _said(Event(request_created=created)) == "created R1 (archived)"
    answered = Event.RequestSettled(request=request)
    assert _said(Event(request_settled=answered)) == "settled R1 (archived)"
