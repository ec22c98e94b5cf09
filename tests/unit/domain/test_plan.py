"""Tests which requests a change of a subscription creates, and in which order."""

from __future__ import annotations

from msgspec.structs import replace

from generic_provider_server.domain.actions import (
    Activate,
    AddServices,
    ChangeDistribution,
    ChangeLocation,
    ChangeSubscriber,
    ChangeTerms,
    Deactivate,
    Move,
    Regret,
    RemoveServices,
    Replace,
    StopServices,
    SwapItem,
    SwapService,
    Terminate,
)
from generic_provider_server.domain.catalogue import Catalogue
from generic_provider_server.domain.platform.image import NOTHING, image
from generic_provider_server.domain.platform.plan import plan
from generic_provider_server.domain.values import SECOND, Account, Address, Instant, State
from support.catalogues import aluxsat
from support.life import START
from support.subscribers import MARI, goods, on, online, said, served, viewer

SPORT, NEWS, FILM, YEARLY = (on("MAIN", code) for code in ("SPORT", "NEWS", "FILM", "FILM_YEARLY"))
TWIN_SPORT = on("TWIN1", "SPORT")
LATER = Instant(START + 86_400 * SECOND)


def test_a_draft_costs_nothing_and_its_activation_is_one_request_with_everything() -> None:
    life = served(viewer(SPORT, NEWS, draft=True))
    assert not life.finals
    life.perform(Activate())
    assert said(life.queue("ALUXSAT")) == ["BECOME_SUBSCRIBER SPORT NEWS"]
    assert [item.serial_number for item in life.queue("ALUXSAT")[0].items] == ["1", "1"]


def test_everything_at_once_goes_in_the_order_that_keeps_viewers_viewing() -> None:
    life = served(viewer(SPORT, TWIN_SPORT, points=("MAIN", "TWIN1")))
    replacement = Replace(
        state=State.EFFECTIVE,
        type="DTH",
        holder=Account(name="Jaan"),
        address=Address(city="Tartu"),
        items=goods("MAIN", "3") + goods("TWIN1", "4"),
        services=(TWIN_SPORT, SPORT),
    )
    life.perform(replacement)
    assert said(life.queue("ALUXSAT")) == [
        "UPDATE_SUBSCRIBER",
        "DEACTIVATE_SERVICE SPORT on TWIN1",
        "DEACTIVATE_SERVICE SPORT on MAIN",
        "REMOVE_INSTALLED_ITEM SMARTCARD 2",
        "REMOVE_INSTALLED_ITEM DECODER 2",
        "REMOVE_INSTALLED_ITEM SMARTCARD 1",
        "REMOVE_INSTALLED_ITEM DECODER 1",
        "ADD_INSTALLED_ITEM DECODER 3",
        "ADD_INSTALLED_ITEM SMARTCARD 3",
        "ADD_INSTALLED_ITEM DECODER 4",
        "ADD_INSTALLED_ITEM SMARTCARD 4",
        "ACTIVATE_SERVICE SPORT on MAIN",
        "ACTIVATE_SERVICE SPORT on TWIN1",
    ]


def test_the_same_images_give_the_same_plan_and_equal_ones_an_empty_one() -> None:
    life = served(viewer(SPORT, NEWS))
    catalogue, wanted = Catalogue(aluxsat()), life.wanted("ALUXSAT")
    shuffled = replace(wanted, entitlements=wanted.entitlements[::-1], items=wanted.items[::-1])
    assert plan(NOTHING, wanted, catalogue=catalogue) == plan(
        NOTHING, shuffled, catalogue=catalogue
    )
    assert not plan(wanted, shuffled, catalogue=catalogue)
    assert wanted == image(life.desired, catalogue, now=life.now)


def test_holder_and_address_go_together_and_an_address_alone() -> None:
    life = served(viewer(SPORT))
    life.perform(ChangeLocation(Address(city="Tartu")))
    assert said(life.serve("ALUXSAT")) == ["UPDATE_ADDRESS"]
    life.perform(ChangeSubscriber(Account(name="Jaan")))
    assert said(life.serve("ALUXSAT")) == ["UPDATE_SUBSCRIBER"]
    life.perform(ChangeSubscriber(Account(name="Jaan")))
    assert not life.queue("ALUXSAT")


def test_two_plans_of_one_package_are_one_entitlement() -> None:
    life = served(viewer(FILM))
    life.perform(AddServices((YEARLY,)))
    life.perform(RemoveServices((FILM,)))
    assert not life.queue("ALUXSAT")
    life.perform(StopServices((YEARLY,)))
    assert said(life.queue("ALUXSAT")) == ["DEACTIVATE_SERVICE FILM_YEARLY on MAIN"]


def test_a_change_of_plan_costs_the_platform_nothing() -> None:
    life = served(viewer(FILM))
    change = SwapService(
        provider="ALUXSAT", distributor="MAIN", old_service="FILM", new_service="FILM_YEARLY"
    )
    life.perform(change)
    assert life.in_sync("ALUXSAT")
    assert not life.there.performed


def test_an_entitlement_belongs_to_its_card() -> None:
    life = served(viewer(SPORT))
    life.perform(SwapItem(old_serial_number="1", new_serial_number="9", goods_type="SMARTCARD"))
    assert said(life.serve("ALUXSAT")) == [
        "DEACTIVATE_SERVICE SPORT on MAIN",
        "REMOVE_INSTALLED_ITEM SMARTCARD 1",
        "ADD_INSTALLED_ITEM SMARTCARD 9",
        "ACTIVATE_SERVICE SPORT on MAIN",
    ]


def test_two_cards_change_places() -> None:
    life = served(viewer(SPORT, TWIN_SPORT, points=("MAIN", "TWIN1")))
    items = life.desired.items
    moves = [
        Move(
            provider="ALUXSAT",
            from_distributor=item.distributor,
            to_distributor="TWIN1" if item.distributor == "MAIN" else "MAIN",
            goods=item.goods,
        )
        for item in items
    ]
    life.perform(ChangeDistribution(tuple(moves)))
    life.serve("ALUXSAT")
    assert not life.differences("ALUXSAT")
    assert life.in_sync("ALUXSAT")


def test_a_whole_subscription_goes_off_and_on_in_one_request_where_the_provider_wants_it() -> None:
    life = served(viewer(SPORT, online("MAIN", "SPORT"), online("MOBILE", "MOVIES")))
    life.perform(Deactivate())
    assert said(life.serve("ALUXSAT")) == ["DEACTIVATE_SERVICE SPORT on MAIN"]
    assert said(life.serve("OTT")) == ["DEACTIVATE_SUBSCRIBER MOVIES SPORT"]
    life.perform(Activate())
    assert said(life.serve("OTT")) == ["ACTIVATE_SUBSCRIBER SPORT MOVIES"]


def test_a_termination_is_whole_and_a_regret_is_per_service() -> None:
    for end, requests in (
        (Terminate(), ["DEACTIVATE_SUBSCRIBER MOVIES SPORT"]),
        (Regret(), ["DEACTIVATE_SERVICE MOVIES on MOBILE", "DEACTIVATE_SERVICE SPORT on MAIN"]),
    ):
        life = served(viewer(online("MAIN", "SPORT"), online("MOBILE", "MOVIES"), points=()))
        life.perform(end)
        assert said(life.queue("OTT")) == requests


def test_a_single_service_is_never_a_whole_subscription() -> None:
    life = served(viewer(online("MAIN", "SPORT"), points=()))
    life.perform(StopServices((online("MAIN", "SPORT"),)))
    assert said(life.queue("OTT")) == ["DEACTIVATE_SERVICE SPORT on MAIN"]


def test_a_renewal_is_a_request_only_where_the_platform_knows_terms() -> None:
    life = served(viewer(SPORT, online("MAIN", "SPORT")))
    life.perform(ChangeTerms((on("MAIN", "SPORT", term_end=LATER),)))
    assert not life.queue("ALUXSAT")
    life.perform(ChangeTerms((online("MAIN", "SPORT", term_end=LATER),)))
    assert said(life.queue("OTT")) == ["ACTIVATE_SERVICE SPORT on MAIN"]
    life.serve("OTT")
    assert not life.differences("OTT")


def test_what_is_pending_already_is_not_asked_for_again() -> None:
    life = served(viewer(SPORT))
    life.perform(Deactivate())
    life.expire("ALUXSAT")
    life.perform(Activate())
    assert not life.queue("ALUXSAT")
    assert life.in_sync("ALUXSAT")


def test_a_provider_is_linked_once_a_subscription_that_is_on_touches_it() -> None:
    life = served(viewer(SPORT))
    life.perform(Deactivate())
    life.perform(AddServices((online("MAIN", "SPORT"),)))
    assert [link.provider for link in life.there.links] == ["ALUXSAT"]
    life.perform(Activate())
    assert [link.provider for link in life.there.links] == ["ALUXSAT", "OTT"]
    assert said(life.queue("OTT")) == ["BECOME_SUBSCRIBER SPORT"]


def test_a_provider_that_is_not_effective_gets_nothing_and_a_reset_catches_up() -> None:
    life = served(viewer(SPORT))
    life.switch("ALUXSAT", effective=False)
    life.perform(AddServices((NEWS,)))
    assert not life.queue("ALUXSAT")
    assert not life.in_sync("ALUXSAT")
    life.switch("ALUXSAT", effective=True)
    life.reset("ALUXSAT")
    assert said(life.serve("ALUXSAT")) == ["ACTIVATE_SERVICE NEWS on MAIN"]
    life.reset("ALUXSAT")
    assert not life.queue("ALUXSAT")


def test_someone_who_left_before_a_platform_heard_of_it_needs_nothing_there() -> None:
    life = served(viewer(SPORT, draft=True))
    life.switch("ALUXSAT", effective=False)
    life.perform(Activate())
    life.perform(ChangeSubscriber(MARI))
    life.perform(Terminate())
    life.switch("ALUXSAT", effective=True)
    life.reset("ALUXSAT")
    assert not life.queue("ALUXSAT")
    assert life.in_sync("ALUXSAT")
