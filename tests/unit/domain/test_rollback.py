"""Tests that after a rejection the refused part is taken back, and later actions are replayed."""

from __future__ import annotations

from typing import get_args

import pytest

from generic_provider_server.domain.actions import (
    Activate,
    AddServices,
    AddUsage,
    AnyAction,
    AtomicAction,
    CancelUsage,
    ChangeDistribution,
    ChangeLocation,
    ChangeSubscriber,
    Deactivate,
    Move,
    Regret,
    RemoveItems,
    Replace,
    Rest,
    ShortTermDeactivate,
    SwapItem,
    SwapService,
    Terminate,
)
from generic_provider_server.domain.refusals import Reason
from generic_provider_server.domain.values import (
    SECOND,
    Account,
    Address,
    Instant,
    RequestOrigin,
    RequestState,
    State,
)
from support.life import START, Life
from support.rejecting import accept, error, refuse, services, settled
from support.subscribers import MARI, TALLINN, goods, on, online, said, served, viewer

LATER = Instant(START + 86_400 * SECOND)
SPORT, NEWS, FILM = (on("MAIN", code) for code in ("SPORT", "NEWS", "FILM"))
SWAP = SwapService(provider="ALUXSAT", distributor="MAIN", old_service="SPORT", new_service="NEWS")


def test_a_refused_service_is_taken_back_and_the_others_stay() -> None:
    life = served(viewer(SPORT))
    action = life.perform(AddServices((NEWS, FILM)))
    number = refuse(life)
    assert services(life) == {"SPORT on MAIN": "EFFECTIVE", "FILM on MAIN": "EFFECTIVE"}
    settled(life)
    change = life.changes[action]
    assert not change.performed.undone
    assert error(life, action).reason is Reason.REJECTED_BY_PLATFORM
    assert error(life, action).request == number
    assert error(life, action).error_code == "E7"


def test_of_an_action_that_is_refused_throughout_nothing_remains() -> None:
    life = served(viewer(SPORT))
    before = life.desired
    action = life.perform(AddServices((NEWS, FILM)))
    refuse(life)
    refuse(life)
    assert life.desired == before
    assert life.changes[action].performed.undone


def test_of_a_swap_half_refused_the_old_service_comes_back() -> None:
    life = served(viewer(SPORT))
    before = life.desired
    life.perform(SWAP)
    accept(life)
    refuse(life)
    assert life.desired == before
    assert said(life.queue("ALUXSAT")) == ["ACTIVATE_SERVICE SPORT on MAIN"]
    assert life.there.queue("ALUXSAT")[0].origin is RequestOrigin.ROLLBACK
    settled(life)


def test_of_a_swap_refused_at_once_the_rest_is_cancelled() -> None:
    life = served(viewer(SPORT))
    life.perform(SWAP)
    refuse(life)
    assert not life.queue("ALUXSAT")
    assert life.in_sync("ALUXSAT")
    states = [life.finals[number].state for number in sorted(life.finals)]
    assert states == [RequestState.COMPLETED, RequestState.REJECTED, RequestState.CANCELLED]


ATOMIC: list[AnyAction] = [
    SWAP,
    SwapItem(old_serial_number="1", new_serial_number="9", goods_type="SMARTCARD"),
    ChangeDistribution(
        tuple(
            [
                Move(
                    provider="ALUXSAT",
                    from_distributor="MAIN",
                    to_distributor="TWIN1",
                    service=service,
                )
                for service in ("SPORT", "FILM")
            ]
        )
    ),
    Rest(LATER),
    ShortTermDeactivate(LATER),
    Terminate(),
    Regret(),
    Replace(
        state=State.EFFECTIVE,
        type="DTH",
        holder=MARI,
        address=TALLINN,
        items=goods("MAIN", "7"),
        services=(NEWS,),
    ),
]


def test_the_list_has_each_atomic_action() -> None:
    assert {type(action) for action in ATOMIC} == {*get_args(AtomicAction)}


@pytest.mark.parametrize("action", ATOMIC, ids=lambda action: action.kind.name)
@pytest.mark.parametrize("accepted", [0, 1])
def test_of_an_atomic_action_any_refusal_undoes_the_whole(action: AnyAction, accepted: int) -> None:
    life = served(viewer(SPORT, FILM))
    before = life.desired
    number = life.perform(action)
    for _ in range(accepted):
        accept(life)
    refuse(life)
    assert life.desired == before
    assert life.changes[number].performed.undone
    settled(life)
    assert life.desired == before


def test_what_could_not_be_switched_off_is_on_again_and_so_is_its_subscription() -> None:
    life = served(viewer(SPORT, NEWS))
    life.perform(Deactivate())
    accept(life)
    refuse(life)
    assert life.desired.state is State.EFFECTIVE
    assert services(life) == {"NEWS on MAIN": "NOT_EFFECTIVE", "SPORT on MAIN": "EFFECTIVE"}
    settled(life)


def test_a_refused_activation_leaves_its_services_off() -> None:
    life = served(viewer(SPORT, FILM))
    life.perform(Deactivate())
    settled(life)
    life.perform(Activate())
    refuse(life)
    assert services(life) == {"SPORT on MAIN": "NOT_EFFECTIVE", "FILM on MAIN": "EFFECTIVE"}
    settled(life)


def test_a_card_that_could_not_be_removed_is_there_again() -> None:
    life = served(viewer(points=("MAIN",)))
    before = {item.goods for item in life.desired.items}
    life.perform(RemoveItems(("1",), goods_type="DECODER"))
    refuse(life)
    assert {item.goods for item in life.desired.items} == before
    settled(life)


def test_values_that_were_refused_are_as_before() -> None:
    life = served(viewer(SPORT))
    life.perform(ChangeSubscriber(Account(name="Jaan")))
    life.perform(ChangeLocation(Address(city="Tartu")))
    refuse(life)
    assert life.desired.holder == MARI
    assert life.desired.address == Address(city="Tartu")
    settled(life)


def usage(reference: str) -> AddUsage:
    return AddUsage(
        provider="ALUXSAT",
        service="VOD",
        quantity=1,
        start_time=START,
        end_time=LATER,
        reference=reference,
    )


def test_usage_that_was_refused_is_gone_and_its_refused_cancel_brings_it_back() -> None:
    life = served(viewer(FILM))
    life.perform(usage("Alien"))
    refuse(life)
    assert not life.desired.usages
    life.perform(usage("Solaris"))
    accept(life)
    life.perform(CancelUsage("Solaris"))
    refuse(life)
    assert [each.reference for each in life.desired.usages] == ["Solaris"]
    assert life.in_sync("ALUXSAT")


def test_a_whole_subscription_that_was_refused_keeps_its_state_and_services() -> None:
    life = served(viewer(online("MAIN", "SPORT"), online("MOBILE", "MOVIES"), points=()))
    before = life.desired
    life.perform(Deactivate())
    refuse(life, "OTT")
    assert life.desired == before
    life.perform(Deactivate())
    off = settled(life)
    life.perform(Activate())
    refuse(life, "OTT")
    assert life.desired == off
    assert life.in_sync("OTT")


def test_a_subscriber_refused_by_the_only_provider_is_a_draft_that_names_its_items() -> None:
    life = Life(served(viewer(SPORT)).providers)
    life.perform(viewer(SPORT))
    refuse(life)
    assert life.desired.state is State.DRAFT
    assert services(life) == {"SPORT on MAIN": "DRAFT"}
    assert len(life.desired.items) == 2
    assert life.desired.linked == ()
    life.perform(Activate())
    assert said(life.queue("ALUXSAT")) == ["BECOME_SUBSCRIBER SPORT"]
    settled(life)


def test_a_subscriber_refused_by_one_of_two_providers_goes_on_at_the_other() -> None:
    life = Life(served(viewer(SPORT)).providers)
    life.perform(viewer(SPORT, online("MAIN", "SPORT")))
    refuse(life)
    assert life.desired.state is State.EFFECTIVE
    assert [(s.provider, s.state.name) for s in life.desired.services] == [
        ("ALUXSAT", "DRAFT"),
        ("OTT", "EFFECTIVE"),
    ]
    life.serve("OTT")
    assert life.in_sync("OTT")


def test_a_later_provider_that_refuses_loses_what_the_action_brought_there() -> None:
    life = served(viewer(SPORT))
    before = life.desired
    life.perform(AddServices((online("MAIN", "SPORT"),)))
    refuse(life, "OTT")
    assert life.desired == before
