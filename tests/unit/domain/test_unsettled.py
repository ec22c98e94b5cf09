"""The number of actions that wait for a platform is bounded."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from generic_provider_server.domain.actions import ChangeLocation, Rest
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.rules import invariants
from generic_provider_server.domain.subscription import perform as domain
from generic_provider_server.domain.subscription.perform import MOST_UNSETTLED
from generic_provider_server.domain.values import SECOND, Address, Instant, State
from support.hybrid import Hybrid, added
from support.life import START

HOUR = 3_600


def moved(n: int) -> ChangeLocation:
    return ChangeLocation(Address(city=f"Town {n}"))


def waiting(count: int) -> Hybrid:
    """Returns a subscription with this many actions. The actions are unsettled because there is no
    adapter.
    """
    one = Hybrid.served("NEWS")
    one.life.perform(Rest(Instant(START + HOUR * SECOND)))
    for n in range(count - 1):
        one.life.perform(moved(n))
    return one


def test_a_subscription_without_an_adapter_takes_no_more_than_500_actions() -> None:
    one = waiting(MOST_UNSETTLED)
    with pytest.raises(Refused) as refused:
        one.perform(moved(-1))
    assert refused.value.reason is Reason.TOO_MANY_UNSETTLED
    one.accept("P")
    one.perform(moved(-1))


def test_a_subscription_with_very_many_pending_requests_takes_no_more_actions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(domain, "MOST_PENDING", 3)
    one = waiting(3)
    with pytest.raises(Refused) as refused:
        one.perform(moved(-1))
    assert refused.value.metadata["pending"] == "3"


def test_what_the_clock_performs_is_never_refused_for_their_number() -> None:
    one = waiting(MOST_UNSETTLED)
    one.life.wait(HOUR)
    assert one.state is State.EFFECTIVE


def test_the_work_of_a_rejection_grows_with_the_unsettled_actions_not_with_their_square() -> None:
    assert _calls_of_a_rejection(400) < 2.5 * _calls_of_a_rejection(200)


def _calls_of_a_rejection(unsettled: int) -> int:
    one, calls = waiting(unsettled), 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        one.reject("P")
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("answer", [Hybrid.accept, Hybrid.reject])
def test_films_that_are_over_are_not_counted_while_an_action_is_unsettled(
    answer: Callable[[Hybrid, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """*base* keeps these films until the action is settled."""
    monkeypatch.setattr(invariants, "MOST_USAGES", 2)
    both = Hybrid.served("NEWS", "OTTX")
    both.perform(added("OTTY"))
    films = ["one", "two", "three"]
    for film in films:
        both.life.wait(200 * HOUR)
        both.rent(film)
        both.serve("P")
    answer(both, "Q")
    assert both.reason(both.life.next_action - 1) is None
    assert both.life.there.performed == ()
    assert [usage.reference for usage in both.life.desired.usages] == films[2:]
