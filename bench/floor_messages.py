"""Encodes the messages of the floor program, with the fields that the server sets."""

from __future__ import annotations

from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as crm
from generic_provider_server.domain.lease import Lease, token_of
from support.filling import PROVIDER

KEY, SECOND = b"floor", 1_000_000


def tell(action: crm.SubscriptionAction, name: str, number: int, *, adds: bool, now: int) -> None:
    action.id, action.subscription, action.caller = f"A{number}", name, "ipv4:127.0.0.1:50102"
    action.kind = crm.ACTION_KIND_ADD_SERVICES if adds else crm.ACTION_KIND_REMOVE_SERVICES
    action.state, action.origin = crm.ACTION_STATE_EXECUTED, crm.ACTION_ORIGIN_CALLER
    action.requests.append(f"R{number}")
    for instant in (action.create_time, action.execute_time):
        instant.seconds, instant.nanos = now // SECOND, now % SECOND * 1_000


def show(
    message: api.SubscriptionRequests, lease: Lease, number: int, *, kind: int, now: int
) -> None:
    name = lease.subscription
    message.subscription = message.account_number = name
    message.lease_token = token_of(lease, KEY)
    message.lease_duration.seconds = 30
    message.delivery_attempt = 1
    request = message.requests.add(number=f"R{number}", type=kind, state=1, origin=1)
    request.provider, request.action, request.last_adapter = PROVIDER, f"A{number}", "bench"
    request.subscription, request.account_number, request.delivery_attempts = name, name, 1
    request.service.service, request.service.distributor = "NEWS", "MAIN"
    request.service.provider_service_id, request.service.kind = "2", pb.SERVICE_KIND_TERMED
    for instant in (request.schedule_time, request.create_time, request.last_delivery_time):
        instant.seconds, instant.nanos = now // SECOND, now % SECOND * 1_000


def accepted(message: bytes) -> bytes:
    """Returns the message of SendResponses that accepts all requests in `message`."""
    answers = api.SendResponsesRequest(provider=PROVIDER)
    for each in api.StreamPendingRequestsResponse.FromString(message).batch.subscriptions:
        for request in each.requests:
            answers.responses.add(request=request.number, lease_token=each.lease_token, status=1)
    return answers.SerializeToString()
