from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest

import generic_provider
from generic_provider import (
    Adapter,
    Client,
    InstalledItem,
    Priority,
    ServiceSelection,
    SubscriptionState,
    actions,
    testing,
)
from generic_provider.v1 import (
    errors_pb2,
    provisioning_service_pb2,
    resources_pb2,
    subscription_service_pb2,
)
from generic_provider.v1.subscription_service_pb2 import PerformActionRequest

FIELDS = PerformActionRequest.DESCRIPTOR.oneofs_by_name["action"].fields
ENUMS = {
    enum.name: enum
    for file in (
        errors_pb2,
        provisioning_service_pb2,
        resources_pb2,
        subscription_service_pb2,
    )
    for enum in file.DESCRIPTOR.enum_types_by_name.values()
}


def test_each_action_of_the_contract_has_a_constructor() -> None:
    messages = {each.message_type.name for each in FIELDS if each.message_type}
    assert {each.DESCRIPTOR.name for each in get_args(actions.Action)} == messages
    assert all(inspect.isfunction(getattr(actions, each)) for each in messages)


def test_each_constructor_says_what_it_makes() -> None:
    made = dict(inspect.getmembers(actions, inspect.isfunction))
    assert {"item", "service", "request", "Move", "ExistingAccount"} < made.keys()
    silent = [name for name, each in made.items() if not (each.__doc__ or "").strip().endswith(".")]
    assert silent == []


def test_what_is_no_action_is_refused_with_a_sentence() -> None:
    crm = Client("localhost:1")
    whole = actions.request(actions.Regret(), subscription="S1")
    wrong: Any
    for wrong in ({"terminate": {}}, "terminate", actions.Terminate, whole, None):
        with pytest.raises(TypeError, match=r"is not an action; use actions.Terminate\(\)"):
            crm.perform(wrong, subscription="S1")
    for wrong in ([actions.Regret()], [{}]):
        with pytest.raises(
            TypeError, match=r"takes requests of actions.request\(\), not (Regret|dict)$"
        ):
            crm.batch_perform(wrong)


def test_what_is_no_part_of_an_action_is_refused_with_a_sentence() -> None:
    wrong: Any
    for wrong in (("MAIN", "SPORT"), ["SPORT"], [None], [("P", "MAIN", "SPORT", "x")]):
        with pytest.raises(ValueError, match="services are a list of"):
            actions.AddServices(services=wrong)
    for wrong in (("MAIN", "CARD", "1"), [("MAIN", "1")], ["1"]):
        with pytest.raises(ValueError, match="items are a list of"):
            actions.AddItems(items=wrong)
    wrong = "0012345678"
    with pytest.raises(TypeError, match="serial_numbers must be several texts"):
        actions.RemoveItems(serial_numbers=wrong)
    with pytest.raises(ValueError, match="either a service or a serial_number"):
        actions.Move(from_distributor="MAIN", to_distributor="TWIN1")
    with pytest.raises(ValueError, match="until must be a datetime"):
        actions.Rest(until=wrong)


WRONG: Any = 12
CRM = Client("localhost:1")
START = datetime(2026, 7, 1, tzinfo=UTC)
NOT_A_TEXT: dict[str, Callable[[], object]] = {
    "serial_number": lambda: actions.AddItems(items=[("MAIN", "SMARTCARD", WRONG)]),
    "each of serial_numbers": lambda: actions.RemoveItems(serial_numbers=[WRONG]),
    "distributor": lambda: actions.AddServices(services=[(WRONG, "SPORT")]),
    "usage": lambda: actions.CancelUsage(usage=WRONG),
    "service": lambda: actions.Move(service=WRONG, from_distributor="A", to_distributor="B"),
    "account_number": lambda: actions.ExistingAccount(provider="P", account_number=WRONG),
    "parameters['pin']": lambda: actions.item("MAIN", "BOX", "1", parameters={"pin": WRONG}),
    "a key of parameters": lambda: actions.item("MAIN", "BOX", "1", parameters={WRONG: "1"}),
    "request_id": lambda: CRM.perform(actions.Regret(), subscription="S1", request_id=WRONG),
    "subscription": lambda: CRM.perform(actions.Regret(), subscription=WRONG),
    "action": lambda: CRM.get_action(WRONG),
    "start_after": lambda: CRM.watch_events(start_after=WRONG),
    "provider": lambda: CRM.watch_events(provider=WRONG),
    "each of lease_tokens": lambda: CRM.release_leases([WRONG]),
    "number": lambda: testing.request("ADD_UDR", number=WRONG),
    "performed_by": lambda: Client("localhost:1", performed_by=WRONG),
    "name": lambda: Adapter("localhost:1", provider="P", name=WRONG),
    "version": lambda: Adapter("localhost:1", provider="P", name="a", version=WRONG),
}


@pytest.mark.parametrize("argument", NOT_A_TEXT)
def test_an_argument_that_is_not_a_text_is_named(argument: str) -> None:
    with pytest.raises(TypeError, match=rf"^{re.escape(argument)} must be a text, not 12$"):
        NOT_A_TEXT[argument]()


def test_an_argument_that_is_not_a_number_is_named() -> None:
    wrong: Any = "12"
    for refused in (
        lambda: CRM.list_actions(page_size=wrong),
        lambda: actions.BecomeSubscriber(type="DTH", draft=wrong),
        lambda: CRM.report_platform_state("P", [], observed_time=START, max_missing_percent=wrong),
    ):
        with pytest.raises(
            TypeError, match=r"^(page_size|draft|max_missing_percent) must be .*, not '12'$"
        ):
            refused()


def test_an_unknown_argument_is_still_named_by_python() -> None:
    unknown: Any = {"provder": "P"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'provder'"):
        actions.item("MAIN", "CARD", "1", **unknown)


def test_enumerations_are_given_by_member_or_by_name() -> None:
    replace = actions.Replace(state="EFFECTIVE", type="DTH")
    assert replace.state == SubscriptionState.EFFECTIVE
    assert actions.request(replace, priority="BULK").priority == Priority.BULK
    with pytest.raises(ValueError, match="'ON' is none of DRAFT, EFFECTIVE"):
        actions.Replace(state="ON", type="DTH")
    with pytest.raises(ValueError, match="'HIGH' is none of LIVE, BULK"):
        actions.request(replace, priority="HIGH")


def test_what_moves_is_a_service_or_an_item() -> None:
    moves = [
        actions.Move(service="SPORT", from_distributor="MAIN", to_distributor="TWIN1"),
        actions.Move(serial_number="1", from_distributor="MAIN", to_distributor="TWIN1"),
    ]
    moved = actions.ChangeDistribution(moves=moves).moves
    assert [each.WhichOneof("moved") for each in moved] == ["service", "serial_number"]


def test_a_request_carries_its_action_even_if_that_is_empty() -> None:
    request = actions.request(actions.Terminate(), subscription="S1", expected_revision=0)
    assert request.WhichOneof("action") == "terminate"
    assert request.HasField("expected_revision")
    assert request.request_id


def test_services_and_items_are_given_as_tuples_or_messages() -> None:
    asked = actions.BecomeSubscriber(
        type="DTH",
        provider="P",
        items=[("MAIN", "CARD", "1"), ("Q", "MAIN", "CARD", "2"), InstalledItem(goods_type="BOX")],
        services=[("MAIN", "SPORT"), ("Q", "MAIN", "NEWS"), actions.service("TWIN", "FILM")],
    )
    assert [(each.provider, each.goods_type, each.serial_number) for each in asked.items] == [
        ("", "CARD", "1"),
        ("Q", "CARD", "2"),
        ("", "BOX", ""),
    ]
    assert list(asked.services) == [
        ServiceSelection(distributor="MAIN", service="SPORT"),
        ServiceSelection(provider="Q", distributor="MAIN", service="NEWS"),
        ServiceSelection(distributor="TWIN", service="FILM"),
    ]


def test_instants_keep_their_time_zone() -> None:
    east = datetime(2026, 7, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert actions.Rest(until=east).until.ToDatetime(UTC) == datetime(2026, 7, 1, tzinfo=UTC)


def test_an_instant_without_time_zone_or_out_of_range_is_refused_by_name() -> None:
    naive = datetime(2026, 7, 1)  # noqa: DTZ001 - the test needs it
    with pytest.raises(ValueError, match="until must be a datetime with a time zone"):
        actions.Rest(until=naive)
    with pytest.raises(ValueError, match="term_end"):
        actions.service("MAIN", "SPORT", term_end=naive)
    late = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2)))
    with pytest.raises(ValueError, match="until is outside of the years 1 to 9999"):
        actions.Rest(until=late)


@pytest.mark.parametrize("name", ENUMS)
def test_each_enumeration_has_all_values_of_the_contract(name: str) -> None:
    ours = getattr(generic_provider, name)
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() + "_"
    values = {each.name.removeprefix(prefix): each.number for each in ENUMS[name].values}
    del values["UNSPECIFIED"]
    assert {each: ours.value_of(each) for each in values} == values
    assert [ours.name_of(number) for number in values.values()] == list(values)
    assert ours.name_of(9999) == "UNSPECIFIED"


def test_every_resource_can_be_imported_from_the_package() -> None:
    names = {*resources_pb2.DESCRIPTOR.message_types_by_name, *ENUMS}
    assert names <= set(generic_provider.__all__)
    assert all(hasattr(generic_provider, each) for each in generic_provider.__all__)
