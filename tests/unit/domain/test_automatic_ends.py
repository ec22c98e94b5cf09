"""Tests the automatic ends of rests, short terms, terms and usage records."""

from __future__ import annotations

import pytest

from generic_provider_server.domain.actions import (
    Activate,
    AddServices,
    AddUsage,
    AnyAction,
    ChangeTerms,
    Deactivate,
    EndResting,
    Replace,
    Rest,
    ShortTermActivate,
    ShortTermDeactivate,
    StartServices,
    StopServices,
    Terminate,
)
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.subscription.due import due_time
from generic_provider_server.domain.values import SECOND, Address, Instant, RequestState, State
from support.catalogues import aluxsat, ott
from support.life import START, Life
from support.must_hold import check
from support.subscribers import on, online, said, served, viewer

DAY = 86_400
TOMORROW = Instant(START + DAY * SECOND)
IN_A_WEEK = Instant(START + 7 * DAY * SECOND)
LATER = Instant(START + 30 * DAY * SECOND)
SPORT, NEWS, FILM = (on("MAIN", code) for code in ("SPORT", "NEWS", "FILM"))


def kinds(life: Life) -> list[str]:
    return [change.performed.action.kind.name for change in life.changes.values()]


@pytest.mark.parametrize(
    ("ways", "after"),
    [
        ((Rest(TOMORROW),), State.EFFECTIVE),
        ((ShortTermDeactivate(TOMORROW),), State.EFFECTIVE),
        ((Deactivate(), ShortTermActivate(TOMORROW)), State.NOT_EFFECTIVE),
    ],
)
def test_a_state_with_an_end_ends_by_itself(ways: tuple[AnyAction, ...], after: State) -> None:
    life = served(viewer(SPORT))
    for action in ways:
        life.perform(action)
    timed = life.desired.state
    life.wait(DAY - 1)
    assert life.desired.state is timed
    life.wait(1)
    assert life.desired.state is after
    assert life.desired.until is None
    assert due_time(life.there, leased=lambda _: frozenset()) is None


def test_a_service_stops_on_its_term_end_and_follows_no_activation() -> None:
    life = served(viewer(on("MAIN", "SPORT", term_end=TOMORROW), NEWS))
    life.wait(DAY)
    assert said(life.serve("ALUXSAT")) == ["DEACTIVATE_SERVICE SPORT on MAIN"]
    life.perform(Deactivate())
    life.perform(Activate())
    assert [service.on for service in life.desired.services] == [False, True]
    with pytest.raises(Refused) as refused:
        life.perform(StartServices((SPORT,)))
    assert refused.value.reason is Reason.ACTION_NOT_ALLOWED
    life.perform(ChangeTerms((on("MAIN", "SPORT", term_end=IN_A_WEEK),)))
    assert life.desired.services[0].on


def test_a_late_renewal_starts_the_service_and_the_subscription_again() -> None:
    life = served(viewer(on("MAIN", "SPORT", term_end=TOMORROW)))
    life.wait(DAY)
    life.serve("ALUXSAT")
    assert not life.desired.on
    life.perform(ChangeTerms((on("MAIN", "SPORT", term_end=IN_A_WEEK),)))
    assert life.desired.state is State.EFFECTIVE
    assert said(life.serve("ALUXSAT")) == ["ACTIVATE_SERVICE SPORT on MAIN"]
    life.wait(7 * DAY)
    assert not life.desired.on


@pytest.mark.parametrize("way", [Deactivate(), StopServices((SPORT,))])
def test_a_late_renewal_leaves_off_what_somebody_switched_off(way: AnyAction) -> None:
    life = served(viewer(on("MAIN", "SPORT", term_end=TOMORROW), NEWS))
    life.perform(way)
    state = life.desired.state
    life.wait(DAY)
    life.perform(ChangeTerms((on("MAIN", "SPORT", term_end=IN_A_WEEK),)))
    assert life.desired.state is state
    assert not life.desired.services[0].on


def test_a_late_renewal_leaves_off_what_was_stopped_by_hand_with_the_last_service() -> None:
    life = served(viewer(on("MAIN", "SPORT", term_end=TOMORROW), NEWS))
    life.perform(StopServices((SPORT, NEWS)))
    life.wait(DAY)
    life.perform(StartServices((NEWS,)))
    life.perform(ChangeTerms((on("MAIN", "SPORT", term_end=IN_A_WEEK),)))
    assert [service.service for service in life.desired.services if service.on] == ["NEWS"]


def test_another_change_of_the_state_ends_the_effect_of_the_term_end() -> None:
    life = served(viewer(on("MAIN", "SPORT", term_end=TOMORROW)))
    life.wait(DAY)
    life.perform(Activate())
    life.perform(Deactivate())
    life.perform(ChangeTerms((on("MAIN", "SPORT", term_end=IN_A_WEEK),)))
    assert life.desired.state is State.NOT_EFFECTIVE
    life.perform(Activate())
    assert life.desired.services[0].on


def test_a_renewal_during_a_rest_starts_the_service_when_the_rest_ends() -> None:
    life = served(viewer(on("MAIN", "SPORT", term_end=TOMORROW), NEWS))
    life.perform(Rest(IN_A_WEEK))
    life.wait(DAY)
    life.perform(ChangeTerms((on("MAIN", "SPORT", term_end=LATER),)))
    assert life.desired.services[0].state is State.IN_RESTING
    life.perform(EndResting())
    assert life.desired.services[0].on


def test_a_refused_restart_leaves_the_other_renewals() -> None:
    life = served(viewer(*[on("MAIN", code, term_end=TOMORROW) for code in ("SPORT", "FILM")]))
    life.wait(DAY)
    life.serve("ALUXSAT")
    renewed = tuple([on("MAIN", code, term_end=IN_A_WEEK) for code in ("SPORT", "FILM")])
    life.perform(ChangeTerms(renewed))
    life.lease("ALUXSAT")
    life.reject("ALUXSAT")
    check(life)
    life.serve("ALUXSAT")
    ends = {service.service: (service.on, service.term_end) for service in life.desired.services}
    assert ends == {"SPORT": (False, TOMORROW), "FILM": (True, IN_A_WEEK)}
    assert life.desired.state is State.EFFECTIVE


def test_the_last_term_takes_the_subscription_along() -> None:
    life = served(viewer(on("MAIN", "SPORT", term_end=TOMORROW)))
    life.wait(DAY)
    assert life.desired.state is State.NOT_EFFECTIVE


@pytest.mark.parametrize("way", [Rest(IN_A_WEEK), Deactivate()])
def test_a_term_ends_in_every_live_state(way: AnyAction) -> None:
    life = served(viewer(on("MAIN", "SPORT", term_end=TOMORROW), NEWS))
    life.perform(way)
    life.wait(DAY)
    assert life.desired.services[0].state is State.NOT_EFFECTIVE
    assert life.desired.services[0].term_over


def test_nothing_ends_after_the_end() -> None:
    life = served(viewer(on("MAIN", "SPORT", term_end=TOMORROW)))
    life.perform(Terminate())
    life.wait(DAY)
    assert kinds(life) == ["BECOME_SUBSCRIBER", "TERMINATE"]


def test_after_a_downtime_ends_come_in_the_order_in_which_they_were_due() -> None:
    life = served(viewer(on("MAIN", "SPORT", term_end=IN_A_WEEK), FILM))
    life.perform(Rest(TOMORROW))
    life.wait(30 * DAY)
    assert kinds(life)[-2:] == ["END_RESTING", "STOP_SERVICES"]
    assert life.desired.state is State.EFFECTIVE


def test_terms_that_end_together_end_in_one_action() -> None:
    terms = [on("MAIN", code, term_end=TOMORROW) for code in ("SPORT", "FILM")]
    life = served(viewer(*terms, NEWS))
    life.wait(DAY)
    assert kinds(life) == ["BECOME_SUBSCRIBER", "STOP_SERVICES"]


def test_an_end_that_the_platform_refuses_is_tried_once() -> None:
    life = served(viewer(on("MAIN", "SPORT", term_end=TOMORROW), NEWS))
    life.wait(DAY)
    life.lease("ALUXSAT")
    life.reject("ALUXSAT")
    check(life)
    sport = life.desired.services[0]
    assert (sport.service, sport.on, sport.term_over) == ("SPORT", True, True)
    life.wait(DAY)
    assert kinds(life) == ["BECOME_SUBSCRIBER", "STOP_SERVICES"]
    assert life.link("ALUXSAT").last_error


def test_a_rest_whose_end_is_refused_goes_on_without_one() -> None:
    life = served(viewer(SPORT))
    life.perform(Rest(TOMORROW))
    life.serve("ALUXSAT")
    life.wait(DAY)
    life.lease("ALUXSAT")
    life.reject("ALUXSAT")
    check(life)
    assert life.desired.state is State.IN_RESTING
    assert life.desired.until is None
    life.perform(EndResting())
    life.serve("ALUXSAT")
    assert life.in_sync("ALUXSAT")


def test_an_end_touches_no_provider_that_the_subscription_is_not_linked_to() -> None:
    """The rejection has removed the link to ALUXSAT. The term of SPORT ends later, and the
    automatic end does not link the subscription to ALUXSAT again.
    """
    life = Life(served(viewer(SPORT)).providers)
    term = on("MAIN", "SPORT", term_end=TOMORROW)
    life.perform(viewer(term, online("MAIN", "SPORT")))
    life.lease("ALUXSAT")
    life.reject("ALUXSAT")
    assert life.desired.linked == ("OTT",)
    life.wait(DAY)
    check(life)
    assert life.desired.linked == ("OTT",)


def usage() -> AddUsage:
    return AddUsage(
        provider="ALUXSAT",
        service="VOD",
        quantity=1,
        start_time=START,
        end_time=TOMORROW,
        reference="Alien",
    )


def test_usage_that_is_over_leaves_without_a_request() -> None:
    life = served(viewer(FILM))
    life.perform(usage())
    assert said(life.serve("ALUXSAT")) == ["ADD_UDR Alien"]
    life.wait(DAY)
    assert not life.desired.usages
    assert not life.queue("ALUXSAT")
    assert life.in_sync("ALUXSAT")


def test_a_request_for_usage_that_is_over_expires_unless_it_is_in_work() -> None:
    life = served(viewer(FILM))
    life.perform(usage())
    life.wait(DAY)
    assert life.state(2) is RequestState.EXPIRED
    assert not life.desired.usages

    leased = served(viewer(FILM))
    leased.perform(usage())
    leased.lease("ALUXSAT")
    leased.wait(DAY)
    assert leased.state(2) is RequestState.PENDING
    leased.do("ALUXSAT")
    leased.accept("ALUXSAT")
    assert leased.in_sync("ALUXSAT")


def test_the_clock_looks_again_at_the_first_thing_that_ends() -> None:
    life = served(viewer(on("MAIN", "FILM", term_end=IN_A_WEEK)))
    assert due_time(life.there, leased=lambda _: frozenset()) == IN_A_WEEK
    life.perform(usage())
    life.serve("ALUXSAT")
    assert due_time(life.there, leased=lambda _: frozenset()) == TOMORROW


def test_a_draft_service_whose_term_is_over_is_not_effective() -> None:
    life = Life([aluxsat(), ott()])
    life.perform(viewer(on("MAIN", "SPORT", term_end=TOMORROW), draft=True))
    life.wait(DAY)
    assert [service.state for service in life.desired.services] == [State.NOT_EFFECTIVE]
    assert life.desired.state is State.DRAFT


def test_a_term_that_was_taken_back_ends_nothing() -> None:
    life = Life([aluxsat(), ott()])
    life.perform(viewer(points=()))
    life.perform(AddServices((online("MAIN", "SPORT"),)))
    life.serve("OTT")
    life.perform(ChangeTerms((online("MAIN", "SPORT", term_end=TOMORROW),)))
    life.wait(DAY)
    life.cancel(life.there.queue("OTT")[0].number)
    (service,) = life.desired.services
    assert service.state is State.EFFECTIVE
    assert not service.term_over
    assert said(life.queue("OTT")) == []
    assert life.in_sync("OTT")


def test_one_of_two_terms_that_was_taken_back_leaves_the_other_its_end() -> None:
    life = Life([aluxsat(), ott()])
    services = online("MAIN", "SPORT", term_end=TOMORROW), online("MAIN", "MOVIES")
    life.perform(viewer(points=()))
    life.perform(AddServices(services))
    life.serve("OTT")
    life.perform(ChangeTerms((online("MAIN", "MOVIES", term_end=TOMORROW),)))
    life.wait(DAY)
    life.cancel(life.there.queue("OTT")[0].number)
    states = {service.service: service.state for service in life.desired.services}
    assert states == {"SPORT": State.NOT_EFFECTIVE, "MOVIES": State.EFFECTIVE}


def test_an_end_that_was_taken_back_leaves_the_end_of_another_state() -> None:
    life = served(viewer(SPORT))
    life.perform(ShortTermDeactivate(LATER))
    life.serve("ALUXSAT")
    there = life.desired
    life.perform(
        Replace(
            state=State.IN_RESTING,
            type=there.type,
            holder=there.holder,
            address=Address(city="Tartu"),
            until=TOMORROW,
            items=there.items,
            services=(SPORT,),
        )
    )
    life.wait(DAY)
    life.cancel(life.there.queue("ALUXSAT")[0].number)
    assert life.desired.state is State.SHORT_TERM_NOT_EFFECTIVE
    assert life.desired.until == LATER


def test_an_end_that_was_refused_for_the_last_service_leaves_no_mark() -> None:
    life = Life([aluxsat(), ott()])
    ending = online("MAIN", "SPORT", term_end=TOMORROW), online("MAIN", "MOVIES", term_end=TOMORROW)
    life.perform(viewer(points=()))
    life.perform(AddServices(ending))
    life.serve("OTT")
    life.wait(DAY)
    assert life.desired.stopped_by_term
    life.lease("OTT", most=1)
    life.reject("OTT")
    assert life.desired.state is State.EFFECTIVE
    assert not life.desired.stopped_by_term
