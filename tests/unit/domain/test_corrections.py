"""Tests which requests are needed, and which are not needed, after a part of an action was taken
back.
"""

from __future__ import annotations

from generic_provider_server.domain.actions import (
    ChangeLocation,
    ChangeSubscriber,
    Deactivate,
    Replace,
    ShortTermDeactivate,
    StopServices,
    Terminate,
)
from generic_provider_server.domain.subscription.records import ActionState
from generic_provider_server.domain.values import (
    SECOND,
    Account,
    Address,
    Instant,
    RequestMethod,
    RequestSettings,
    State,
)
from support.hybrid import BOX, CARD, PHONE, Hybrid, added, fitted, item, on, swapped

JAAN, TARTU = Account(name="Jaan"), Address(city="Tartu")


def test_nothing_waits_for_a_subscriber_who_was_refused_while_the_provider_is_off() -> None:
    one = Hybrid.with_services("NEWS", "OTTX")
    deactivated = one.perform(ShortTermDeactivate(Instant(one.life.now + 3_600 * SECOND)))
    one.life.switch("Q", effective=False)
    one.life.resolve(one.life.there.queue("Q")[0].number)
    assert one.pending("Q") == []
    one.serve("P")
    assert one.action_state(deactivated) is ActionState.SETTLED


def test_nothing_is_added_for_a_subscriber_who_was_refused_while_the_provider_is_off() -> None:
    one = Hybrid.with_services("NEWS", "OTTX")
    extra = one.perform(added("OTTY"))
    one.life.switch("Q", effective=False)
    one.life.resolve(one.life.there.queue("Q")[0].number)
    assert one.pending("Q") == []
    one.life.switch("Q", effective=True)
    one.perform(ChangeLocation(TARTU))
    assert one.pending("Q") == ["ACTION BECOME_SUBSCRIBER OTTY"]
    one.serve()
    assert one.life.in_sync("Q")
    assert one.reason(extra) is None


def test_an_end_does_not_cancel_usage_that_was_refused_while_the_provider_is_off() -> None:
    one = Hybrid.served("NEWS")
    one.rent()
    ended = one.perform(Terminate())
    one.life.switch("P", effective=False)
    one.life.resolve(one.life.there.queue("P")[0].number)
    assert not [each for each in one.pending("P") if "UDR" in each]
    one.life.switch("P", effective=True)
    one.serve()
    assert one.action_state(ended) is ActionState.SETTLED


def test_a_later_action_asks_again_for_what_was_refused_to_an_earlier_one() -> None:
    one = Hybrid.served("NEWS", "SPORT")
    one.perform(StopServices((on("NEWS"), on("SPORT"))))
    one.life.switch("P", effective=False)
    ended = one.perform(Terminate())
    one.life.switch("P", effective=True)
    refused = one.reject("P")
    assert f"ACTION {refused}" in one.pending("P")
    one.serve()
    assert one.life.in_sync("P")
    assert one.action_state(ended) is ActionState.SETTLED


def test_what_heals_the_platform_stays_ahead_of_the_action_that_changes_it_again() -> None:
    one = Hybrid.served("NEWS", "OTTX")
    one.perform(swapped("C1", "C3"))
    one.expire("P")
    one.perform(ChangeSubscriber(JAAN))
    one.perform(swapped("C3", "C4"))
    healing = [each for each in one.pending("P") if each.startswith("RESET")]
    assert "RESET ADD_INSTALLED_ITEM C3" in healing
    one.perform(added("OTTY"))
    while one.pending("Q")[0] != "ACTION ACTIVATE_SERVICE OTTY":
        one.accept("Q")
    one.reject("Q")
    assert [each for each in one.pending("P") if each.startswith("RESET")] == healing
    one.serve()
    assert one.life.in_sync("P")
    assert not one.life.differences("P")


def test_nothing_heals_a_subscriber_who_was_refused() -> None:
    one = Hybrid.with_services("NEWS", "OTTX", "OTTY")
    one.life.switch("Q", effective=False)
    one.perform(StopServices((on("OTTX"),)))
    one.life.switch("Q", effective=True)
    one.perform(added("SPORT"))
    assert "RESET DEACTIVATE_SERVICE OTTX" in one.pending("Q")
    one.reject("Q")
    assert one.pending("Q") == []


def test_a_correction_behind_the_become_subscriber_of_an_action_stays() -> None:
    one = Hybrid.with_services("NEWS", "OTTX")
    one.serve()
    one.rent("u1")
    one.accept("P")
    one.life.report("P", None)
    one.life.switch("P", effective=False)
    one.perform(added("SPORT", "OTTY"))
    one.perform(StopServices((on("OTTX"),)))
    one.life.switch("P", effective=True)
    one.reject("Q")
    before = one.pending("P")
    assert before[0].startswith("ACTION BECOME_SUBSCRIBER")
    assert before[1].startswith("ROLLBACK ADD_UDR u1")
    numbers = [pending.number for pending in one.life.there.queue("P")]
    one.reject("Q")
    assert one.pending("P") == before
    assert [pending.number for pending in one.life.there.queue("P")] == numbers


def test_a_late_answer_does_not_send_a_refused_correction_again() -> None:
    one = Hybrid.with_services("NEWS", "SPORT")
    one.life.lease("P")
    one.life.do("P")
    one.life.lose("P")
    one.life.cancel(one.life.there.queue("P")[0].number)
    one.accept("P")
    refused = one.reject("P")
    one.life.come_late(one.life.lost[0])
    assert f"ROLLBACK {refused}" not in one.pending("P")


def test_nothing_is_left_of_a_change_that_the_only_platform_that_got_it_refused() -> None:
    one = Hybrid.served("NEWS", "OTTX")
    one.life.switch("Q", effective=False)
    moved = one.perform(ChangeLocation(TARTU))
    one.reject("P")
    assert one.action_state(moved) is ActionState.REJECTED


def test_an_end_keeps_the_method_of_a_platform_that_a_replay_links() -> None:
    one = Hybrid.served("NEWS")
    whole = RequestMethod.WHOLE_SUBSCRIPTION
    one.set_methods("Q", RequestSettings(deactivation_method=whole))
    one.perform(StopServices((on("NEWS"),)))
    one.perform(added("OTTX"))
    one.perform(Terminate())
    one.reject("P")
    assert one.pending("Q") == [
        "ACTION BECOME_SUBSCRIBER OTTX",
        "ACTION DEACTIVATE_SUBSCRIBER OTTX",
    ]


def test_an_action_that_links_a_provider_only_now_stays_ahead_of_later_ones() -> None:
    one = Hybrid.with_services("NEWS", "OTTX")
    one.serve("P")
    one.life.switch("Q", effective=False)
    one.perform(added("OTTY"))
    one.life.switch("Q", effective=True)
    one.perform(ChangeLocation(TARTU))
    one.reject("Q")
    assert one.pending("Q")[0] == "ACTION BECOME_SUBSCRIBER OTTY"
    one.serve()
    assert one.life.in_sync("Q")
    assert not one.life.differences("Q")


def with_a_refused_correction() -> Hybrid:
    """Returns a subscription for which P has rejected the activation of SPORT that was sent to heal
    P.
    """
    one = Hybrid.served("NEWS", "OTTX")
    one.life.switch("P", effective=False)
    one.perform(added("SPORT"))
    one.life.switch("P", effective=True)
    one.perform(added("OTTY"))
    assert one.reject("P") == "ACTIVATE_SERVICE SPORT"
    one.serve()
    return one


def test_what_an_undone_action_left_is_corrected_although_a_later_action_changed_it_back() -> None:
    one = with_a_refused_correction()
    one.perform(ChangeSubscriber(JAAN))
    one.perform(ChangeSubscriber(Account(name="Mari")))
    one.cancel("P", after_a_hand_over=True)
    assert one.pending("P") == ["ROLLBACK UPDATE_SUBSCRIBER"]


def test_all_elements_of_an_undone_action_are_corrected_after_a_refused_correction() -> None:
    one = with_a_refused_correction()
    one.perform(replaced_by("FILM", "OTTX", "OTTY"))
    one.perform(replaced_by("NEWS", "SPORT", "OTTX", "OTTY"))
    assert one.accept("P") == "DEACTIVATE_SERVICE NEWS"
    assert one.reject("P") == "ACTIVATE_SERVICE FILM"
    assert "ROLLBACK ACTIVATE_SERVICE NEWS" in one.pending("P")


def replaced_by(*services: str) -> Replace:
    return Replace(
        state=State.EFFECTIVE,
        type="HYBRID",
        holder=Account(name="Mari"),
        address=Address(city="Tallinn"),
        items=(item(CARD), item(BOX)),
        services=tuple([on(service) for service in services]),
    )


def test_a_rejection_changes_nothing_for_an_action_that_linked_a_provider_while_it_was_off() -> (
    None
):
    one = Hybrid.served("NEWS")
    one.perform(added("SPORT"))
    one.life.switch("Q", effective=False)
    one.perform(added("FILM", "OTTX"))
    one.life.switch("Q", effective=True)
    one.perform(added("OTTY"))
    assert one.pending("Q") == ["ACTION BECOME_SUBSCRIBER OTTX OTTY"]
    one.reject("P")
    assert one.pending("Q") == ["ACTION BECOME_SUBSCRIBER OTTX OTTY"]


def test_what_was_performed_while_a_provider_was_off_comes_last_if_a_replay_links_it() -> None:
    one = Hybrid.served("NEWS", "SPORT")
    one.perform(Deactivate())
    one.life.switch("Q", effective=False)
    one.perform(fitted(PHONE, at="Q"))
    one.perform(added("OTTX"))
    one.life.switch("Q", effective=True)
    one.perform(added("OTTY"))
    one.reject("P")
    assert one.pending("Q") == [
        "ACTION BECOME_SUBSCRIBER",
        "ACTION ACTIVATE_SERVICE OTTY",
        "ACTION ACTIVATE_SERVICE OTTX",
    ]
