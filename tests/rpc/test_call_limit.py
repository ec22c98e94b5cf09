"""A server accepts a limited number of calls, so that no call waits long for other calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from generic_provider import AsyncClient
from generic_provider.v1 import provider_service_pb2 as providers
from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import reset_service_pb2 as resets
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from generic_provider.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from generic_provider_server import listening
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.domain.refusals import Refused
from generic_provider_server.rpc.call_limit import CALL, CallLimit
from support.calling import METHODS, Caller, Refusal

MOST = 10
BECOME = subscriptions.PerformActionRequest(
    subscription="S1", become_subscriber=subscriptions.BecomeSubscriber(type="DTH", provider="P")
)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generic_provider_server.rpc.call_limit.MOST_TAKEN", CALL * MOST)


@asynccontextmanager
async def full(caller: Caller) -> AsyncIterator[subscriptions.GetActionRequest]:
    """While the block runs, the greatest number of calls that the server accepts wait for an
    action. Yields the message of these calls.
    """
    done = await caller.call("PerformAction", BECOME)
    stub = SubscriptionServiceStub(caller.channel)
    waiting = subscriptions.GetActionRequest(action=done.action.id, wait=Duration(seconds=20))
    calls = [stub.GetAction(waiting) for _ in range(MOST)]
    try:
        get = requests.GetBacklogRequest(provider="P")  # this call arrives after the waiting calls
        assert not isinstance(await caller.call("GetBacklog", get), Refusal)
        yield waiting
    finally:
        for call in calls:
            call.cancel()


async def test_a_refused_call_says_when_to_repeat_it(caller: Caller) -> None:
    async with full(caller) as waiting:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await SubscriptionServiceStub(caller.channel).GetAction(waiting)

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = dict(refused.value.trailing_metadata() or ())["grpc-status-details-bin"]
    assert isinstance(details, bytes)
    retry = RetryInfo()
    assert any(each.Unpack(retry) for each in Status.FromString(details).details)
    assert retry.retry_delay.ToTimedelta().total_seconds() == 1


async def test_waiting_calls_cause_no_refusal_of_other_calls(caller: Caller) -> None:
    async with full(caller) as waiting:
        action = await caller.call(
            "GetAction", subscriptions.GetActionRequest(action=waiting.action)
        )
        performed = await caller.call("PerformAction", BECOME)

    assert action.action.id == waiting.action
    assert performed.reason == "SUBSCRIPTION_EXISTS"


async def test_waiting_pulls_cause_no_refusal_of_releases(caller: Caller) -> None:
    stub = ProvisioningServiceStub(caller.channel)
    pull = provisioning.PullPendingRequestsRequest(provider="P", adapter="puller")
    waiting = provisioning.PullPendingRequestsRequest(
        provider="P", adapter="puller", wait=Duration(seconds=20)
    )
    calls = [stub.PullPendingRequests(waiting) for _ in range(MOST)]
    pulled = await caller.call("PullPendingRequests", pull)
    too_many = await caller.call("PullPendingRequests", waiting)
    released = await caller.call(
        "ReleaseLeases", provisioning.ReleaseLeasesRequest(lease_tokens=["none"])
    )
    for call in calls:
        call.cancel()

    assert not pulled.subscriptions
    assert too_many.reason == "TOO_MANY_CALLS"
    assert len(released.results) == 1


async def test_adapters_and_operators_are_not_kept_out_by_the_crm(caller: Caller) -> None:
    async with full(caller) as waiting:
        refused = await caller.call("GetAction", waiting)
        pull = provisioning.PullPendingRequestsRequest(
            provider="P", adapter="puller", wait=Duration(seconds=20)
        )
        pulled = await caller.call("PullPendingRequests", pull)
        listed = await caller.call("ListRequests", requests.ListRequestsRequest())

    assert refused.reason == "TOO_MANY_CALLS"
    assert len(pulled.subscriptions) == 1
    assert len(listed.requests) == 1


def test_running_calls_count_until_they_end() -> None:
    limit = CallLimit()
    with limit.taken(CALL * MOST), pytest.raises(Refused), limit.taken(CALL):
        pass
    with limit.taken(CALL * MOST):
        pass


async def test_a_batch_counts_as_much_as_it_carries(caller: Caller) -> None:
    batch = subscriptions.BatchPerformActionsRequest(actions=[BECOME] * CALL * MOST)
    refused = await caller.call("BatchPerformActions", batch)
    del batch.actions[MOST:]
    taken = await caller.call("BatchPerformActions", batch)

    assert refused.reason == "TOO_MANY_CALLS"
    assert len(taken.results) == MOST


async def test_the_client_comes_again_by_itself(caller: Caller, address: str) -> None:
    async with AsyncClient(address) as crm:
        async with full(caller) as waiting:
            asked = asyncio.create_task(crm.get_action(waiting.action, wait=timedelta(seconds=0.1)))
            await crm.get_provider("P")
            assert not asked.done()
        action = await asked

    assert action.id == waiting.action


async def test_calls_above_the_limit_of_a_connection_are_sent_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = dict(listening.OPTIONS) | {"grpc.max_concurrent_streams": 20}
    monkeypatch.setattr(listening, "OPTIONS", tuple(options.items()))
    settings = Settings(listen="127.0.0.1:0", database=f"sqlite:///{tmp_path / 'x.db'}")
    async with running(settings) as address, grpc.aio.insecure_channel(address) as channel:
        caller = Caller(channel)
        request = subscriptions.GetSubscriptionRequest(subscription="none")
        await caller.call("GetSubscription", request)  # now the client knows the limit
        answers = await asyncio.gather(
            *(caller.call("GetSubscription", request) for _ in range(1_000))
        )

    assert {each.code for each in answers} <= {"NOT_FOUND", "RESOURCE_EXHAUSTED"}


async def test_long_lists_of_adapters_and_operators_are_one_call(caller: Caller) -> None:
    tokens = [str(n) for n in range(CALL * MOST)]
    released = await caller.call(
        "ReleaseLeases", provisioning.ReleaseLeasesRequest(lease_tokens=tokens)
    )
    definition = resets.ResetRunDefinition(name="all", provider="P", subscriptions=tokens)
    defined = await caller.call(
        "CreateResetRunDefinition", resets.CreateResetRunDefinitionRequest(definition=definition)
    )

    assert len(released.results) == len(tokens)
    assert list(defined.definition.subscriptions) == tokens


async def test_the_open_streams_of_each_rpc_are_bounded(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'x.db'}"
    settings = Settings(listen="127.0.0.1:0", database=database, max_streams=1)
    opened = {
        "StreamPendingRequests": provisioning.StreamPendingRequestsRequest(
            provider="P", adapter="a"
        ),
        "ReportPlatformState": provisioning.ReportPlatformStateRequest(),
        "WatchEvents": subscriptions.WatchEventsRequest(),
    }
    async with running(settings) as address, AsyncClient(address) as client:
        caller = Caller(client.channel)
        await client.create_provider(pb.Provider(code="P"))
        for rpc, request in opened.items():
            kept = await _opened(caller, rpc, request)
            refused = await caller.call(rpc, request)
            assert (rpc, refused.reason) == (rpc, "TOO_MANY_STREAMS")
            kept.cancel()
            while getattr(refused, "reason", "") == "TOO_MANY_STREAMS":
                refused = await caller.call(rpc, request)

        stub: Any = reflection_pb2_grpc.ServerReflectionStub
        reflection = stub(caller.channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        kept = reflection.ServerReflectionInfo()
        await kept.write(asked)
        await kept.read()
        with pytest.raises(grpc.aio.AioRpcError) as too_many:
            await reflection.ServerReflectionInfo(iter([asked])).read()
    assert too_many.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def _opened(caller: Caller, rpc: str, request: Message) -> Any:
    """Returns a call that the server counts as an open stream."""
    path = f"/{METHODS[rpc].containing_service.full_name}/{rpc}"
    if METHODS[rpc].client_streaming:
        report: Any = caller.channel.stream_unary(path)()
        await report.wait_for_connection()
        await caller.call("ListProviders", providers.ListProvidersRequest())
        return report
    open_stream: Any = caller.channel.unary_stream(path)
    stream = open_stream(request.SerializeToString())
    await stream.read()
    return stream
