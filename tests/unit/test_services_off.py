"""Tests the advice for services that are off because their subscription is off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from generic_provider import (
    PerformActionResponse,
    ServiceState,
    Subscription,
    SubscriptionState,
)
from generic_provider_server.desk.performed import performed_lines
from generic_provider_server.desk.services_off import how_to_switch_on, off_with_it

OVER = datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize(
    ("state", "services", "off", "command"),
    [
        ("EFFECTIVE", ["EFFECTIVE", "over"], [], ""),
        (
            "EFFECTIVE",
            ["EFFECTIVE", "NOT_EFFECTIVE", "over"],
            [],
            "start-services S1 --service=P:MAIN:1",
        ),
        (
            "EFFECTIVE",
            ["IN_RESTING", "SHORT_TERM_NOT_EFFECTIVE"],
            [],
            "start-services S1 --service=P:MAIN:0 --service=P:MAIN:1",
        ),
        ("SHORT_TERM_EFFECTIVE", ["DRAFT"], [], "start-services S1 --service=P:MAIN:0"),
        ("DRAFT", ["DRAFT"], [0], "activate S1"),
        ("NOT_EFFECTIVE", ["NOT_EFFECTIVE", "DRAFT", "over"], [0, 1], "activate S1"),
        ("NOT_EFFECTIVE", ["over"], [], "change-terms S1 --service=P:MAIN:0 --term-end TIME"),
        ("NOT_EFFECTIVE", [], [], "activate S1"),
        ("IN_RESTING", ["IN_RESTING", "NOT_EFFECTIVE"], [0], "end-resting S1"),
        (
            "SHORT_TERM_NOT_EFFECTIVE",
            ["SHORT_TERM_NOT_EFFECTIVE"],
            [0],
            "end-short-term-deactivation S1",
        ),
        ("CANCELLED", ["CANCELLED"], [], ""),
    ],
)
def test_the_advice_follows_from_the_states(
    state: str, services: list[str], off: list[int], command: str
) -> None:
    found = Subscription(number="S1", state=SubscriptionState.value_of(state))
    for n, each in enumerate(services):
        service = found.services.add(provider="P", distributor="MAIN", service=f"{n}")
        service.state = ServiceState.value_of("NOT_EFFECTIVE" if each == "over" else each)
        if each == "over":
            service.term_end.FromDatetime(OVER)

    assert [int(each.service) for each in off_with_it(found)] == off
    advice = how_to_switch_on(found, provider="P")
    assert advice.rpartition("generic-provider action ")[2] == command


def test_an_added_service_is_not_confused_with_that_of_another_provider() -> None:
    """Two providers may have the same service on viewing points with the same code."""
    done = PerformActionResponse()
    done.action.performed.add_services.services.add(provider="P", distributor="MAIN", service="1")
    done.subscription.state = SubscriptionState.IN_RESTING
    for provider in ("P", "Q"):
        done.subscription.services.add(
            provider=provider, distributor="MAIN", service="1", state=ServiceState.IN_RESTING
        )
    (note,) = [line for line in performed_lines(done) if "not sent" in line]
    assert note.strip().startswith("not sent: 1 on MAIN, because the subscription is IN_RESTING")
