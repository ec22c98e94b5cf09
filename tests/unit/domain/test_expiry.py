"""Expiry ends all requests that are pending at a provider; the CRM keeps its changes."""

from __future__ import annotations

from generic_provider_server.domain.actions import AddServices, StopServices
from generic_provider_server.domain.values import RequestState
from support.subscribers import on, online, said, served, viewer

SPORT, NEWS, FILM = (on("MAIN", code) for code in ("SPORT", "NEWS", "FILM"))


def test_everything_pending_there_expires_at_once_and_nothing_is_taken_back() -> None:
    life = served(viewer(SPORT))
    first = life.perform(AddServices((NEWS,)))
    second = life.perform(AddServices((FILM,)))
    wanted = life.desired
    life.expire("ALUXSAT")
    assert life.desired == wanted
    assert not life.queue("ALUXSAT")
    assert [life.state(number) for number in (2, 3)] == [RequestState.EXPIRED] * 2
    for action in (first, second):
        assert life.changes[action].settled
        assert life.changes[action].performed.error is None


def test_what_waits_at_another_provider_goes_on() -> None:
    life = served(viewer(SPORT))
    action = life.perform(AddServices((NEWS, online("MAIN", "SPORT"))))
    life.expire("ALUXSAT")
    assert not life.changes[action].settled
    assert said(life.serve("OTT")) == ["BECOME_SUBSCRIBER SPORT"]
    assert life.changes[action].settled


def test_an_expired_request_is_no_refusal_to_those_after_it() -> None:
    life = served(viewer(SPORT))
    life.perform(AddServices((NEWS,)))
    life.expire("ALUXSAT")
    life.perform(StopServices((NEWS,)))
    assert not life.queue("ALUXSAT")
    assert life.in_sync("ALUXSAT")


def test_a_reset_finds_what_expired() -> None:
    life = served(viewer(SPORT))
    life.perform(AddServices((NEWS,)))
    life.expire("ALUXSAT")
    assert not life.in_sync("ALUXSAT")
    life.reset("ALUXSAT")
    assert said(life.queue("ALUXSAT")) == ["ACTIVATE_SERVICE NEWS on MAIN"]
    life.reset("ALUXSAT")
    assert len(life.queue("ALUXSAT")) == 1
