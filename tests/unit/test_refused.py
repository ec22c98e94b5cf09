"""Tests which later actions hide a refused action in `subscription explain`."""

from __future__ import annotations

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor

from generic_provider import (
    ActionKind,
    ActionState,
    InstalledItem,
    PerformActionRequest,
    Subscription,
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
AT_P, AT_Q = (SPORT.replace("{", f'{{provider:"{code}",') for code in "PQ")
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
        (f"add_services:{{{AT_P}}}}}", f"add_services:{{{AT_Q}}}}}", 1),
        (f"add_services:{{{AT_P}}}}}", f"add_services:{{{AT_P}}}}}", 0),
        (f"add_services:{{{AT_P}}}}}", f"add_services:{{{SPORT}}}}}", 0),
        ("rest:{}", "activate:{}", 0),
        (USAGE % "V-1", "terminate:{}", 0),
    ],
)
def test_only_a_later_action_on_the_same_target_hides_a_refused_action(
    refused: str, later: str, shown: int
) -> None:
    first = performed(refused, rejected_by="P")
    first.create_time.GetCurrentTime()
    newest = [performed(later), first]
    present = Subscription(items=[InstalledItem(distributor="A", serial_number="1")])
    assert refused_by("P", newest, present=present) == [first] * shown


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
        assert refused_by("P", [later, each], present=Subscription()) == [each]


SPORT_OFF = 'provider:"P",distributor:"MAIN",service:"SPORT",state:SERVICE_STATE_NOT_EFFECTIVE'
SPORT_ON = SPORT_OFF.replace("NOT_EFFECTIVE", "EFFECTIVE")
CARD_1 = 'provider:"P",distributor:"MAIN",goods_type:"CARD",serial_number:"1"'
CARD_2 = CARD_1.replace("1", "2")
LINK = 'provider:"P"'
HELD = 'holder:{name:"Mari"}'


@pytest.mark.parametrize(
    ("taken_back", "present", "missing"),
    [
        (f"service:{{{SPORT_OFF}}}", f"services:{{{SPORT_OFF}}}", True),
        (f"service:{{{SPORT_OFF}}}", f"services:{{{SPORT_ON}}}", False),
        (f"service:{{{SPORT_OFF}}}", f"services:{{{SPORT_OFF},term_end:{{seconds:9}}}}", False),
        (f"service:{{{SPORT_OFF}}}", "", False),
        (f"service:{{{SPORT_ON}}},gone:true", "", True),
        (f"service:{{{SPORT_ON}}},gone:true", f"services:{{{SPORT_ON}}}", False),
        (f"item:{{{CARD_1}}},gone:true", "", True),
        (f"item:{{{CARD_1}}},gone:true", f"items:{{{CARD_2}}}", False),
        (f"item:{{{CARD_1}}}", f"items:{{{CARD_1}}}", True),
        (f"item:{{{CARD_1}}}", f"items:{{{CARD_2}}}", False),
        ('usage:{reference:"V-1"},gone:true', "", True),
        ('usage:{reference:"V-1"},gone:true', 'usages:{reference:"V-1"}', False),
        ('usage:{reference:"V-1"}', 'usages:{reference:"V-1"}', True),
        ('usage:{reference:"V-1"}', "", False),
        ('holder:{name:"Mari"}', 'holder:{name:"Mari"}', True),
        ('holder:{name:"Mari"}', 'holder:{name:"Jaan"}', False),
        ('address:{city:"Tartu"}', 'address:{city:"Tartu"}', True),
        ('address:{city:"Tartu"}', 'address:{city:"Elva"}', False),
        ("state:SUBSCRIPTION_STATE_DRAFT", "state:SUBSCRIPTION_STATE_DRAFT", True),
        ("state:SUBSCRIPTION_STATE_DRAFT", "state:SUBSCRIPTION_STATE_EFFECTIVE", False),
        ("link:true", "", True),
        ('provider:"P",link:true', f"provider_links:{{{LINK},confirmed:{{}}}}", True),
        ('provider:"P",link:true', f"provider_links:{{{LINK},confirmed:{{{HELD}}}}}", False),
        ('provider:"P",link:true', f'provider_links:{{{LINK},account_number:"7"}}', False),
        ('provider:"Q",link:true', f"provider_links:{{{LINK},confirmed:{{{HELD}}}}}", True),
    ],
)
def test_a_refused_action_is_shown_only_while_a_part_is_as_the_rollback_left_it(
    taken_back: str,
    present: str,
    missing: bool,  # noqa: FBT001 - parametrize passes it by name
) -> None:
    refused, now = performed(f"add_services:{{{SPORT}}}}}", rejected_by="P"), Subscription()
    text_format.Parse(taken_back, refused.taken_back.add())
    text_format.Parse(present, now)
    assert bool(refused_by("P", [refused], present=now)) is missing


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("add_usage:{end_time:{seconds:1}}", 0),
        ("add_usage:{end_time:{seconds:9000000000}}", 1),
        ("rest:{until:{seconds:1}}", 0),
        (f"add_services:{{{SPORT},term_end:{{seconds:1}}}}}}", 0),
        (f"add_services:{{{SPORT},term_end:{{seconds:1}}}},{SPORT}}}}}", 1),
        ("activate:{}", 1),
    ],
)
def test_a_refused_action_whose_end_has_passed_is_not_shown(asked: str, shown: int) -> None:
    refused = performed(asked, rejected_by="P")
    assert refused_by("P", [refused], present=Subscription()) == [refused] * shown


MAIN_SPORT = 'provider:"P",distributor:"MAIN",service:"SPORT"'
SWAP = 'swap_service:{distributor:"MAIN",old_service:"SPORT",new_service:"NEWS"}'
SWAP_CARD = 'swap_item:{old_serial_number:"1",new_item:{serial_number:"2"}}'
MOVE = 'change_distribution:{moves:{service:"SPORT",from_distributor:"MAIN",to_distributor:"APP"}}'
OVER = f"services:{{{SPORT_OFF},term_end:{{seconds:1}}}}"


@pytest.mark.parametrize(
    ("asked", "present", "shown"),
    [
        (SWAP, f"services:{{{SPORT_ON}}}", 1),
        (SWAP, f"services:{{{SPORT_OFF}}}", 1),
        (SWAP, "", 0),
        (SWAP, f"services:{{{MAIN_SPORT},state:SERVICE_STATE_REMOVED}}", 0),
        (SWAP, f"services:{{{SPORT_ON.replace('MAIN', 'APP')}}}", 0),
        (MOVE, f"services:{{{SPORT_ON}}}", 1),
        (MOVE, f"services:{{{SPORT_ON.replace('MAIN', 'APP')}}}", 0),
        (SWAP_CARD, f"items:{{{CARD_1}}}", 1),
        (SWAP_CARD, f"items:{{{CARD_2}}}", 0),
        ('remove_items:{serial_numbers:["1","3"]}', f"items:{{{CARD_1}}}", 1),
        ('remove_items:{serial_numbers:["1","3"]}', "", 0),
        (f"change_terms:{{services:{{{MAIN_SPORT}}}}}", f"services:{{{SPORT_OFF}}}", 1),
        (f"change_terms:{{services:{{{MAIN_SPORT}}}}}", "", 0),
        (f"start_services:{{services:{{{MAIN_SPORT}}}}}", f"services:{{{SPORT_OFF}}}", 1),
        (f"start_services:{{services:{{{MAIN_SPORT}}}}}", f"services:{{{SPORT_ON}}}", 0),
        (f"start_services:{{services:{{{MAIN_SPORT}}}}}", OVER, 0),
        (f"stop_services:{{services:{{{MAIN_SPORT}}}}}", f"services:{{{SPORT_ON}}}", 1),
        (f"stop_services:{{services:{{{MAIN_SPORT}}}}}", f"services:{{{SPORT_OFF}}}", 0),
        (f"add_services:{{services:{{{MAIN_SPORT}}}}}", "", 1),
    ],
)
def test_a_refused_action_is_hidden_if_the_subscription_has_none_of_the_parts_it_would_change(
    asked: str, present: str, shown: int
) -> None:
    refused, now = performed(asked, rejected_by="P"), Subscription()
    text_format.Parse(present, now)
    assert refused_by("P", [refused], present=now) == [refused] * shown


def test_an_action_that_two_platforms_rejected_is_shown_at_both() -> None:
    refused = performed(f"add_services:{{{SPORT}}}}}", rejected_by="P")
    refused.id = "A1"
    assert refused_by("Q", [refused], present=Subscription(), rejected={"A1"}) == [refused]
    assert refused_by("Q", [refused], present=Subscription()) == []
