"""Tests how a rejection at one platform changes the requests at another platform."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from generic_provider_server.domain.actions import (
    Activate,
    ChangeDistribution,
    ChangeLocation,
    ChangeSubscriber,
    Deactivate,
    Move,
    ShortTermActivate,
    ShortTermDeactivate,
    StopServices,
)
from generic_provider_server.domain.refusals import Reason
from generic_provider_server.domain.subscription.records import ActionState
from generic_provider_server.domain.values import (
    SECOND,
    Account,
    Address,
    Distributor,
    Instant,
    RequestMethod,
    RequestSettings,
    RequestState,
    State,
    SyncState,
)
from support.hybrid import BOX, PHONE, Hybrid, added, fitted, on, over_the_top, satellite
from support.life import START, Life

TOMORROW = Instant(START + 86_400 * SECOND)
JAAN = ChangeSubscriber(Account(name="Jaan"))


def rejected_while_q_is_leased() -> Hybrid:
    """At Q, OTTX is off, and the request for a new holder is on a lease. P rejects the request that
    switches NEWS off.
    """
    both = Hybrid.served("NEWS", "OTTX")
    both.perform(Deactivate())
    both.serve("Q")
    both.perform(added("OTTY"))
    both.perform(JAAN)
    both.life.lease("Q")
    both.reject("P")
    return both


def test_what_a_replay_needs_at_another_platform_follows_what_is_leased_there() -> None:
    both = rejected_while_q_is_leased()
    assert both.pending("Q") == ["ACTION UPDATE_SUBSCRIBER", "ACTION ACTIVATE_SERVICE OTTY"]
    assert both.accept("Q") == "UPDATE_SUBSCRIBER"
    both.serve()
    assert both.services == {
        "NEWS": State.EFFECTIVE,
        "OTTX": State.NOT_EFFECTIVE,
        "OTTY": State.EFFECTIVE,
    }
    assert both.life.in_sync("Q")


def test_a_request_on_a_lease_is_not_cancelled_by_a_replay() -> None:
    both = Hybrid.served("NEWS", "OTTX")
    both.perform(Deactivate())
    both.serve("Q")
    both.perform(Activate())
    both.life.lease("Q", most=1)
    both.life.do("Q")
    both.reject("P")
    assert both.life.there.queue("Q")[0].number in {
        pending.number for pending in both.life.leases["Q"].requests
    }
    both.life.lose("Q")
    both.serve()
    assert not both.life.differences("Q")


def test_the_own_rejection_of_an_action_replaces_the_note_that_it_was_changed() -> None:
    both = Hybrid.with_services("SPORT", "OTTX")
    off = both.perform(Deactivate())
    both.reject("P")
    both.accept("Q")
    both.reject("Q")
    assert both.action_state(off) is ActionState.REJECTED
    assert both.reason(off) is Reason.REJECTED_BY_PLATFORM
    own = both.life.changes[off].performed.error
    assert own is not None
    assert both.life.finals[own.request].pending.action == off


def test_an_action_that_is_done_already_says_that_it_means_something_else_now() -> None:
    both = Hybrid.served("NEWS", "OTTX")
    both.set_methods("P", RequestSettings(activation_method=RequestMethod.WHOLE_SUBSCRIPTION))
    both.perform(Deactivate())
    both.serve()
    both.perform(Activate())
    adding = both.perform(added("OTTY"))
    moving = both.perform(ChangeLocation(Address(city="Tartu")))
    both.serve("Q")
    assert both.reject("P") == "ACTIVATE_SUBSCRIBER NEWS"
    assert both.services["OTTY"] is State.NOT_EFFECTIVE
    both.serve()
    assert both.action_state(adding) is ActionState.SETTLED
    assert both.reason(adding) is Reason.CHANGED_BY_ROLLBACK
    assert both.reason(moving) is None


def test_later_actions_are_judged_without_an_action_of_which_nothing_happened() -> None:
    both = Hybrid.with_services(goods=False)
    box = both.perform(fitted(BOX))
    off = both.perform(ShortTermDeactivate(TOMORROW))
    both.cancel("P")
    assert both.state is State.SHORT_TERM_NOT_EFFECTIVE
    assert both.action_state(box) is ActionState.REJECTED
    assert both.reason(off) is not Reason.DEPENDS_ON_REJECTED


def test_what_an_action_changed_at_a_provider_that_was_not_effective_stands() -> None:
    both = Hybrid.with_services(goods=False)
    both.life.switch("P", effective=False)
    adding = both.perform(added("NEWS", "OTTY"))
    both.cancel("Q")
    assert both.services == {"NEWS": State.EFFECTIVE}
    assert both.life.changes[adding].performed.taken_back
    assert not both.life.changes[adding].performed.undone


def test_an_action_that_links_a_platform_only_in_the_replay_sends_its_own_request() -> None:
    both = Hybrid.served("SPORT", "FILM")
    both.perform(Deactivate())
    phone = both.perform(fitted(PHONE, at="Q"))
    assert both.life.there.link("Q") is None
    both.reject("P")
    assert both.pending("Q") == ["ACTION BECOME_SUBSCRIBER"]
    assert both.life.there.queue("Q")[0].action == phone
    both.serve()
    assert both.life.there.performed == ()


def test_taking_away_links_nobody() -> None:
    both = Hybrid.served("SPORT")
    both.perform(Deactivate())
    both.perform(added("OTTX"))
    both.perform(Activate())
    assert both.life.there.link("Q")
    other = Hybrid.served("SPORT")
    other.perform(Deactivate())
    other.perform(fitted(PHONE, at="Q"))
    other.perform(Activate())
    assert other.life.there.link("Q") is None
    other.perform(StopServices((on("SPORT"),)))
    assert other.life.there.link("Q") is None


def test_a_service_that_moves_links_its_provider_even_if_it_is_off() -> None:
    app, tv = Distributor(code="APP"), Distributor(code="TV")
    both = Hybrid(Life([satellite(), replace(over_the_top(), distributors=(app, tv))]))
    both.become("SPORT", "OTTX")
    both.reject("Q")
    both.serve()
    moved = Move(provider="Q", from_distributor="APP", to_distributor="TV", service="OTTX")
    both.perform(ChangeDistribution((moved,)))
    assert both.pending("Q") == ["ACTION BECOME_SUBSCRIBER"]


def test_a_refused_link_is_told() -> None:
    both = Hybrid.served("SPORT")
    adding = both.perform(added("NEWS", "OTTX"))
    both.reject("Q")
    told = both.life.changes[adding].taken_back
    assert told is not None
    assert [undone.provider for undone in told if undone.link] == ["Q"]
    both.serve()
    assert both.action_state(adding) is ActionState.PARTLY_REJECTED


def test_a_subscriber_refused_by_a_platform_that_serves_it_keeps_its_link() -> None:
    both = Hybrid.with_services("NEWS", "OTTX")
    both.expire("Q", after_a_hand_over=True)
    adding = both.perform(added("SPORT", "OTTY"))
    assert both.pending("Q") == ["ACTION BECOME_SUBSCRIBER OTTX OTTY"]
    both.reject("Q")
    assert both.services == dict.fromkeys(("NEWS", "OTTX", "SPORT"), State.EFFECTIVE)
    assert "Q" in both.life.desired.linked
    assert not both.life.changes[adding].performed.undone


def test_nothing_is_sent_after_a_cancelled_become_subscriber() -> None:
    both = Hybrid.with_services("NEWS")
    both.expire("P")
    both.rent()
    assert both.pending("P") == [
        "ACTION BECOME_SUBSCRIBER NEWS",
        "ACTION ADD_UDR film C1 B1",
    ]
    both.cancel("P", after_a_hand_over=True)
    assert both.pending("P") == []
    assert both.states("P")["ADD_UDR film C1 B1"] is RequestState.CANCELLED
    assert both.life.link("P").sync_state is SyncState.OUT_OF_SYNC


@pytest.mark.parametrize("end", [Hybrid.reject, Hybrid.cancel])
def test_a_refused_reset_lets_the_next_action_send_the_subscriber(
    end: Callable[[Hybrid, str], object],
) -> None:
    both = Hybrid.with_services("NEWS")
    both.expire("P", after_a_hand_over=True)
    both.life.reset("P")
    both.perform(added("SPORT"))
    assert both.pending("P") == ["RESET BECOME_SUBSCRIBER NEWS", "ACTION ACTIVATE_SERVICE SPORT"]
    end(both, "P")
    assert both.pending("P") == ["ACTION BECOME_SUBSCRIBER NEWS SPORT"]
    both.serve()
    assert both.life.in_sync("P")


def test_a_subscription_that_no_platform_takes_is_a_draft_again() -> None:
    """A reset with `recreate` has cancelled one request. A cancelled request is not rejected, so
    the rejections take back the part of each platform, and not the whole action.
    """
    both = Hybrid(Life([satellite(), over_the_top()]))
    both.become("NEWS", "OTTX", draft=True)
    both.perform(ShortTermActivate(TOMORROW))
    both.life.reset("Q", recreate=True)
    both.reject("P")
    assert both.life.desired.linked == ("Q",)
    both.reject("Q")
    desired = both.life.desired
    assert (desired.state, desired.until, desired.linked) == (State.DRAFT, None, ())
    assert both.services == {"NEWS": State.DRAFT, "OTTX": State.DRAFT}
