"""Tests which later actions hide a refused action in `subscription explain`."""

from __future__ import annotations

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor

from generic_provider import (
    ActionKind,
    ActionState,
    PerformActionRequest,
    SubscriptionAction,
)
from generic_provider_server.desk.refused import (
    REPLACING,
    SAME_PART,
    SAME_TARGET,
    SWITCHING,
    lists_parts,
    refused_by,
)

FIELDS = PerformActionRequest.DESCRIPTOR.oneofs_by_name["action"].fields
MESSAGES = {each.name: each.message_type for each in FIELDS if each.message_type}
NEVER_COMPARED = {ActionKind.BECOME_SUBSCRIBER, *REPLACING, *SWITCHING}
"""The kinds of actions whose targets do not matter for the question whether a later action repeats
a refused action.
"""
NO_TARGET = {
    "swap_service": {"provider", "new_service", "term_end"},
    "swap_item": {"goods_type", "new_item"},
    "change_location": {"address"},
    "change_subscriber": {"holder"},
    "add_usage": {"provider", "service", "quantity", "start_time", "end_time", "parameters"},
}
"""The fields that do not tell the target of an action, for each action that lists no parts."""
NO_PART = {
    "ServiceSelection": {"provider", "term_end"},
    "InstalledItem": {"provider", "serial_number", "provider_goods_type", "parameters"},
    "Move": {"provider", "to_distributor"},
}
"""The fields that do not tell which part is meant, for each kind of part that an action lists."""

SPORT = 'services:{distributor:"MAIN",service:"SPORT"'
CARD = 'items:{distributor:"MAIN",goods_type:"CARD",serial_number:"1"}'
MOVES = 'change_distribution:{moves:{serial_number:"%s",from_distributor:"A",to_distributor:"%s"}}'
USAGE = 'add_usage:{service:"FILM",reference:"%s",parameters:{key:"film",value:"Kevade"}}'


def names(message: Descriptor) -> set[str]:
    return {each.name for each in message.fields}


def performed(asked: str, *, rejected_by: str = "") -> SubscriptionAction:
    message = PerformActionRequest()
    text_format.Parse(asked, message)
    kind = ActionKind.value_of((message.WhichOneof("action") or "").upper())
    if not rejected_by:
        return SubscriptionAction(performed=message, kind=kind, state=ActionState.SETTLED)
    rejected = SubscriptionAction(performed=message, kind=kind, state=ActionState.REJECTED)
    rejected.error.provider = rejected_by
    return rejected


@pytest.mark.parametrize(
    ("refused", "later", "shown"),
    [
        (f"add_services:{{{SPORT}}}}}", f"add_services:{{{SPORT},term_end:{{}}}}}}", 0),
        (f"add_services:{{{SPORT}}}}}", f"stop_services:{{{SPORT}}}}}", 1),
        (f"add_items:{{{CARD}}}", f"add_items:{{{CARD.replace('1', '2')}}}", 0),
        (f"add_items:{{{CARD}}}", f"add_items:{{{CARD.replace('CARD', 'BOX')}}}", 1),
        (MOVES % ("1", "B"), MOVES % ("1", "C"), 0),
        (MOVES % ("1", "B"), MOVES % ("2", "B"), 1),
        (USAGE % "V-1", USAGE % "V-1", 0),
        (USAGE % "V-1", USAGE % "V-2", 1),
        ('cancel_usage:{usage:"V-1"}', 'cancel_usage:{usage:"V-2"}', 1),
        ("rest:{}", "activate:{}", 0),
        (USAGE % "V-1", "terminate:{}", 0),
    ],
)
def test_only_a_later_action_on_the_same_target_hides_a_refused_action(
    refused: str, later: str, shown: int
) -> None:
    first = performed(refused, rejected_by="P")
    first.create_time.GetCurrentTime()
    assert refused_by("P", [performed(later), first]) == [first] * shown


@pytest.mark.parametrize("action", MESSAGES)
def test_each_field_of_an_action_tells_its_target_or_does_not(action: str) -> None:
    if ActionKind.value_of(action.upper()) in NEVER_COMPARED:
        return
    lists = [each for each in MESSAGES[action].fields if lists_parts(each)]
    for part in [each.message_type for each in lists if each.message_type]:
        assert names(part) - NO_PART[part.name] == {*SAME_PART[part.name]}
    if not lists:
        assert names(MESSAGES[action]) - NO_TARGET.get(action, set()) <= {*SAME_TARGET}


def test_an_action_of_a_newer_version_hides_none_and_is_hidden_by_none() -> None:
    known, unknown = (performed(f"add_services:{{{SPORT}}}}}", rejected_by="P") for _ in range(2))
    unknown.performed.ClearField("add_services")
    for each in (known, unknown):
        each.create_time.GetCurrentTime()
        later = SubscriptionAction(kind=each.kind, state=ActionState.SETTLED)
        assert refused_by("P", [later, each]) == [each]
