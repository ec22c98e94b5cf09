"""Tests how the later actions of a subscription are replayed after a rejection."""

from __future__ import annotations

from msgspec.structs import replace

from generic_provider_server.domain.actions import (
    AddItems,
    AddServices,
    Deactivate,
    RemoveItems,
    SwapItem,
    SwapService,
    Terminate,
)
from generic_provider_server.domain.refusals import Reason
from generic_provider_server.domain.values import (
    RequestState,
    State,
)
from support.catalogues import aluxsat, ott
from support.life import Life
from support.rejecting import accept, error, refuse, services, settled
from support.subscribers import goods, on, online, said, served, viewer

SPORT, NEWS = on("MAIN", "SPORT"), on("MAIN", "NEWS")
TWIN1, TWIN2 = on("TWIN1", "SPORT"), on("TWIN2", "SPORT")
SWAP = SwapService(provider="ALUXSAT", distributor="MAIN", old_service="SPORT", new_service="NEWS")


def test_what_needs_a_refused_card_is_not_switched_on() -> None:
    life = served(viewer(SPORT, TWIN1, points=("MAIN", "TWIN1")))
    life.perform(AddItems(goods("TWIN2", "3")))
    added = life.perform(AddServices((TWIN2,)))
    refuse(life)
    assert said(life.queue("ALUXSAT")) == ["ADD_INSTALLED_ITEM SMARTCARD 3"]
    assert services(life)["SPORT on TWIN2"] == "EFFECTIVE"
    assert error(life, added).reason is Reason.CHANGED_BY_ROLLBACK
    settled(life)


def test_what_depends_on_something_refused_is_rejected_with_it() -> None:
    """TWIN2 cannot stay without TWIN1."""
    life = served(viewer(SPORT))
    before = life.desired
    life.perform(AddItems(goods("TWIN1", "2")))
    twin2 = life.perform(AddItems(goods("TWIN2", "3")))
    twin3 = life.perform(AddItems(goods("TWIN3", "4")))
    refuse(life)
    refuse(life)
    assert life.desired == before
    assert error(life, twin2).reason is Reason.DEPENDS_ON_REJECTED
    assert error(life, twin3).reason is Reason.DEPENDS_ON_REJECTED
    assert not life.queue("ALUXSAT")
    assert life.in_sync("ALUXSAT")
    cancelled = [f for f in life.finals.values() if f.state is RequestState.CANCELLED]
    assert len(cancelled) == 4


def test_what_a_dependent_action_has_done_elsewhere_is_corrected_there() -> None:
    life = served(viewer(SPORT))
    before = life.desired
    life.perform(AddItems(goods("TWIN1", "2")))
    life.perform(AddServices((NEWS, TWIN2, online("MAIN", "SPORT"))))
    life.serve("OTT")
    refuse(life)
    refuse(life)
    assert life.desired == before
    assert said(life.queue("OTT")) == ["DEACTIVATE_SERVICE SPORT on MAIN"]
    settled(life)


def test_a_later_action_that_means_something_else_now_says_so() -> None:
    life = served(viewer(SPORT))
    life.perform(AddServices((NEWS,)))
    swap = life.perform(
        SwapItem(old_serial_number="1", new_serial_number="9", goods_type="SMARTCARD")
    )
    refuse(life)
    assert error(life, swap).reason is Reason.CHANGED_BY_ROLLBACK
    assert "ACTIVATE_SERVICE NEWS on MAIN" not in said(life.queue("ALUXSAT"))
    settled(life)


def with_reused_serial_number() -> Life:
    """Returns a life in which the decoder 7 became 5, and then the card 1 became 7. The first of
    these swaps is not answered yet.
    """
    life = served(viewer(SPORT))
    life.perform(SwapItem(old_serial_number="1", new_serial_number="7", goods_type="DECODER"))
    life.serve("ALUXSAT")
    life.perform(SwapItem(old_serial_number="7", new_serial_number="5"))
    life.perform(SwapItem(old_serial_number="1", new_serial_number="7"))
    return life


def test_a_swap_swaps_the_same_item_again_if_another_gets_its_serial_number_back() -> None:
    life = with_reused_serial_number()
    last = life.perform(SwapItem(old_serial_number="7", new_serial_number="9"))
    refuse(life)
    assert error(life, last).reason is Reason.CHANGED_BY_ROLLBACK
    there = {item.goods_type: item.serial_number for item in life.desired.items}
    assert there == {"SMARTCARD": "9", "DECODER": "7"}
    settled(life)


def test_a_removal_removes_the_same_item_again_if_another_gets_its_serial_number_back() -> None:
    life = with_reused_serial_number()
    life.perform(RemoveItems(("7",)))
    refuse(life)
    assert [(i.goods_type, i.serial_number) for i in life.desired.items] == [("DECODER", "7")]
    settled(life)


def test_a_request_in_work_is_never_cancelled_but_corrected_afterwards() -> None:
    life = served(viewer(SPORT, online("MAIN", "SPORT")))
    before = life.desired
    life.perform(Terminate())
    life.lease("OTT")
    refuse(life)
    assert life.desired == before
    assert said(life.queue("OTT")) == [
        "DEACTIVATE_SUBSCRIBER SPORT",
        "ACTIVATE_SERVICE SPORT on MAIN",
    ]
    settled(life)


def test_a_refused_correction_takes_nothing_back_and_is_not_tried_again() -> None:
    life = served(viewer(SPORT))
    before = life.desired
    life.perform(SWAP)
    accept(life)
    refuse(life)
    refuse(life)
    assert life.desired == before
    assert not life.queue("ALUXSAT")
    assert not life.in_sync("ALUXSAT")
    last = life.link("ALUXSAT").last_error
    assert last is not None
    assert last.error_code == "E7"
    life.reset("ALUXSAT")
    settled(life)


def test_a_provider_that_a_replay_links_gets_its_subscriber() -> None:
    """After Deactivate is taken back, the service at OTT counts as added while the subscription was
    on.
    """
    life = served(viewer(SPORT, NEWS))
    life.perform(Deactivate())
    life.perform(AddServices((online("MAIN", "SPORT"),)))
    refuse(life)
    assert life.desired.linked == ("ALUXSAT", "OTT")
    assert said(life.queue("OTT")) == ["BECOME_SUBSCRIBER SPORT"]
    settled(life)


def test_an_order_survives_if_the_action_that_made_it_impossible_is_taken_back_too() -> None:
    """The second Deactivate is impossible after the first Deactivate, which is then taken back as a
    whole.
    """
    life = Life([aluxsat(), ott()])
    life.perform(replace(viewer(SPORT, NEWS), provider="OTT"))
    life.serve("OTT")
    first = life.perform(Deactivate())
    life.cancel(life.there.queue("ALUXSAT")[1].number)
    second = life.perform(Deactivate())
    refuse(life)
    assert life.changes[first].performed.undone
    assert not life.changes[second].performed.undone
    assert life.desired.state is State.NOT_EFFECTIVE
    settled(life)
