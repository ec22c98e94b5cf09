"""Tests which goods and distributors a viewing point requires, which services it offers, and how
many services it can have.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from generic_provider_server.domain.actions import (
    AddItems,
    AddServices,
    AnyAction,
    ChangeDistribution,
    Move,
    RemoveItems,
    RemoveServices,
    Selection,
    Terminate,
)
from generic_provider_server.domain.catalogue import check_provider
from generic_provider_server.domain.refusals import InvalidField, Reason, Refused
from generic_provider_server.domain.values import Goods, Item, Provider
from support.catalogues import aluxsat, ott
from support.life import Life
from support.rejecting import refuse, services
from support.subscribers import goods, on, online, said, served, viewer

SPORT = on("MAIN", "SPORT")


def refusal(life: Life, action: AnyAction) -> Refused:
    before = life.there
    with pytest.raises(Refused) as refused:
        life.perform(action)
    assert life.there == before
    return refused.value


def with_main(**changed: object) -> Life:
    """Returns a life whose provider ALUXSAT has these changes of its distributor MAIN."""
    provider = aluxsat()
    main, *twins = provider.distributors
    changes = replace(main, **changed)
    return Life([replace(provider, distributors=(changes, *twins)), ott()])


@pytest.mark.parametrize(
    ("distributor", "required"), [("TWIN1", "MAIN"), ("TWIN2", "TWIN1"), ("TWIN3", "TWIN2")]
)
def test_a_distributor_needs_the_one_that_it_requires(distributor: str, required: str) -> None:
    life = Life([aluxsat(), ott()])
    refused = _refused_beginning(life, distributor)
    assert refused.reason is Reason.REQUIRED_DISTRIBUTOR_MISSING
    assert refused.metadata["required_distributor"] == required


def _refused_beginning(life: Life, distributor: str) -> Refused:
    with pytest.raises(Refused) as refused:
        life.perform(viewer(points=(distributor,)))
    return refused.value


def test_an_item_or_a_service_alone_puts_a_distributor_in_use() -> None:
    life = served(viewer(SPORT))
    life.perform(AddServices((on("TWIN1", "SPORT"),)))
    life.perform(AddItems(goods("TWIN2", "2")))
    life.perform(AddServices((on("TWIN3", "NEWS"),)))
    assert life.desired.on


def test_a_required_distributor_stays_in_use() -> None:
    life = served(viewer(SPORT, on("TWIN1", "SPORT"), points=("MAIN", "TWIN1")))
    life.perform(RemoveItems(("1",), goods_type="SMARTCARD"))
    life.perform(RemoveItems(("1",), goods_type="DECODER"))
    refused = refusal(life, RemoveServices((SPORT,)))
    assert refused.reason is Reason.REQUIRED_DISTRIBUTOR_MISSING


def test_an_action_is_undone_as_a_whole_if_what_is_left_lacks_a_required_distributor() -> None:
    life = with_main(required_goods_types=())
    life.perform(replace(viewer(points=()), provider="ALUXSAT"))
    life.serve("ALUXSAT")
    life.perform(AddServices((SPORT, on("TWIN1", "SPORT"))))
    refuse(life)
    assert services(life) == {}


def test_a_subscription_that_has_ended_requires_nothing() -> None:
    life = served(viewer(SPORT, on("TWIN1", "SPORT"), points=("MAIN", "TWIN1")))
    life.perform(Terminate())
    assert not life.desired.items


def test_distributors_of_two_providers_do_not_count_for_each_other() -> None:
    life = served(viewer(online("MAIN", "SPORT"), points=()))
    refused = refusal(life, AddServices((on("TWIN1", "SPORT"),)))
    assert refused.reason is Reason.REQUIRED_DISTRIBUTOR_MISSING


def test_without_all_of_its_goods_a_distributor_carries_no_entitlement() -> None:
    life = served(viewer(SPORT, points=()))
    assert not life.platforms["ALUXSAT"].subscribers[life.desired.number].services
    card, box = goods("MAIN", "1")
    life.perform(AddItems((card,)))
    assert said(life.serve("ALUXSAT")) == ["ADD_INSTALLED_ITEM SMARTCARD 1"]
    life.perform(AddItems((box,)))
    assert said(life.serve("ALUXSAT")) == [
        "ADD_INSTALLED_ITEM DECODER 1",
        "ACTIVATE_SERVICE SPORT on MAIN",
    ]


def test_one_item_of_a_goods_type_fits_on_a_distributor() -> None:
    refused = refusal(served(viewer(SPORT)), AddItems(goods("MAIN", "2")))
    assert refused.reason is Reason.DISTRIBUTOR_OCCUPIED
    assert refused.metadata["serial_number"] == "1"


def test_nothing_moves_onto_an_occupied_distributor() -> None:
    life = served(viewer(SPORT, points=("MAIN", "TWIN1")))
    move = Move(
        provider="ALUXSAT",
        from_distributor="MAIN",
        to_distributor="TWIN1",
        goods=Goods("SMARTCARD", "1"),
    )
    refused = refusal(life, ChangeDistribution((move,)))
    assert refused.reason is Reason.DISTRIBUTOR_OCCUPIED
    assert refused.metadata["distributor"] == "TWIN1"


def test_an_item_is_on_one_distributor_of_a_provider_and_perhaps_on_one_of_another() -> None:
    life = served(viewer(SPORT))
    refused = refusal(life, AddItems(goods("TWIN1", "1")))
    assert refused.reason is Reason.ITEM_IN_USE


def test_goods_that_the_provider_does_not_map_are_refused() -> None:
    antenna = Item(provider="ALUXSAT", distributor="MAIN", goods_type="ANTENNA", serial_number="1")
    refused = refusal(served(viewer(SPORT)), AddItems((antenna,)))
    assert refused.reason is Reason.GOODS_TYPE_NOT_MAPPED


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        (on("MAIN", "NOTHING"), Reason.SERVICE_NOT_FOUND),
        (on("CELLAR", "SPORT"), Reason.DISTRIBUTOR_NOT_FOUND),
    ],
)
def test_what_the_provider_does_not_offer_is_refused(selection: Selection, reason: Reason) -> None:
    assert refusal(served(viewer(SPORT)), AddServices((selection,))).reason is reason


def test_a_distributor_offers_the_services_that_are_listed_for_it() -> None:
    life = with_main(allowed_services=("SPORT", "NEWS"))
    life.perform(viewer(SPORT))
    assert refusal(life, AddServices((on("MAIN", "FILM"),))).reason is Reason.SERVICE_NOT_AVAILABLE


def test_a_distributor_takes_as_many_services_as_its_limit_says() -> None:
    life = with_main(max_services=2)
    life.perform(viewer(SPORT, on("MAIN", "NEWS")))
    assert refusal(life, AddServices((on("MAIN", "FILM"),))).reason is Reason.SERVICE_LIMIT_EXCEEDED


def chained(required: str) -> Provider:
    provider = aluxsat()
    main, *twins = provider.distributors
    first = replace(main, required_distributor=required)
    return replace(provider, distributors=(first, *twins))


@pytest.mark.parametrize("required", ["MAIN", "TWIN3", "CELLAR"])
def test_distributors_that_require_themselves_or_nobody_are_refused(required: str) -> None:
    with pytest.raises(InvalidField):
        check_provider(chained(required))
