"""The next action also sends the requests for earlier differences of a platform, except requests
that the platform has rejected before.
"""

from __future__ import annotations

import pytest

from generic_provider_server.domain.actions import (
    Activate,
    CancelUsage,
    ChangeLocation,
    ChangeSubscriber,
    Deactivate,
    StopServices,
    SwapService,
    Terminate,
)
from generic_provider_server.domain.subscription.records import ActionState
from generic_provider_server.domain.values import (
    Account,
    Address,
    RequestMethod,
    RequestSettings,
    SyncState,
)
from support.hybrid import Hybrid, added, on, swapped

JAAN = ChangeSubscriber(Account(name="Jaan"))
TARTU = ChangeLocation(Address(city="Tartu"))
NEWS_TO_FILM = SwapService(provider="P", distributor="MAIN", old_service="NEWS", new_service="FILM")


def drifted() -> Hybrid:
    """Returns a subscription with card C3 whose platform still holds card C1, because the requests
    of the swap have expired.
    """
    one = Hybrid.served("NEWS")
    one.perform(swapped("C1", "C3"))
    one.expire("P")
    return one


def test_an_action_heals_first() -> None:
    one = drifted()
    holder = one.perform(JAAN)
    assert one.pending("P") == [
        "RESET DEACTIVATE_SERVICE NEWS",
        "RESET REMOVE_INSTALLED_ITEM C1",
        "RESET ADD_INSTALLED_ITEM C3",
        "RESET ACTIVATE_SERVICE NEWS",
        "ACTION UPDATE_SUBSCRIBER",
    ]
    heal, own = one.life.there.queue("P")[:4], one.life.there.queue("P")[4]
    assert {pending.unit for pending in heal} != {own.unit}
    one.serve()
    assert one.life.in_sync("P")
    assert one.action_state(holder) is ActionState.SETTLED


def test_an_order_after_an_outage_is_not_lost() -> None:
    one = Hybrid.served("NEWS")
    one.life.switch("P", effective=False)
    one.perform(swapped("C1", "C3"))
    one.life.switch("P", effective=True)
    order = one.perform(added("SPORT"))
    one.serve()
    assert one.action_state(order) is ActionState.SETTLED
    assert one.life.in_sync("P")


def test_an_action_does_not_wait_for_what_it_heals() -> None:
    one = drifted()
    holder = one.perform(JAAN)
    own = one.life.there.queue("P")[-1].number
    for _ in range(4):
        one.accept("P")
    one.accept("P")
    assert one.action_state(holder) is ActionState.SETTLED
    assert one.life.finals[own].pending.action == holder


def test_an_element_that_the_action_changes_is_the_actions() -> None:
    one = drifted()
    one.perform(swapped("C3", "C4"))
    assert one.pending("P") == [
        "RESET DEACTIVATE_SERVICE NEWS",
        "RESET REMOVE_INSTALLED_ITEM C1",
        "ACTION ADD_INSTALLED_ITEM C4",
        "ACTION ACTIVATE_SERVICE NEWS",
    ]


def test_the_actions_share_is_joined_where_the_settings_say_so() -> None:
    one = Hybrid.served("NEWS", "SPORT")
    whole = RequestMethod.WHOLE_SUBSCRIPTION
    one.set_methods("P", RequestSettings(activation_method=whole, deactivation_method=whole))
    one.perform(swapped("C1", "C3"))
    one.expire("P")
    one.perform(Deactivate())
    assert one.pending("P") == [
        "RESET DEACTIVATE_SERVICE SPORT",
        "RESET DEACTIVATE_SERVICE NEWS",
        "RESET REMOVE_INSTALLED_ITEM C1",
        "RESET ADD_INSTALLED_ITEM C3",
    ]
    one.serve()
    one.perform(swapped("C3", "C4"))
    one.expire("P")
    one.perform(Activate())
    assert one.pending("P") == [
        "RESET REMOVE_INSTALLED_ITEM C3",
        "RESET ADD_INSTALLED_ITEM C4",
        "ACTION ACTIVATE_SUBSCRIBER NEWS SPORT",
    ]


def test_an_unknown_subscriber_is_sent_whole_by_the_action_that_changes_something() -> None:
    one = Hybrid.with_services("NEWS")
    one.expire("P", after_a_hand_over=True)
    one.perform(added("SPORT"))
    assert one.pending("P") == ["ACTION BECOME_SUBSCRIBER NEWS SPORT"]


def test_who_was_never_sent_to_the_platform_needs_nothing_at_the_end() -> None:
    one = Hybrid.with_services("NEWS")
    one.expire("P")
    one.perform(Terminate())
    assert one.pending("P") == []
    assert one.life.in_sync("P")


def test_a_refused_heal_is_not_sent_again_by_a_rollback_or_an_action() -> None:
    one = drifted()
    order = one.perform(added("SPORT"))
    for _ in range(2):
        one.accept("P")
    assert one.reject("P") == "ADD_INSTALLED_ITEM C3"
    assert one.reject("P") == "ACTIVATE_SERVICE NEWS"
    assert one.reject("P") == "ACTIVATE_SERVICE SPORT"
    assert one.action_state(order) is ActionState.REJECTED
    assert one.pending("P") == []
    assert one.life.link("P").sync_state is SyncState.OUT_OF_SYNC
    one.perform(JAAN)
    assert one.pending("P") == ["ACTION UPDATE_SUBSCRIBER"]
    one.serve()
    one.life.reset("P")
    one.serve()
    assert one.life.in_sync("P")


def test_corrections_keep_their_place() -> None:
    one = Hybrid.served("NEWS")
    one.perform(NEWS_TO_FILM)
    one.accept("P")
    assert one.reject("P") == "ACTIVATE_SERVICE FILM"
    assert one.pending("P") == ["ROLLBACK ACTIVATE_SERVICE NEWS"]
    one.perform(added("SPORT"))
    address = one.perform(TARTU)
    number = one.life.there.queue("P")[-1].number
    one.life.cancel(number)
    assert one.pending("P") == [
        "ROLLBACK ACTIVATE_SERVICE NEWS",
        "ACTION ACTIVATE_SERVICE SPORT",
    ]
    assert one.action_state(address) is ActionState.REJECTED


def test_a_withheld_correction_waits_for_a_reset() -> None:
    one = Hybrid.served("NEWS")
    one.perform(NEWS_TO_FILM)
    one.accept("P")
    one.reject("P")
    assert one.reject("P") == "ACTIVATE_SERVICE NEWS"
    one.perform(JAAN)
    assert one.pending("P") == ["ACTION UPDATE_SUBSCRIBER"]
    one.life.reset("P")
    assert one.pending("P")[1:] == ["RESET ACTIVATE_SERVICE NEWS"]


def test_nothing_is_healed_while_the_subscriber_itself_is_withheld() -> None:
    one = Hybrid.served("NEWS")
    one.rent("film")
    one.serve()
    one.life.report("P", None)
    one.perform(CancelUsage(usage="film"))
    assert one.reject("P") == "BECOME_SUBSCRIBER NEWS"
    one.perform(added("OTTX"))
    assert one.pending("P") == []
    one.life.reset("P")
    assert one.pending("P") == ["RESET BECOME_SUBSCRIBER NEWS", "RESET ADD_UDR film C1 B1"]


def test_a_usage_record_that_gets_the_reference_of_another_one_replaces_it() -> None:
    one = Hybrid.served("NEWS")
    one.rent("film")
    one.serve()
    one.life.switch("P", effective=False)
    one.perform(CancelUsage(usage="film"))
    one.life.switch("P", effective=True)
    one.life.wait(3_600)
    one.rent("film")
    assert one.pending("P") == ["ACTION CANCEL_UDR film C1 B1", "ACTION ADD_UDR film C1 B1"]
    one.serve()
    assert one.life.in_sync("P")


def test_a_replaced_usage_record_is_still_cancelled_after_a_rejection_elsewhere() -> None:
    one = Hybrid.served("NEWS", "OTTX")
    one.rent("film")
    one.serve()
    one.life.switch("P", effective=False)
    one.perform(CancelUsage(usage="film"))
    one.perform(added("OTTY"))
    one.life.switch("P", effective=True)
    one.life.wait(3_600)
    one.rent("film")
    replaced = ["ACTION CANCEL_UDR film C1 B1", "ACTION ADD_UDR film C1 B1"]
    assert one.pending("P") == replaced
    one.life.switch("P", effective=False)
    assert one.reject("Q") == "ACTIVATE_SERVICE OTTY"
    assert one.pending("P") == replaced


@pytest.mark.parametrize("way", ["reset", "action"])
def test_an_account_taken_over_without_its_contents_is_uncertain(way: str) -> None:
    one = Hybrid.with_services("NEWS", existing=True)
    assert one.life.link("P").sync_state is SyncState.OUT_OF_SYNC
    one.perform(StopServices((on("NEWS"),)))
    one.serve()
    assert one.life.link("P").sync_state is SyncState.OUT_OF_SYNC
    if way == "reset":
        one.life.reset("P")
        assert one.pending("P") == ["RESET BECOME_SUBSCRIBER"]
    else:
        one.perform(JAAN)
        assert one.pending("P") == ["ACTION BECOME_SUBSCRIBER"]
    one.serve()
    assert one.life.in_sync("P")
