"""Tests that an item stays reserved as long as the CRM or any platform may have the item for the
subscription.
"""

from __future__ import annotations

from msgspec.structs import replace

from generic_provider_server.domain.actions import (
    AddItems,
    Deactivate,
    RemoveItems,
    SwapItem,
    Terminate,
)
from generic_provider_server.domain.subscription.names_used import goods_named, uses_of
from generic_provider_server.domain.values import Goods, GoodsMapping
from support.catalogues import aluxsat
from support.hybrid import PHONE, Hybrid, fitted, over_the_top, satellite
from support.life import Life
from support.subscribers import goods, on, served, viewer

SPORT = on("MAIN", "SPORT")
CARD, BOX = Goods("SMARTCARD", "1"), Goods("DECODER", "1")
NEW_CARD = Goods("SMARTCARD", "9")
SWAP = SwapItem(old_serial_number="1", new_serial_number="9", goods_type="SMARTCARD")


def reserved(life: Life) -> set[Goods]:
    return goods_named(life.there)


def test_the_items_of_a_draft_are_reserved() -> None:
    assert reserved(served(viewer(SPORT, draft=True))) == {CARD, BOX}


def test_a_removed_item_stays_reserved_until_the_platform_has_let_it_go() -> None:
    life = served(viewer(SPORT))
    life.perform(RemoveItems(("1",), goods_type="SMARTCARD"))
    assert reserved(life) == {CARD, BOX}
    life.serve("ALUXSAT")
    assert reserved(life) == {BOX}


def test_a_refused_removal_finds_its_item_reserved() -> None:
    life = served(viewer(points=("MAIN",)))
    life.perform(Terminate())
    life.lease("ALUXSAT")
    life.reject("ALUXSAT")
    assert life.desired.live
    assert reserved(life) == {CARD, BOX}


def test_both_items_of_a_swap_are_reserved_until_it_is_settled() -> None:
    life = served(viewer(SPORT))
    life.perform(SWAP)
    assert reserved(life) == {CARD, BOX, NEW_CARD}
    life.serve("ALUXSAT")
    assert reserved(life) == {BOX, NEW_CARD}


def test_a_swap_keeps_the_goods_type_of_the_item_on_the_named_viewing_point() -> None:
    life = Life([aluxsat()])
    life.perform(viewer(points=("MAIN", "TWIN1")))
    life.perform(SwapItem(old_serial_number="2", goods_type="DECODER", new_serial_number="1b"))
    life.perform(replace(SWAP, new_serial_number="1b"))
    life.perform(
        SwapItem(old_serial_number="1b", new_serial_number="9", distributor="TWIN1"),
    )
    there = [(item.distributor, item.goods_type, item.serial_number) for item in life.desired.items]
    assert ("TWIN1", "DECODER", "9") in there
    assert ("MAIN", "SMARTCARD", "1b") in there


def test_a_refused_new_item_is_free_at_once() -> None:
    life = served(viewer(SPORT))
    life.perform(AddItems(goods("TWIN1", "2")))
    life.lease("ALUXSAT")
    life.reject("ALUXSAT")
    life.serve("ALUXSAT")
    assert Goods("DECODER", "2") not in reserved(life)
    assert Goods("SMARTCARD", "2") in reserved(life)


def test_an_item_that_a_platform_may_hold_stays_reserved() -> None:
    life = served(viewer(SPORT))
    life.perform(RemoveItems(("1",), goods_type="SMARTCARD"))
    life.lease("ALUXSAT")
    life.lose("ALUXSAT")
    life.expire("ALUXSAT")
    assert reserved(life) == {CARD, BOX}
    life.reset("ALUXSAT")
    life.serve("ALUXSAT")
    assert reserved(life) == {BOX}


def test_what_was_never_removed_while_a_provider_was_off_stays_reserved() -> None:
    life = served(viewer(SPORT))
    life.switch("ALUXSAT", effective=False)
    life.perform(Terminate())
    assert not life.desired.items
    assert reserved(life) == {CARD, BOX}


def test_an_item_that_left_while_it_was_pending_is_free_once_nobody_names_it() -> None:
    life = served(viewer(SPORT))
    life.perform(Terminate())
    life.serve("ALUXSAT")
    assert not reserved(life)


def test_what_a_subscription_uses_of_its_provider_is_used_until_the_platform_let_it_go() -> None:
    life = served(viewer(SPORT))
    used = {"*", "d:MAIN", "s:SPORT", "d:MAIN/s:SPORT", "g:SMARTCARD", "g:DECODER"}
    assert uses_of(life.there) == {("ALUXSAT", thing) for thing in used}
    life.perform(Terminate())
    assert uses_of(life.there) >= {("ALUXSAT", "s:SPORT"), ("ALUXSAT", "g:DECODER")}
    life.serve("ALUXSAT")
    assert not uses_of(life.there)


def test_a_swap_at_a_provider_that_is_not_linked_uses_its_goods_type_until_it_is_settled() -> None:
    """Without the goods type, the swap could not be applied to *base*."""
    types = GoodsMapping("STB", "DEVICE"), GoodsMapping("SMARTCARD", "CARD")
    both = Hybrid(Life([satellite(), replace(over_the_top(), goods=types)]))
    both.become("NEWS")
    both.serve()
    both.perform(Deactivate())
    both.perform(fitted(PHONE, at="Q"))
    both.perform(
        SwapItem(old_serial_number="PHONE", new_serial_number="K1", new_goods_type="SMARTCARD")
    )
    both.perform(RemoveItems(("K1",)))
    assert both.life.there.link("Q") is None
    assert ("Q", "g:SMARTCARD") in uses_of(both.life.there)
    both.serve()
    assert ("Q", "g:SMARTCARD") not in uses_of(both.life.there)
