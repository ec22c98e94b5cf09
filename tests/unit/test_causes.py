"""Tests the causes of differences that `subscription explain` names."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider import (
    AuditEntry,
    DifferenceKind,
    ProviderLink,
    ProvisioningRequest,
    Subscription,
    SubscriptionAction,
)
from generic_provider.v1.resources_pb2 import Difference
from generic_provider_server.desk.causes import cause
from generic_provider_server.desk.facts import Platform

EARLY, SOON, LATE, LATER = (Timestamp(seconds=each) for each in (0, 30, 60, 90))
ACTION = SubscriptionAction(create_time=LATE)
UNCERTAIN = ProviderLink(provider="P", differences=[Difference(kind=DifferenceKind.UNCERTAIN)])
REFUSED = ProviderLink(provider="P", last_error=ProviderLink.LastError(request="R1"))
TAKEN_OVER = SubscriptionAction()
TAKEN_OVER.performed.become_subscriber.existing.add(provider="P")
OFF = "P was made not effective at 1970-01-01 00:00:00Z, and later changes in the CRM were not sent"
UNANSWERED = "a request ended without an answer, so nobody knows whether the platform applied it"
REPORT = "the report of P at 1970-01-01 00:01:00Z showed other contents"


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ({}, "the cause is not known"),
        ({"link": REFUSED}, "perhaps P refused R1"),
        ({"switched_off": AuditEntry(time=EARLY), "link": REFUSED}, f"perhaps {OFF}"),
        ({"switched_off": AuditEntry(time=LATE), "link": REFUSED}, "perhaps P refused R1"),
        (
            {"switched_off": AuditEntry(time=EARLY), "switched_on": AuditEntry(time=LATER)},
            f"perhaps {OFF}",
        ),
        (
            {"switched_off": AuditEntry(time=EARLY), "switched_on": AuditEntry(time=SOON)},
            "the cause is not known",
        ),
        (
            {"switched_off": AuditEntry(time=EARLY), "report": AuditEntry(time=LATE)},
            f"perhaps {OFF} or {REPORT}",
        ),
        (
            {"expired": ProvisioningRequest(number="R1", settle_time=EARLY)},
            "perhaps R1 expired at 1970-01-01 00:00:00Z, because no adapter answered it in time",
        ),
        (
            {"link": UNCERTAIN},
            f"perhaps {UNANSWERED}",
        ),
        (
            {"link": UNCERTAIN, "actions": [TAKEN_OVER]},
            "perhaps the platform had this account already, and nobody has reported its contents",
        ),
    ],
)
def test_only_possible_causes_are_named(facts: dict[str, Any], named: str) -> None:
    platform = Platform(
        subscription=Subscription(number="S1"),
        link=ProviderLink(provider="P"),
        not_sent=[],
        refused=None,
        not_repeated=[],
        actions=[ACTION],
        coming=[],
        owners={},
    )
    assert cause(platform._replace(**facts)) == named
