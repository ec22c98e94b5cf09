from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from generic_provider import (
    AsyncClient,
    Distributor,
    Provider,
    ProvisioningResponse,
    RequestState,
    ResponseCode,
    ResponseStatus,
    Service,
    actions,
)
from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.services.action_waits import ActionWaits

Stream = grpc.aio.UnaryStreamCall[
    api.StreamPendingRequestsRequest, api.StreamPendingRequestsResponse
]
PROVIDER = Provider(
    code="P",
    distributors=[Distributor(code="MAIN")],
    services=[Service(code="SPORT", provider_service_id="1")],
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(listen="127.0.0.1:0", database=f"sqlite:///{tmp_path / 'x.db'}")


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Returns an event that is set when a caller waits for an action."""
    event = asyncio.Event()
    waits = ActionWaits.action

    async def noted(self: ActionWaits, action: int, *, wait: float) -> object:
        event.set()
        return await waits(self, action, wait=wait)

    monkeypatch.setattr(ActionWaits, "action", noted)
    return event


async def test_a_drain_tells_streams_and_waiting_callers_and_leases_live_on(
    settings: Settings, received: asyncio.Event
) -> None:
    serving = running(settings)
    address = await serving.__aenter__()
    async with AsyncClient(address) as crm, grpc.aio.insecure_channel(address) as channel:
        action = await _pending_action(crm)
        stream = ProvisioningServiceStub(channel).StreamPendingRequests(
            api.StreamPendingRequestsRequest(provider="P", adapter="a")
        )
        handed = await _next(stream, "batch")
        states = _states(channel)
        assert await anext(states) == HealthCheckResponse.SERVING
        waiting = asyncio.create_task(crm.get_action(action, wait=timedelta(seconds=30)))
        await received.wait()

        draining = asyncio.create_task(serving.__aexit__(None, None, None))

        assert await anext(states) == HealthCheckResponse.NOT_SERVING
        assert "shutting down" in (await _next(stream, "drain")).drain.reason
        assert await stream.read() is grpc.aio.EOF
        assert not (await waiting).HasField("settle_time")
        await draining
    async with running(settings) as address, AsyncClient(address) as adapter:
        (lease,) = handed.batch.subscriptions
        (request,) = lease.requests
        answer = ProvisioningResponse(
            request=request.number, lease_token=lease.lease_token, status=ResponseStatus.ACCEPTED
        )
        (result,) = await adapter.send_responses("P", responses=[answer])
        assert (result.code, result.state) == (ResponseCode.APPLIED, RequestState.COMPLETED)


async def _pending_action(crm: AsyncClient) -> str:
    await crm.create_provider(PROVIDER)
    await crm.set_provider_state("P", state="EFFECTIVE")
    done = await crm.perform(actions.BecomeSubscriber(type="DTH", provider="P"))
    return done.action.id


async def _next(stream: Stream, kind: str) -> api.StreamPendingRequestsResponse:
    while True:
        message = await stream.read()
        assert isinstance(message, api.StreamPendingRequestsResponse)
        if message.WhichOneof("message") == kind:
            return message


async def _states(channel: grpc.aio.Channel) -> AsyncIterator[int]:
    watch = channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    async for response in watch(HealthCheckRequest()):
        yield response.status
