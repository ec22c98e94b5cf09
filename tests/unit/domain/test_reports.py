"""Tests that the report of a platform replaces the confirmed items and entitlements of a
subscription.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from generic_provider_server.domain.actions import (
    AddServices,
    ChangeSubscriber,
    Existing,
    Terminate,
)
from generic_provider_server.domain.catalogue import Catalogue
from generic_provider_server.domain.platform.image import (
    NOTHING,
    Entitlement,
    Known,
    PlatformImage,
)
from generic_provider_server.domain.platform.reported import (
    Reported,
    ReportedElements,
    ReportedEntitlement,
    ReportedItem,
)
from generic_provider_server.domain.subscription.report import CLOCKS, report
from generic_provider_server.domain.values import (
    Account,
    Goods,
    GoodsMapping,
    Instant,
    SyncState,
)
from support.catalogues import aluxsat, ott
from support.life import Life
from support.subscribers import on, online, said, served, viewer

SAT = "ALUXSAT"
SPORT, NEWS = on("MAIN", "SPORT"), on("MAIN", "NEWS")
CARD = ReportedItem(serial_number="1", provider_goods_type="CARD")
BOX = ReportedItem(serial_number="1", provider_goods_type="STB")
SPORT_THERE = ReportedEntitlement(provider_service_id="1001", serial_numbers=("1",))
NEWS_THERE = ReportedEntitlement(provider_service_id="1002", serial_numbers=("1",))


def held(*entitlements: ReportedEntitlement) -> Reported:
    return Reported(items=(CARD, BOX), entitlements=entitlements)


def found(life: Life, said_by_platform: Reported | None) -> tuple[tuple[str, str], ...]:
    """Applies the report, and returns the ids that the provider does not have."""
    told = report(
        life.there,
        SAT,
        held=said_by_platform,
        observed_time=Instant(life.now + CLOCKS),
        circumstances=life.circumstances,
    )
    life.aggregate = told.transition.aggregate
    return told.unknown


def healing(life: Life) -> list[str]:
    """Returns the requests that a reset creates."""
    life.reset(SAT)
    return said(life.queue(SAT))


def test_a_report_that_says_what_is_confirmed_changes_nothing() -> None:
    life = served(viewer(SPORT))
    before = life.there
    life.report(SAT, held(SPORT_THERE))
    assert life.there is before


def test_drift_that_only_the_platform_knows_of_is_out_of_sync_at_once() -> None:
    life = served(viewer(SPORT))
    life.report(SAT, held(NEWS_THERE))
    assert life.link(SAT).sync_state is SyncState.OUT_OF_SYNC
    assert healing(life) == ["DEACTIVATE_SERVICE NEWS on MAIN", "ACTIVATE_SERVICE SPORT on MAIN"]


def test_the_next_action_heals_what_a_report_has_found() -> None:
    life = served(viewer(SPORT))
    life.report(SAT, held())
    life.perform(ChangeSubscriber(Account(name="Jaan")))
    assert said(life.queue(SAT)) == ["ACTIVATE_SERVICE SPORT on MAIN", "UPDATE_SUBSCRIBER"]


def test_a_platform_that_has_lost_the_subscriber_gets_everything_again() -> None:
    life = served(viewer(SPORT))
    life.report(SAT, None)
    assert life.link(SAT).confirmed.known is Known.NO
    assert healing(life) == ["BECOME_SUBSCRIBER SPORT"]


def test_an_ended_subscription_that_the_platform_does_not_know_is_in_sync() -> None:
    life = served(viewer(SPORT))
    life.perform(Terminate())
    life.serve(SAT)
    life.report(SAT, None)
    assert life.in_sync(SAT)


def test_a_report_overtaken_by_requests_is_skipped() -> None:
    life = served(viewer(SPORT))
    settled = life.link(SAT).settle_time
    assert settled == life.now
    assert not life.report(SAT, None, observed_time=Instant(settled + CLOCKS - 1))
    assert life.report(SAT, held(), observed_time=Instant(settled + CLOCKS))
    life.perform(AddServices((NEWS,)))
    life.wait(2 * 86_400)
    assert not life.report(SAT, None), "requests are pending"


def test_an_older_report_never_hides_the_drift_that_a_later_one_has_found() -> None:
    life = served(viewer(SPORT))
    read_at = Instant(life.now + CLOCKS + 10)
    assert life.report(SAT, held(), observed_time=read_at)
    assert not life.report(SAT, held(SPORT_THERE), observed_time=Instant(read_at - 1))
    assert life.link(SAT).sync_state is SyncState.OUT_OF_SYNC
    again = Instant(read_at + 10)
    assert life.report(SAT, held(), observed_time=again)
    assert not life.report(SAT, held(SPORT_THERE), observed_time=Instant(again - 1))
    assert life.report(SAT, held(SPORT_THERE), observed_time=again)
    assert life.in_sync(SAT)


@pytest.mark.parametrize("says", [held(SPORT_THERE), held(), None])
def test_an_account_that_was_taken_over_is_known_once_it_is_reported(says: Reported | None) -> None:
    life = Life([aluxsat(), ott()])
    existing = Existing(provider=SAT, account_number="77", holds_everything=False)
    life.perform(replace(viewer(SPORT), existing=(existing,)))
    assert life.link(SAT).confirmed.known is Known.UNCERTAIN

    life.report(SAT, says)

    assert not life.link(SAT).taken_over
    assert life.link(SAT).confirmed.known is (Known.NO if says is None else Known.YES)
    switched_on = ["ACTIVATE_SERVICE SPORT on MAIN"] if says == held() else []
    assert healing(life) == (
        ["BECOME_SUBSCRIBER SPORT"] if says is None else ["UPDATE_SUBSCRIBER", *switched_on]
    )


def test_a_card_is_found_on_the_viewing_point_that_has_it() -> None:
    life = served(viewer(SPORT, on("TWIN1", "NEWS"), points=("MAIN", "TWIN1")))
    before = life.there
    cards = [replace(each, serial_number=serial) for each in (CARD, BOX) for serial in ("1", "2")]
    on_cards = SPORT_THERE, replace(NEWS_THERE, serial_numbers=("2",))
    life.report(SAT, Reported(items=tuple(cards), entitlements=on_cards))
    assert life.there is before


def test_what_fits_no_viewing_point_is_kept_without_one_and_a_reset_takes_it_away() -> None:
    life = served(viewer(SPORT))
    strange = replace(CARD, serial_number="99")
    on_strange = replace(NEWS_THERE, serial_numbers=("99",))
    says = Reported(items=(CARD, BOX, strange), entitlements=(SPORT_THERE, on_strange))
    assert not found(life, says)
    assert [item.distributor for item in life.link(SAT).confirmed.items] == ["MAIN", "MAIN", ""]
    assert healing(life) == ["DEACTIVATE_SERVICE NEWS on ", "REMOVE_INSTALLED_ITEM SMARTCARD 99"]


def test_what_may_be_on_one_of_two_viewing_points_is_uncertain() -> None:
    life = served(viewer(SPORT))
    link = life.link(SAT)
    card = next(item for item in link.confirmed.items if item.goods_type == "SMARTCARD")
    doubled = replace(link.confirmed, items=(*link.confirmed.items, replace(card, distributor="X")))
    life.aggregate = replace(life.there, links=(replace(link, confirmed=doubled),))
    life.report(SAT, held(SPORT_THERE))
    cards = [i for i in life.link(SAT).confirmed.items if i.goods_type == "SMARTCARD"]
    assert [(item.distributor, item.certain) for item in cards] == [("MAIN", False), ("X", False)]


def test_ids_that_the_provider_does_not_have_are_told_and_left_out() -> None:
    life = served(viewer(SPORT))
    before = life.there
    says = Reported(
        items=(CARD, BOX, ReportedItem(serial_number="7", provider_goods_type="MODEM")),
        entitlements=(
            replace(SPORT_THERE, distributor="ATTIC"),
            ReportedEntitlement(provider_service_id="4711"),
        ),
    )
    assert [unknown for unknown, _ in found(life, says)] == ["MODEM", "ATTIC", "4711"]
    assert life.there is before


def test_usage_is_not_reported_and_stays() -> None:
    life = served(viewer(SPORT))
    before = life.there
    rented = ReportedEntitlement(provider_service_id="2001", serial_numbers=("1",))
    assert not found(life, held(SPORT_THERE, rented))
    assert life.there is before


def test_items_that_only_the_crm_names_after_a_refused_link_are_found_by_their_numbers() -> None:
    life = Life([aluxsat(), ott()])
    life.perform(viewer(SPORT, points=("MAIN", "TWIN1")))
    life.lease(SAT)
    life.reject(SAT)
    assert not found(life, Reported(items=(ReportedItem(serial_number="2"),)))
    assert [(item.distributor, item.certain) for item in life.link(SAT).confirmed.items] == [
        ("TWIN1", True)
    ]
    assert life.link(SAT).sync_state is SyncState.OUT_OF_SYNC


def test_the_entitlement_of_a_usage_service_is_replaced_like_any_other() -> None:
    life = served(viewer(SPORT, on("MAIN", "VOD")))
    before = life.there
    vod = ReportedEntitlement(provider_service_id="2001", serial_numbers=("1",))
    life.report(SAT, held(SPORT_THERE, vod))
    assert life.there is before

    life.report(SAT, held(SPORT_THERE))
    assert healing(life) == ["ACTIVATE_SERVICE VOD on MAIN"]


def test_a_term_end_counts_where_the_platform_keeps_it() -> None:
    end = Instant(2_000_000_000_000_000)
    life = served(viewer(SPORT, online("MOBILE", "MOVIES", term_end=end)))
    before = life.there
    moves = ReportedEntitlement(provider_service_id="M", term_end=end)
    life.report("OTT", Reported(entitlements=(moves,)))
    assert life.there is before
    life.report("OTT", Reported(entitlements=(replace(moves, term_end=None),)))
    assert not life.in_sync("OTT")
    sport = replace(SPORT_THERE, term_end=end)
    life.report(SAT, held(sport))
    assert life.in_sync(SAT)


def test_a_card_and_its_box_may_have_the_same_number() -> None:
    life = served(viewer(SPORT))
    both = replace(SPORT_THERE, serial_numbers=("1", "1"))
    life.report(SAT, Reported(items=(CARD,), entitlements=(both,)))
    assert healing(life) == ["ADD_INSTALLED_ITEM DECODER 1"]


def test_items_with_one_serial_number_are_told_apart_by_their_viewing_point() -> None:
    life = served(viewer(SPORT, points=("MAIN", "TWIN1")))
    items = [
        ReportedItem(serial_number=serial, provider_goods_type=kind, distributor=point)
        for point, serial, kind in (
            ("MAIN", "1", "CARD"),
            ("MAIN", "5", "STB"),
            ("TWIN1", "4", "CARD"),
            ("TWIN1", "1", "STB"),
        )
    ]
    there = ReportedEntitlement(
        provider_service_id="1003", distributor="TWIN1", serial_numbers=("4", "1")
    )
    life.report(SAT, Reported(items=tuple(items), entitlements=(there,)))
    (film,) = life.link(SAT).confirmed.entitlements
    assert [(goods.goods_type, goods.serial_number) for goods in film.goods] == [
        ("SMARTCARD", "4"),
        ("DECODER", "1"),
    ]


def test_an_item_that_nobody_knows_is_of_the_type_that_is_lacking() -> None:
    life = served(viewer(SPORT))
    there = ReportedEntitlement(
        provider_service_id="1003", distributor="MAIN", serial_numbers=("1", "9")
    )
    life.report(SAT, Reported(items=(CARD,), entitlements=(there,)))
    (film,) = life.link(SAT).confirmed.entitlements
    assert [goods.goods_type for goods in film.goods] == ["SMARTCARD", "DECODER"]


@pytest.mark.parametrize("distributor", ["MAIN", ""])
def test_a_service_whose_card_has_left_is_known_by_its_serial_numbers(distributor: str) -> None:
    """The report lists another card with the serial number 1 of the confirmed box. So only the
    confirmed entitlement shows which of the numbers 3 and 1 is the card.
    """
    goods = Goods("SMARTCARD", "3"), Goods("DECODER", "1")
    there = Entitlement(distributor="MAIN", provider_service_id="1001", goods=goods)
    items = (CARD, ReportedItem(serial_number="5", provider_goods_type="STB", distributor="MAIN"))
    left = ReportedEntitlement(
        provider_service_id="1001", distributor=distributor, serial_numbers=("3", "1")
    )
    reading = ReportedElements(
        Reported(items=items, entitlements=(left,)),
        images=(PlatformImage(known=Known.YES, entitlements=(there,)), NOTHING),
        catalogue=Catalogue(aluxsat()),
    )
    assert [each.key for each in reading.entitlements] == [there.key]


@pytest.mark.parametrize("distributor", ["MAIN", ""])
def test_a_service_of_new_items_or_of_former_ones_with_the_same_numbers_is_uncertain(
    distributor: str,
) -> None:
    """The numbers of a card and a box have been exchanged, so the numbers fit both pairs."""
    former = Goods("SMARTCARD", "1"), Goods("DECODER", "5")
    there = Entitlement(distributor="MAIN", provider_service_id="1004", goods=former)
    items = (
        ReportedItem(serial_number="1", provider_goods_type="STB", distributor="MAIN"),
        ReportedItem(serial_number="5", provider_goods_type="CARD", distributor="MAIN"),
    )
    on = ReportedEntitlement(
        provider_service_id="1004", distributor=distributor, serial_numbers=("1", "5")
    )
    reading = ReportedElements(
        Reported(items=items, entitlements=(on,)),
        images=(PlatformImage(known=Known.YES, entitlements=(there,)), NOTHING),
        catalogue=Catalogue(aluxsat()),
    )
    now = Goods("SMARTCARD", "5"), Goods("DECODER", "1")
    assert {(each.goods, each.certain) for each in reading.entitlements} == {
        (former, False),
        (now, False),
    }


def test_of_two_items_with_one_serial_number_the_required_one_has_the_service() -> None:
    """MAIN requires a card and a box. A modem there has the serial number of the card."""
    items = (
        ReportedItem(serial_number="7", goods_type="MODEM", distributor="MAIN"),
        ReportedItem(serial_number="7", goods_type="SMARTCARD", distributor="MAIN"),
        ReportedItem(serial_number="1", goods_type="DECODER", distributor="MAIN"),
    )
    on = ReportedEntitlement(
        provider_service_id="1001", distributor="MAIN", serial_numbers=("7", "1")
    )
    former = aluxsat()
    provider = replace(former, goods=(*former.goods, GoodsMapping("MODEM", "MODEM")))
    reading = ReportedElements(
        Reported(items=items, entitlements=(on,)),
        images=(NOTHING, NOTHING),
        catalogue=Catalogue(provider),
    )
    goods = Goods("SMARTCARD", "7"), Goods("DECODER", "1")
    assert [(each.goods, each.certain) for each in reading.entitlements] == [(goods, True)]
