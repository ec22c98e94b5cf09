"""Actions that the service performs by itself are shown like the actions of callers."""

from __future__ import annotations

import asyncio
import time

from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as api
from generic_provider_server.domain.actions import ActionKind
from generic_provider_server.domain.subscription.records import (
    ActionOrigin,
    ActionRecord,
    ActionState,
)
from generic_provider_server.domain.values import Instant
from generic_provider_server.rpc.encode_actions import action
from support.calling import Caller

GOODS = ("SMARTCARD", "DECODER")


async def test_the_end_of_a_term_is_shown_with_the_services_that_it_stopped(
    caller: Caller,
) -> None:
    term_end = Timestamp(seconds=int(time.time()) + 1)
    services = [
        api.ServiceSelection(provider="P", distributor="MAIN", service="S1", term_end=term_end),
        api.ServiceSelection(provider="P", distributor="MAIN", service="S2"),
    ]
    items = [
        pb.InstalledItem(provider="P", distributor="MAIN", goods_type=each, serial_number=each)
        for each in GOODS
    ]
    become = api.BecomeSubscriber(type="DTH", services=services, items=items)
    performed = await caller.call(
        "PerformAction", api.PerformActionRequest(subscription="S", become_subscriber=become)
    )
    assert performed.action.id
    listed = api.ListActionsRequest(subscription="S", kinds=[api.ACTION_KIND_STOP_SERVICES])
    while not (ends := (await caller.call("ListActions", listed)).actions):
        await asyncio.sleep(0.05)

    assert ends[0].origin == api.ACTION_ORIGIN_AUTOMATIC_END
    assert ends[0].performed == api.PerformActionRequest(
        subscription="S",
        performed_by="generic-provider",
        stop_services=api.StopServices(
            services=[api.ServiceSelection(provider="P", distributor="MAIN", service="S1")]
        ),
    )


def test_an_automatic_end_of_an_old_version_is_shown_by_its_kind() -> None:
    record = ActionRecord(
        id=1,
        subscription="S",
        kind=ActionKind.END_RESTING,
        state=ActionState.SETTLED,
        origin=ActionOrigin.AUTOMATIC_END,
        performed=b"",
        create_time=Instant(1),
    )

    assert action(record, {}).performed.WhichOneof("action") == "end_resting"
