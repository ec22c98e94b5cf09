"""Tests that the command line that is shown to repeat an action performs the same action."""

from __future__ import annotations

import shlex

import pytest
from google.protobuf import text_format

from generic_provider import ActionState, PerformActionRequest, SubscriptionAction
from generic_provider_server.cli.again import again

UNTIL = "until:{seconds:32503680000}"
NEWS = 'services:{provider:"P",distributor:"MAIN",service:"NEWS"'
CARD = 'items:{distributor:"MAIN",goods_type:"CARD",serial_number:"123"'
TERM = "term_end:{seconds:32503680000}"
HOLDER = 'holder:{number:"7",name:"Mari Maasikas",parameters:{key:"room",value:"5=a"}}'
ADDRESS = 'address:{lines:["Uus 5","2nd floor"],city:"Tartu",parameters:{key:"a",value:"b"}}'
COMMANDS = {
    "terminate:{}": "terminate S1",
    f"rest:{{{UNTIL}}}": "rest S1 --until 3000-01-01T00:00:00Z",
    f"add_services:{{{NEWS},{TERM}}}}}": "add-services S1 --service P:MAIN:NEWS "
    "--term-end 3000-01-01T00:00:00Z",
    f"change_terms:{{{NEWS}}}}}": "change-terms S1 --service P:MAIN:NEWS",
    'swap_service:{distributor:"M",old_service:"A",new_service:"B"}': "swap-service S1 "
    "--distributor M --old-service A --new-service B",
    f"add_items:{{{CARD}}}}}": "add-items S1 --item MAIN:CARD:123",
    'remove_items:{serial_numbers:["1","2"],provider:"P"}': "remove-items S1 --serial-number 1 "
    "--serial-number 2 --provider P",
    'swap_item:{old_serial_number:"1",new_item:{goods_type:"CARD",serial_number:"2"}}': "swap-item "
    "S1 --old-serial-number 1 --new-item CARD:2",
    "change_distribution:{moves:["
    '{service:"NEWS",from_distributor:"A",to_distributor:"B"},'
    '{serial_number:"1",from_distributor:"A",to_distributor:"B"}]}': "change-distribution S1 "
    "--service A:NEWS:B --item A:1:B",
    f"change_location:{{{ADDRESS}}}": "change-location S1 --whole --address-line 'Uus 5' "
    "--address-line '2nd floor' --city Tartu --address-parameter a=b",
    f"change_subscriber:{{{HOLDER}}}": "change-subscriber S1 --whole --holder-number 7 "
    "--holder-name 'Mari Maasikas' --holder-parameter room=5=a",
    'add_usage:{service:"FILM",quantity:2,reference:"V 1",start_time:{seconds:1},'
    'end_time:{seconds:3600},parameters:{key:"film",value:"Kevade"}}': "add-usage S1 "
    "--usage 'V 1' --service FILM --quantity 2 --start-time 1970-01-01T00:00:01Z "
    "--end-time 1970-01-01T01:00:00Z --parameter film=Kevade",
    'cancel_usage:{usage:"V 1"}': "cancel-usage S1 --usage 'V 1'",
    f'replace:{{state:SUBSCRIPTION_STATE_IN_RESTING,type:"DTH",{UNTIL},{NEWS}}}}}': "replace S1 "
    "--state in-resting --until 3000-01-01T00:00:00Z --type DTH --service P:MAIN:NEWS",
    "": "",
    'become_subscriber:{type:"DTH"}': "",
    f'add_items:{{{CARD},parameters:{{key:"a",value:"b"}}}}}}': "",
    f"add_services:{{{NEWS},{TERM}}},{NEWS}}}}}": "",
    'add_items:{items:{distributor:"M",goods_type:"CARD",serial_number:"1:2"}}': "",
    'swap_item:{old_serial_number:"1",new_item:{provider:"P",goods_type:"C",serial_number:"2"}}': (
        ""
    ),
}


@pytest.mark.parametrize(("asked", "command"), COMMANDS.items())
def test_an_action_is_performed_again_by_one_command(asked: str, command: str) -> None:
    performed = PerformActionRequest()
    text_format.Parse(asked, performed)
    found = SubscriptionAction(subscription="S1", performed=performed)

    assert shlex.join(again(found)) == (f"action {command}" if command else "")


@pytest.mark.parametrize("value", ["two\nlines", "tab\there", "bell\x07", "turned\u202e"])
def test_a_value_that_the_output_shows_with_an_escape_is_in_no_command(value: str) -> None:
    found = SubscriptionAction(subscription="S1")
    holder = found.performed.change_subscriber.holder
    holder.parameters["note"] = "one line"
    assert again(found)[-1] == "note=one line"
    holder.parameters["note"] = value
    assert again(found) == ()


def test_of_several_parts_of_which_one_was_rejected_no_command_is_told() -> None:
    partly = SubscriptionAction(subscription="S1", state=ActionState.PARTLY_REJECTED)
    partly.performed.remove_items.serial_numbers.extend(["1"])
    assert again(partly)[-1] == "1"
    partly.performed.remove_items.serial_numbers.append("2")
    assert again(partly) == ()
