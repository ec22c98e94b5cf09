"""A call that reads shows rows that name a provider which another process has just added."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from generic_provider.v1 import provider_service_pb2 as providers
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.store.read.queries import Queries
from support.calling import Caller, Refusal

NUMBER = "S1"
READS = (
    ("subscription", subscriptions.GetSubscriptionRequest(subscription=NUMBER)),
    ("subscriptions", subscriptions.ListSubscriptionsRequest()),
    ("requests", requests.ListRequestsRequest()),
    ("request", requests.GetRequestRequest(request="R0000000001")),
)


@pytest.fixture
async def callers(postgres_url: str, tmp_path: Path) -> AsyncIterator[tuple[Caller, Caller]]:
    """Yields callers of two servers on the same database."""
    settings = Settings(listen="127.0.0.1:0", database=postgres_url, archive_folder=tmp_path)
    async with (
        running(settings) as one,
        running(settings) as other,
        grpc.aio.insecure_channel(one) as channel,
        grpc.aio.insecure_channel(other) as other_channel,
    ):
        yield Caller(channel), Caller(other_channel)


@pytest.mark.postgresql
@pytest.mark.parametrize(("query", "read"), READS, ids=[query for query, _ in READS])
async def test_a_provider_may_be_new_when_its_rows_are_read(
    callers: tuple[Caller, Caller], monkeypatch: pytest.MonkeyPatch, query: str, read: Any
) -> None:
    """The query of the first server begins, and reads its rows after the other server has added
    a provider with a subscription.
    """
    first, other = callers
    begun, made = asyncio.Event(), threading.Event()
    loop, original = asyncio.get_running_loop(), getattr(Queries, query)

    def late(self: Queries, *args: Any, **kwargs: Any) -> Any:
        loop.call_soon_threadsafe(begun.set)
        made.wait(20)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Queries, query, late)
    rpc = type(read).__name__.removesuffix("Request")
    reading = asyncio.create_task(first.call(rpc, read))
    await begun.wait()
    await _make(other)
    made.set()
    assert not isinstance(await reading, Refusal)


async def _make(caller: Caller) -> None:
    new = pb.Provider(code="NEW", distributors=[pb.Distributor(code="MAIN")])
    new.services.add(code="NEWS", provider_service_id="1")
    create = providers.CreateProviderRequest(provider=new)
    assert not isinstance(await caller.call("CreateProvider", create), Refusal)
    effective = providers.SetProviderStateRequest(provider="NEW", state=pb.PROVIDER_STATE_EFFECTIVE)
    assert not isinstance(await caller.call("SetProviderState", effective), Refusal)
    action = subscriptions.PerformActionRequest(subscription=NUMBER)
    action.become_subscriber.type = "DTH"
    action.become_subscriber.services.add(provider="NEW", distributor="MAIN", service="NEWS")
    assert not isinstance(await caller.call("PerformAction", action), Refusal)
