"""Tests that only the database's clock counts, even if the clock of the server process shows
another time.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider.v1 import provider_service_pb2 as providers
from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as api
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.store.opening import open_store
from support.calling import Caller, Refusal

BEHIND = 3600
"""The seconds by which the database's clock is behind the clock of the process."""


@pytest.fixture
async def caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Caller]:
    opened = partial(open_store, clock=lambda: time.time_ns() - BEHIND * 1_000_000_000)
    monkeypatch.setattr("generic_provider_server.app.open_store", opened)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    settings = Settings(listen="127.0.0.1:0", database=url, archive_folder=tmp_path)
    async with running(settings) as address, grpc.aio.insecure_channel(address) as channel:
        caller = Caller(channel)
        provider = pb.Provider(
            code="OTT",
            distributors=[pb.Distributor(code="MAIN")],
            services=[
                pb.Service(code="BASE", provider_service_id="b"),
                pb.Service(code="VOD", provider_service_id="v", kind=pb.SERVICE_KIND_USAGE),
            ],
        )
        await caller.call("CreateProvider", providers.CreateProviderRequest(provider=provider))
        effective = providers.SetProviderStateRequest(
            provider="OTT", state=pb.PROVIDER_STATE_EFFECTIVE
        )
        await caller.call("SetProviderState", effective)
        yield caller


def at(seconds: int) -> Timestamp:
    """Returns a time of the database's clock, some seconds from now."""
    return Timestamp(seconds=int(time.time()) - BEHIND + seconds)


async def test_usage_ends_by_the_database_clock(caller: Caller) -> None:
    base = api.ServiceSelection(provider="OTT", distributor="MAIN", service="BASE")
    become = api.BecomeSubscriber(type="OTT", services=[base])
    await caller.call(
        "PerformAction", api.PerformActionRequest(subscription="S", become_subscriber=become)
    )
    usage = api.AddUsage(
        distributor="MAIN",
        service="VOD",
        quantity=1,
        start_time=at(0),
        end_time=at(BEHIND // 2),
        reference="film",
    )
    performed = await caller.call(
        "PerformAction", api.PerformActionRequest(subscription="S", add_usage=usage)
    )
    got = await caller.call("GetSubscription", api.GetSubscriptionRequest(subscription="S"))
    listed = await caller.call("ListSubscriptions", api.ListSubscriptionsRequest())

    for shown in (performed.subscription, got.subscription, *listed.subscriptions):
        assert [each.reference for each in shown.usages] == ["film"]
    (link,) = got.subscription.provider_links
    assert (link.sync_state, list(link.differences)) == (pb.SYNC_STATE_PENDING, [])


async def test_the_time_of_a_report_is_compared_with_the_database_clock(caller: Caller) -> None:
    def read(seconds: int) -> provisioning.ReportPlatformStateRequest:
        return provisioning.ReportPlatformStateRequest(provider="OTT", observed_time=at(seconds))

    early = await caller.call("ReportPlatformState", read(600))
    assert isinstance(early, Refusal)
    assert early.fields == ("observed_time",)
    assert not isinstance(await caller.call("ReportPlatformState", read(0)), Refusal)


async def test_times_of_streams_and_heartbeats_are_those_of_the_database_clock(
    caller: Caller,
) -> None:
    base = api.ServiceSelection(provider="OTT", distributor="MAIN", service="BASE")
    become = api.BecomeSubscriber(type="OTT", services=[base])
    await caller.call(
        "PerformAction", api.PerformActionRequest(subscription="S", become_subscriber=become)
    )
    stub: Any = ProvisioningServiceStub(caller.channel)
    stream = stub.StreamPendingRequests(
        provisioning.StreamPendingRequestsRequest(provider="OTT", adapter="a")
    )
    first = await stream.read()
    while not (await stream.read()).HasField("batch"):
        pass
    listed = await caller.call("ListAdapters", requests.ListAdaptersRequest())
    (adapter,) = listed.adapters
    watched = await caller.call("WatchEvents", api.WatchEventsRequest())
    stream.cancel()

    assert adapter.oldest_lease_age.seconds < BEHIND // 2
    times = adapter.connect_time, adapter.last_heard_time, first.heartbeat.server_time
    for each in (*times, watched.heartbeat.server_time):
        assert abs(each.seconds - at(0).seconds) < BEHIND // 2
