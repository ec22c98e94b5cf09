"""Contains wrong actions, the reasons for their refusals, and the fields or keys that the refusals
name.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as subscriptions

LONG = "x" * 70
HUGE = {f"key {n}": "v" * 200 for n in range(40)}
LARGE_ITEM = {"distributor": "MAIN", "goods_type": "G", "parameters": {"key": "v" * 4_000}}
NEGATIVE = Duration(seconds=-1)
LATER = Timestamp(seconds=9_999_999_999)
BROKEN_TIME = Timestamp(seconds=-5, nanos=-1)
ACCEPTED = provisioning.RESPONSE_STATUS_ACCEPTED
UNKNOWN: Any = 4711
"""No enum has a value with this number."""

Act: Any = subscriptions.PerformActionRequest
Case = tuple[Message, str, str]
"""(request, reason, field or metadata key that the refusal names)"""


def become(**fields: Any) -> Message:
    made: Message = Act(become_subscriber=subscriptions.BecomeSubscriber(type="DTH", **fields))
    return made


def card(distributor: str, serial: str) -> pb.InstalledItem:
    return pb.InstalledItem(
        provider="P", distributor=distributor, goods_type="SMARTCARD", serial_number=serial
    )


def on(distributor: str, service: str, **fields: Any) -> subscriptions.ServiceSelection:
    return subscriptions.ServiceSelection(
        provider="P", distributor=distributor, service=service, **fields
    )


PERFORM: list[Case] = [
    (Act(subscription="S"), "INVALID_FIELD", "action"),
    (Act(activate=subscriptions.Activate()), "INVALID_FIELD", "subscription"),
    (Act(subscription=LONG, activate={}), "INVALID_FIELD", "subscription"),
    (Act(subscription="S\0", activate={}), "INVALID_FIELD", "subscription"),
    (Act(subscription="S", activate={}), "SUBSCRIPTION_NOT_FOUND", "subscription"),
    (Act(subscription="S", activate={}, request_id="x" * 101), "INVALID_FIELD", "request_id"),
    (Act(subscription="S", activate={}, reference="x" * 201), "INVALID_FIELD", "reference"),
    (Act(subscription="S", activate={}, performed_by="x" * 101), "INVALID_FIELD", "performed_by"),
    (Act(subscription="S", activate={}, priority=UNKNOWN), "INVALID_FIELD", "priority"),
    (
        Act(subscription="S", activate={}, schedule_time=LATER),
        "SUBSCRIPTION_NOT_FOUND",
        "subscription",
    ),
    (
        Act(schedule_time=LATER, become_subscriber={"type": "DTH", "provider": "NONE"}),
        "PROVIDER_NOT_FOUND",
        "provider",
    ),
    (
        Act(subscription="S", activate={}, schedule_time=BROKEN_TIME),
        "INVALID_FIELD",
        "schedule_time",
    ),
    (become(holder=pb.Account(parameters=HUGE)), "INVALID_FIELD", "become_subscriber.holder"),
    (become(address=pb.Address(lines=["x"] * 11)), "INVALID_FIELD", "become_subscriber.address"),
    (become(provider="NONE"), "PROVIDER_NOT_FOUND", "provider"),
    (become(items=[card("MAIN", "1")] * 2), "ITEM_IN_USE", "serial_number"),
    (become(items=[card("MAIN", "1"), card("MAIN", "2")]), "DISTRIBUTOR_OCCUPIED", "distributor"),
    (become(items=[card("NONE", "1")]), "DISTRIBUTOR_NOT_FOUND", "distributor"),
    (become(items=[card("TWIN1", "1")]), "REQUIRED_DISTRIBUTOR_MISSING", "required_distributor"),
    (become(services=[on("MAIN", "NONE")]), "SERVICE_NOT_FOUND", "service"),
    (become(services=[on("MAIN", "S1")] * 2), "ACTION_NOT_ALLOWED", "action"),
    (
        become(services=[on("MAIN", "S1", term_end=BROKEN_TIME)]),
        "INVALID_FIELD",
        "become_subscriber.services[0].term_end",
    ),
    *[
        (become(items=[card("MAIN", serial)]), "INVALID_FIELD", "become_subscriber.items[0]")
        for serial in ("1 ", "\t1", "1\n", "1\u00a0", "1\u200b2", "1\x1b[2J")
    ],
    (become(holder=pb.Account(name="Mari\r\nDROP")), "INVALID_FIELD", "become_subscriber.holder"),
    (Act(subscription="S\n", activate={}), "INVALID_FIELD", "subscription"),
    (Act(subscription="S", activate={}, reference="a\u2028b"), "INVALID_FIELD", "reference"),
    (
        become(existing=[{"provider": "P", "account_number": number} for number in "12"]),
        "INVALID_FIELD",
        "become_subscriber.existing",
    ),
    (
        Act(
            subscription="S",
            schedule_time=LATER,
            add_items={"items": [{**LARGE_ITEM, "serial_number": f"{n}"} for n in range(200)]},
        ),
        "INVALID_FIELD",
        "add_items",
    ),
    (Act(subscription="S", change_location={}), "INVALID_FIELD", "change_location.address"),
    (Act(subscription="S", change_subscriber={}), "INVALID_FIELD", "change_subscriber.holder"),
    (
        Act(subscription="S", rest=subscriptions.Rest()),
        "INVALID_FIELD",
        "rest.until",
    ),
    (
        Act(subscription="S", add_services=subscriptions.AddServices()),
        "INVALID_FIELD",
        "add_services.services",
    ),
    (
        Act(subscription="S", remove_items={"serial_numbers": ["1", "1"]}),
        "INVALID_FIELD",
        "remove_items.serial_numbers",
    ),
    (
        Act(subscription="S", add_usage={"service": "VOD", "quantity": -1, "reference": "u"}),
        "INVALID_FIELD",
        "add_usage.quantity",
    ),
    (
        Act(subscription="S", change_distribution={"moves": [{"provider": "P"}]}),
        "INVALID_FIELD",
        "change_distribution.moves[0]",
    ),
    *[
        (
            Act(
                subscription="S",
                change_distribution={
                    "moves": [
                        {**moved, "from_distributor": "MAIN", "to_distributor": to}
                        for to in ("TWIN1", "TWIN2")
                    ]
                },
            ),
            "INVALID_FIELD",
            "change_distribution.moves",
        )
        for moved in ({"service": "S1"}, {"serial_number": "1"})
    ],
    (
        Act(
            subscription="S",
            change_distribution={
                "moves": [{"service": "", "from_distributor": "MAIN", "to_distributor": "TWIN1"}]
            },
        ),
        "INVALID_FIELD",
        "change_distribution.moves[0].service",
    ),
    (
        Act(
            subscription="S",
            change_terms={"services": [on("MAIN", "S1"), on("MAIN", "S1", term_end=LATER)]},
        ),
        "INVALID_FIELD",
        "change_terms.services",
    ),
    (Act(subscription="S", replace={"type": "DTH"}), "INVALID_FIELD", "replace.state"),
]
