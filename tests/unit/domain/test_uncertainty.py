"""Tests what is uncertain after a request that was handed over has ended without an answer."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from generic_provider_server.domain.actions import (
    AddServices,
    AddUsage,
    ChangeLocation,
    RemoveServices,
    StartServices,
    StopServices,
)
from generic_provider_server.domain.platform.image import Known
from generic_provider_server.domain.refusals import Reason
from generic_provider_server.domain.values import (
    SECOND,
    Address,
    DeliverySettings,
    Instant,
    RequestState,
    State,
)
from support.catalogues import aluxsat
from support.life import Life
from support.subscribers import NUMBER, on, said, served, viewer

SPORT, NEWS = on("MAIN", "SPORT"), on("MAIN", "NEWS")


def asked(*, done: bool = True) -> Life:
    """Adds NEWS, and loses the answer to the request. `done`: whether the platform has applied the
    request.
    """
    life = served(viewer(SPORT))
    life.perform(AddServices((NEWS,)))
    life.lease("ALUXSAT")
    if done:
        life.do("ALUXSAT")
    life.lose("ALUXSAT")
    return life


def heal(life: Life) -> list[str]:
    """Resets the platform, which accepts everything, and returns the requests."""
    life.reset("ALUXSAT")
    requests = said(life.serve("ALUXSAT"))
    assert life.in_sync("ALUXSAT")
    assert not life.differences("ALUXSAT")
    return requests


def certain(life: Life) -> dict[str, bool]:
    return {e.service: e.certain for e in life.link("ALUXSAT").confirmed.entitlements}


def test_what_was_never_handed_over_is_certain_when_it_expires() -> None:
    life = served(viewer(SPORT))
    life.perform(AddServices((NEWS,)))
    life.expire("ALUXSAT")
    assert certain(life) == {"SPORT": True}
    assert heal(life) == ["ACTIVATE_SERVICE NEWS on MAIN"]


@pytest.mark.parametrize("done", [False, True])
def test_what_was_handed_over_and_expired_is_sent_again_if_it_is_wanted(*, done: bool) -> None:
    life = asked(done=done)
    life.expire("ALUXSAT")
    assert certain(life) == {"SPORT": True, "NEWS": False}
    assert not life.in_sync("ALUXSAT")
    assert heal(life) == ["ACTIVATE_SERVICE NEWS on MAIN"]


@pytest.mark.parametrize("done", [False, True])
def test_what_an_operator_cancelled_is_taken_away_if_it_is_not_wanted(*, done: bool) -> None:
    life = asked(done=done)
    (pending,) = life.there.queue("ALUXSAT")
    life.cancel(pending.number)
    assert life.finals[pending.number].state is RequestState.REJECTED
    assert [service.service for service in life.desired.services] == ["SPORT"]
    assert said(life.serve("ALUXSAT")) == ["DEACTIVATE_SERVICE NEWS on MAIN"]
    assert life.in_sync("ALUXSAT")
    assert not life.differences("ALUXSAT")


def test_a_cancel_before_any_hand_over_leaves_no_doubt() -> None:
    life = served(viewer(SPORT))
    action = life.perform(AddServices((NEWS,)))
    (pending,) = life.there.queue("ALUXSAT")
    life.cancel(pending.number)
    assert life.in_sync("ALUXSAT")
    error = life.changes[action].performed.error
    assert error is not None
    assert error.reason is Reason.CANCELLED_BY_OPERATOR


def test_a_person_who_has_looked_leaves_no_doubt() -> None:
    for done in (False, True):
        life = asked(done=done)
        life.resolve(life.there.queue("ALUXSAT")[0].number)
        assert life.in_sync("ALUXSAT")
        assert not life.differences("ALUXSAT")
        assert len(life.desired.services) == 1 + done


def test_the_limit_of_attempts_is_a_rejection_in_doubt() -> None:
    settings = DeliverySettings(max_delivery_attempts=2)
    life = Life([replace(aluxsat(), delivery_settings=settings)])
    life.perform(viewer(SPORT))
    life.serve("ALUXSAT")
    action = life.perform(AddServices((NEWS,)))
    for _ in range(2):
        assert said(life.queue("ALUXSAT")) == ["ACTIVATE_SERVICE NEWS on MAIN"]
        life.lease("ALUXSAT")
        life.do("ALUXSAT")
        life.lose("ALUXSAT", counted=True)
    error = life.changes[action].performed.error
    assert error is not None
    assert error.reason is Reason.DELIVERY_ATTEMPTS_EXHAUSTED
    assert said(life.serve("ALUXSAT")) == ["DEACTIVATE_SERVICE NEWS on MAIN"]
    assert not life.differences("ALUXSAT")


def test_without_a_limit_a_request_is_tried_for_ever() -> None:
    life = served(viewer(SPORT))
    life.perform(AddServices((NEWS,)))
    for _ in range(30):
        life.lease("ALUXSAT")
        life.lose("ALUXSAT", counted=True)
    assert life.there.queue("ALUXSAT")[0].attempts == 30


def test_a_release_is_no_attempt() -> None:
    life = asked()
    (pending,) = life.there.queue("ALUXSAT")
    assert (pending.attempts, pending.touched) == (0, True)


@pytest.mark.parametrize("done", [False, True])
def test_a_subscriber_who_may_be_known_is_brought_to_exactly_what_is_wanted(*, done: bool) -> None:
    life = Life([aluxsat()])
    life.perform(viewer(SPORT))
    life.lease("ALUXSAT")
    if done:
        life.do("ALUXSAT")
    life.lose("ALUXSAT")
    life.expire("ALUXSAT")
    assert life.link("ALUXSAT").confirmed.known is Known.UNCERTAIN
    life.perform(RemoveServices((SPORT,)))
    life.perform(AddServices((NEWS,)))
    life.serve("ALUXSAT")
    assert heal(life) == []


def test_someone_who_may_be_known_and_is_not_wanted_only_loses_what_there_may_be() -> None:
    life = Life([aluxsat()])
    life.perform(viewer(SPORT))
    life.lease("ALUXSAT")
    life.do("ALUXSAT")
    life.cancel(life.there.queue("ALUXSAT")[0].number)
    assert life.desired.state is State.DRAFT
    assert said(life.serve("ALUXSAT")) == [
        "DEACTIVATE_SERVICE SPORT on MAIN",
        "REMOVE_INSTALLED_ITEM SMARTCARD 1",
        "REMOVE_INSTALLED_ITEM DECODER 1",
    ]
    assert not life.platforms["ALUXSAT"].subscribers[NUMBER].items


def test_an_address_that_may_be_there_is_sent_again() -> None:
    life = served(viewer(SPORT))
    life.perform(ChangeLocation(Address(city="Tartu")))
    life.lease("ALUXSAT")
    life.lose("ALUXSAT")
    life.expire("ALUXSAT")
    assert heal(life) == ["UPDATE_ADDRESS"]


def test_a_late_acceptance_of_what_is_pending_makes_it_no_less_pending() -> None:
    life = asked()
    life.come_late(life.lost[0])
    assert said(life.serve("ALUXSAT")) == ["ACTIVATE_SERVICE NEWS on MAIN"]
    assert life.in_sync("ALUXSAT")


def test_a_late_acceptance_of_what_was_taken_back_is_corrected_at_once() -> None:
    life = served(viewer(SPORT))
    life.perform(AddServices((NEWS,)))
    life.lease("ALUXSAT")
    life.do("ALUXSAT")
    life.lose("ALUXSAT")
    life.lease("ALUXSAT")
    life.done.clear()
    life.reject("ALUXSAT")
    assert life.in_sync("ALUXSAT")
    life.come_late(life.lost[0])
    assert said(life.serve("ALUXSAT")) == ["DEACTIVATE_SERVICE NEWS on MAIN"]
    assert not life.differences("ALUXSAT")


def test_a_late_acceptance_of_what_was_completed_since_tells_nothing_new() -> None:
    life = asked()
    life.serve("ALUXSAT")
    life.come_late(life.lost[0])
    assert life.in_sync("ALUXSAT")


def test_a_late_acceptance_that_something_else_has_overtaken_leaves_doubt() -> None:
    life = asked()
    life.serve("ALUXSAT")
    life.perform(RemoveServices((NEWS,)))
    life.serve("ALUXSAT")
    life.come_late(life.lost[0])
    assert not life.in_sync("ALUXSAT")
    assert heal(life) == ["DEACTIVATE_SERVICE NEWS on MAIN"]


def film(life: Life) -> AddUsage:
    """Returns the action that adds a usage record, which begins now and ends in an hour. All calls
    use the same reference.
    """
    return AddUsage(
        provider="ALUXSAT",
        service="VOD",
        quantity=1,
        start_time=life.now,
        end_time=Instant(life.now + 3_600 * SECOND),
        reference="Alien",
    )


def test_a_late_acceptance_of_usage_that_is_over_hides_no_later_one() -> None:
    life = served(viewer(on("MAIN", "FILM")))
    for _ in range(2):
        life.wait(7_200)
        life.perform(film(life))
        life.lease("ALUXSAT")
        life.do("ALUXSAT")
        life.lose("ALUXSAT")
    life.switch("ALUXSAT", effective=False)
    life.cancel(life.there.queue("ALUXSAT")[0].number)
    life.come_late(life.lost[0])
    assert not life.in_sync("ALUXSAT")
    life.switch("ALUXSAT", effective=True)
    assert heal(life) == ["CANCEL_UDR Alien"]


def test_what_is_in_doubt_is_not_taken_for_done_by_the_next_action() -> None:
    life = asked(done=False)
    life.expire("ALUXSAT")
    life.perform(RemoveServices((NEWS,)))
    assert said(life.queue("ALUXSAT")) == ["DEACTIVATE_SERVICE NEWS on MAIN"]


def test_a_late_answer_to_a_removal_is_a_doubt_while_the_element_is_being_added_again() -> None:
    life = served(viewer(SPORT))
    life.perform(StopServices((SPORT,)))
    life.lease("ALUXSAT")
    life.do("ALUXSAT")
    life.lose("ALUXSAT")
    life.serve("ALUXSAT")
    life.perform(StartServices((SPORT,)))
    life.lease("ALUXSAT")
    life.come_late(life.lost[0])
    (held,) = life.link("ALUXSAT").confirmed.entitlements
    assert not held.certain
