"""A usage record on a platform belongs to the goods of its viewing point."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from generic_provider_server.domain.actions import (
    AddServices,
    AddUsage,
    CancelUsage,
    ChangeLocation,
    RemoveItems,
    StopServices,
    Terminate,
)
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.subscription.due import due_time
from generic_provider_server.domain.subscription.names_used import goods_named
from generic_provider_server.domain.subscription.records import ActionState
from generic_provider_server.domain.values import (
    SECOND,
    Address,
    Distributor,
    Goods,
    Instant,
    State,
    SyncState,
)
from support.hybrid import (
    BOX,
    CARD,
    Hybrid,
    added,
    fitted,
    on,
    over_the_top,
    satellite,
    swapped,
)
from support.life import Life


def with_film() -> Hybrid:
    one = Hybrid.served("NEWS")
    one.rent()
    one.serve()
    return one


def test_a_card_swap_moves_the_film() -> None:
    one = with_film()
    one.perform(swapped("C1", "C3"))
    assert one.pending("P") == [
        "ACTION CANCEL_UDR film C1 B1",
        "ACTION DEACTIVATE_SERVICE NEWS",
        "ACTION REMOVE_INSTALLED_ITEM C1",
        "ACTION ADD_INSTALLED_ITEM C3",
        "ACTION ACTIVATE_SERVICE NEWS",
        "ACTION ADD_UDR film C3 B1",
    ]
    one.serve()
    assert not one.life.differences("P")


def test_a_refused_cancellation_of_the_film_is_a_refused_correction() -> None:
    one = with_film()
    swap = one.perform(swapped("C1", "C3"))
    assert one.reject("P") == "CANCEL_UDR film C1 B1"
    one.serve()
    assert [item.serial_number for item in one.life.desired.items] == ["C3", "B1"]
    assert one.action_state(swap) is ActionState.SETTLED
    assert one.reason(swap) is None
    assert one.life.link("P").sync_state is SyncState.OUT_OF_SYNC
    assert one.life.link("P").last_error
    assert Goods(*CARD) in goods_named(one.life.there)


def test_without_its_card_the_film_is_not_on_the_platform() -> None:
    one = with_film()
    one.perform(RemoveItems(("C1",)))
    assert one.pending("P")[0] == "ACTION CANCEL_UDR film C1 B1"
    one.serve()
    one.perform(fitted(CARD))
    one.serve()
    assert not one.life.differences("P")
    assert one.life.desired.usages


def test_a_film_outlives_the_service_and_ends_with_the_subscription() -> None:
    one = with_film()
    one.perform(StopServices((on("NEWS"),)))
    assert one.pending("P") == ["ACTION DEACTIVATE_SERVICE NEWS"]
    one.serve()
    one.perform(Terminate())
    assert "ACTION CANCEL_UDR film C1 B1" in one.pending("P")
    assert not one.life.desired.usages
    one.serve()
    assert one.life.in_sync("P")


def test_a_refused_film_is_taken_back() -> None:
    one = Hybrid.served("NEWS")
    film = one.rent()
    one.reject("P")
    assert not one.life.desired.usages
    assert one.reason(film) is Reason.REJECTED_BY_PLATFORM


def test_a_film_that_could_not_be_cancelled_is_there_again() -> None:
    one = with_film()
    one.perform(CancelUsage("film"))
    one.reject("P")
    assert [usage.reference for usage in one.life.desired.usages] == ["film"]
    assert one.state is State.EFFECTIVE


def test_after_become_subscriber_the_film_is_sent_again() -> None:
    one = with_film()
    one.life.reset("P", recreate=True)
    assert one.pending("P") == ["RESET BECOME_SUBSCRIBER NEWS", "RESET ADD_UDR film C1 B1"]


def test_a_box_swap_moves_the_film_too() -> None:
    one = with_film()
    one.perform(swapped(BOX[1], "B2"))
    assert one.pending("P")[0] == "ACTION CANCEL_UDR film C1 B1"
    assert one.pending("P")[-1] == "ACTION ADD_UDR film C1 B2"


def test_a_film_that_is_over_is_gone_although_an_action_is_unsettled() -> None:
    one = with_film()
    one.perform(ChangeLocation(Address(city="Tartu")))
    one.life.wait(101 * 3_600)
    assert not one.life.desired.usages
    with pytest.raises(Refused) as refused:
        one.perform(CancelUsage("film"))
    assert refused.value.reason is Reason.USAGE_NOT_FOUND
    one.rent()
    one.serve()
    assert not one.life.differences("P")


def test_a_replayed_cancellation_finds_the_film_that_is_over_since() -> None:
    one = with_film()
    moved = one.perform(ChangeLocation(Address(city="Tartu")))
    cancelled = one.perform(CancelUsage("film"))
    one.life.wait(101 * 3_600)
    one.reject("P")
    assert one.reason(moved) is Reason.REJECTED_BY_PLATFORM
    assert one.reason(cancelled) is None
    assert not one.life.desired.usages


def test_a_film_that_a_closed_platform_never_got_is_missed_until_it_is_over() -> None:
    one = Hybrid.served("NEWS", "OTTX")
    one.perform(ChangeLocation(Address(city="Tartu")))
    one.life.switch("P", effective=False)
    one.rent()
    assert one.life.link("P").sync_state is SyncState.OUT_OF_SYNC
    one.life.wait(101 * 3_600)
    assert one.life.link("P").sync_state is SyncState.PENDING


def test_a_film_that_a_closed_platform_keeps_is_too_much_until_it_is_over() -> None:
    one = with_film()
    one.life.switch("P", effective=False)
    one.perform(CancelUsage("film"))
    assert one.life.link("P").sync_state is SyncState.OUT_OF_SYNC
    due = due_time(one.life.there, leased=lambda _: frozenset())
    one.life.wait(101 * 3_600)
    assert due is not None
    assert due <= one.life.now
    assert one.life.link("P").sync_state is SyncState.IN_SYNC
    assert due_time(one.life.there, leased=lambda _: frozenset()) is None


def test_a_replay_leaves_the_film_on_its_distributor_even_if_another_offers_it_by_now() -> None:
    attic = Distributor(code="ATTIC")
    main = Distributor(code="MAIN", allowed_services=("NEWS", "SPORT"))
    provider = replace(satellite(), distributors=(main, attic))
    one = Hybrid(Life([provider, over_the_top()]))
    one.become("NEWS", goods=False)
    one.perform(AddServices((replace(on("NEWS"), distributor="ATTIC"),)))
    one.serve()
    one.perform(added("SPORT"))
    one.rent(distributor="")
    offered_everywhere = replace(provider, distributors=(replace(main, allowed_services=()), attic))
    one.life.change(offered_everywhere)
    one.reject("P")
    assert [usage.distributor for usage in one.life.desired.usages] == ["ATTIC"]
    assert one.pending("P") == ["ACTION ADD_UDR film"]


def _film_ends_on_a_lease() -> Hybrid:
    """Returns a subscription whose film, which nobody wants any more, has ended during the live
    lease of its ADD_UDR. The cancellation of the film was cancelled by an operator.
    """
    one = Hybrid.served("NEWS")
    one.rent()
    one.life.lease("P")
    one.perform(Terminate())
    film, cancellation, *_ = one.life.there.queue("P")
    one.life.cancel(cancellation.number)
    assert one.life.link("P").sync_state is SyncState.OUT_OF_SYNC
    assert film.request.usage is not None
    one.life.now = film.request.usage.end_time
    return one


def test_a_film_that_ends_on_a_lease_makes_no_difference_after_the_lease() -> None:
    one = _film_ends_on_a_lease()
    one.life.lose("P")
    assert one.life.link("P").sync_state is SyncState.PENDING


def test_a_film_that_ends_on_a_lease_makes_no_difference_after_a_failed_attempt() -> None:
    one = _film_ends_on_a_lease()
    one.life.lose("P", counted=True)
    assert one.life.link("P").sync_state is SyncState.PENDING


def test_a_film_is_replaced_by_another_with_the_same_reference_while_the_platform_is_closed() -> (
    None
):
    one = Hybrid.served("NEWS")
    rent = AddUsage(
        provider="P",
        service="RENT",
        quantity=1,
        start_time=one.life.now,
        end_time=Instant(one.life.now + 3_600 * SECOND),
        reference="order 7",
        parameters={"film": "A"},
    )
    one.perform(rent)
    one.serve()
    one.life.switch("P", effective=False)
    one.perform(CancelUsage("order 7"))
    one.perform(replace(rent, parameters={"film": "B"}))
    assert one.life.link("P").sync_state is SyncState.OUT_OF_SYNC
    one.life.switch("P", effective=True)
    one.life.reset("P")
    assert one.pending("P") == ["RESET CANCEL_UDR order 7 C1 B1", "RESET ADD_UDR order 7 C1 B1"]
    one.serve()
    assert one.life.in_sync("P")
