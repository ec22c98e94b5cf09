"""For every RPC: wrong input, the reason of its refusal, and what the refusal names.

Provider P is effective, Q is empty, and there is nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from generic_provider.v1 import provider_service_pb2 as providers
from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import reset_service_pb2 as resets
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as subscriptions

from .wrong_actions import ACCEPTED, BROKEN_TIME, HUGE, LONG, NEGATIVE, PERFORM, UNKNOWN, Act, Case

PAGES: Mapping[str, type[Message]] = {
    "ListProviders": providers.ListProvidersRequest,
    "ListSubscriptions": subscriptions.ListSubscriptionsRequest,
    "ListActions": subscriptions.ListActionsRequest,
    "ListRequests": requests.ListRequestsRequest,
    "ListAdapters": requests.ListAdaptersRequest,
}


def pages(rpc: str) -> list[Case]:
    kind: Any = PAGES[rpc]
    return [
        (kind(page_size=-1), "INVALID_FIELD", "page_size"),
        (kind(page_token="no token"), "INVALID_FIELD", "page_token"),
    ]


def providers_cases(kind: Any, *, code: str) -> list[Case]:
    def provider(**fields: Any) -> pb.Provider:
        return pb.Provider(code=code, **fields)

    return [
        (kind(), "INVALID_FIELD", "provider.code"),
        (kind(provider=pb.Provider(code=LONG)), "INVALID_FIELD", "provider.code"),
        (
            kind(provider=provider(distributors=[pb.Distributor(code="A")] * 2)),
            "INVALID_FIELD",
            "provider.distributors[1]",
        ),
        (
            kind(
                provider=provider(distributors=[pb.Distributor(code="A", required_distributor="A")])
            ),
            "INVALID_FIELD",
            "provider.distributors[0].required_distributor",
        ),
        (
            kind(provider=provider(services=[pb.Service(code="A", kind=UNKNOWN)])),
            "INVALID_FIELD",
            "provider.services[0].kind",
        ),
        (
            kind(provider=provider(services=[pb.Service(code="A", parameters=HUGE)])),
            "INVALID_FIELD",
            "provider.services[0].parameters",
        ),
        (
            kind(provider=provider(delivery_settings={"pending_window": {"seconds": 1}})),
            "INVALID_FIELD",
            "provider.delivery_settings.pending_window",
        ),
        (
            kind(provider=provider(delivery_settings={"max_lease_time": NEGATIVE})),
            "INVALID_FIELD",
            "provider.delivery_settings.max_lease_time",
        ),
    ]


Answer = provisioning.ProvisioningResponse
Answers = provisioning.SendResponsesRequest
Streams = provisioning.StreamPendingRequestsRequest
Pulls = provisioning.PullPendingRequestsRequest
Extends = provisioning.ExtendLeasesRequest

CASES: Mapping[str, list[Case]] = {
    "CreateProvider": [
        *providers_cases(providers.CreateProviderRequest, code="R"),
        (
            providers.CreateProviderRequest(provider=pb.Provider(code="P")),
            "PROVIDER_EXISTS",
            "provider",
        ),
    ],
    "GetProvider": [
        (providers.GetProviderRequest(), "INVALID_FIELD", "provider"),
        (providers.GetProviderRequest(provider="NONE"), "PROVIDER_NOT_FOUND", "provider"),
    ],
    "ListProviders": [
        *pages("ListProviders"),
        (providers.ListProvidersRequest(states=[UNKNOWN]), "INVALID_FIELD", "states[0]"),
    ],
    "UpdateProvider": [
        *providers_cases(providers.UpdateProviderRequest, code="Q"),
        (
            providers.UpdateProviderRequest(provider=pb.Provider(code="NONE")),
            "PROVIDER_NOT_FOUND",
            "provider",
        ),
        (
            providers.UpdateProviderRequest(provider=pb.Provider(code="P", etag="never")),
            "ETAG_MISMATCH",
            "etag",
        ),
        (
            providers.UpdateProviderRequest(provider=pb.Provider(code="P")),
            "PROVIDER_INCOMPLETE",
            "missing",
        ),
    ],
    "SetProviderState": [
        (providers.SetProviderStateRequest(provider="P"), "INVALID_FIELD", "state"),
        (providers.SetProviderStateRequest(provider="P", state=UNKNOWN), "INVALID_FIELD", "state"),
        (
            providers.SetProviderStateRequest(provider="Z", state=pb.PROVIDER_STATE_EFFECTIVE),
            "PROVIDER_NOT_FOUND",
            "provider",
        ),
        (
            providers.SetProviderStateRequest(provider="Q", state=pb.PROVIDER_STATE_EFFECTIVE),
            "PROVIDER_INCOMPLETE",
            "missing",
        ),
    ],
    "PerformAction": PERFORM,
    "BatchPerformActions": [
        (subscriptions.BatchPerformActionsRequest(), "INVALID_FIELD", "actions"),
        (
            subscriptions.BatchPerformActionsRequest(actions=[Act()] * 1001),
            "INVALID_FIELD",
            "actions",
        ),
    ],
    "GetAction": [
        (subscriptions.GetActionRequest(), "INVALID_FIELD", "action"),
        (subscriptions.GetActionRequest(action="A1"), "ACTION_NOT_FOUND", "action"),
        (subscriptions.GetActionRequest(request_id="never"), "ACTION_NOT_FOUND", "request_id"),
        (subscriptions.GetActionRequest(action="A1", wait=NEGATIVE), "INVALID_FIELD", "wait"),
    ],
    "GetSubscription": [
        (subscriptions.GetSubscriptionRequest(), "INVALID_FIELD", "subscription"),
        (
            subscriptions.GetSubscriptionRequest(subscription="NONE"),
            "SUBSCRIPTION_NOT_FOUND",
            "subscription",
        ),
    ],
    "ListSubscriptions": [
        *pages("ListSubscriptions"),
        (
            subscriptions.ListSubscriptionsRequest(sync_states=[pb.SYNC_STATE_UNSPECIFIED]),
            "INVALID_FIELD",
            "sync_states",
        ),
        (
            subscriptions.ListSubscriptionsRequest(created_from=BROKEN_TIME),
            "INVALID_FIELD",
            "created_from",
        ),
    ],
    "ListActions": [
        *pages("ListActions"),
        (subscriptions.ListActionsRequest(kinds=[UNKNOWN]), "INVALID_FIELD", "kinds[0]"),
    ],
    "StreamPendingRequests": [
        (Streams(adapter="a"), "INVALID_FIELD", "provider"),
        (Streams(provider="P"), "INVALID_FIELD", "adapter"),
        (Streams(provider="NONE", adapter="a"), "PROVIDER_NOT_FOUND", "provider"),
        (Streams(provider="P", adapter="a", max_in_flight=0), "INVALID_FIELD", "max_in_flight"),
        (
            Streams(provider="P", adapter="a", max_in_flight=10_001),
            "INVALID_FIELD",
            "max_in_flight",
        ),
        (
            Streams(provider="P", adapter="a", lease_duration=NEGATIVE),
            "INVALID_FIELD",
            "lease_duration",
        ),
    ],
    "PullPendingRequests": [
        (Pulls(adapter="a"), "INVALID_FIELD", "provider"),
        (Pulls(provider="NONE", adapter="a"), "PROVIDER_NOT_FOUND", "provider"),
        (Pulls(provider="P", adapter="a", max_requests=0), "INVALID_FIELD", "max_requests"),
        (Pulls(provider="P", adapter="a", wait=NEGATIVE), "INVALID_FIELD", "wait"),
    ],
    "SendResponses": [
        (Answers(provider="P"), "INVALID_FIELD", "responses"),
        (Answers(provider="P", responses=[Answer()] * 1001), "INVALID_FIELD", "responses"),
        (Answers(provider="NONE", responses=[Answer()]), "PROVIDER_NOT_FOUND", "provider"),
    ],
    "ExtendLeases": [
        (Extends(), "INVALID_FIELD", "lease_tokens"),
        (Extends(lease_tokens=["x"] * 1001), "INVALID_FIELD", "lease_tokens"),
        (
            Extends(lease_tokens=["x"], lease_duration=Duration(seconds=3601)),
            "INVALID_FIELD",
            "lease_duration",
        ),
    ],
    "ReleaseLeases": [
        (
            provisioning.ReleaseLeasesRequest(lease_tokens=["x"] * 1001),
            "INVALID_FIELD",
            "lease_tokens",
        ),
    ],
    "GetRequest": [
        (requests.GetRequestRequest(), "INVALID_FIELD", "request"),
        (requests.GetRequestRequest(request="nonsense"), "REQUEST_NOT_FOUND", "request"),
    ],
    "ListRequests": [
        *pages("ListRequests"),
        (requests.ListRequestsRequest(types=[UNKNOWN]), "INVALID_FIELD", "types[0]"),
        (requests.ListRequestsRequest(settled_to=BROKEN_TIME), "INVALID_FIELD", "settled_to"),
    ],
    "CancelRequest": [
        (requests.CancelRequestRequest(request="R0000000001"), "INVALID_FIELD", "reason"),
        (
            requests.CancelRequestRequest(request="R0000000001", reason="x"),
            "REQUEST_NOT_FOUND",
            "request",
        ),
    ],
    "ResolveRequest": [
        (
            requests.ResolveRequestRequest(request="R0000000001", reason="x"),
            "INVALID_FIELD",
            "status",
        ),
        (
            requests.ResolveRequestRequest(request="R0000000001", reason="x", status=ACCEPTED),
            "REQUEST_NOT_FOUND",
            "request",
        ),
    ],
    "GetBacklog": [
        (requests.GetBacklogRequest(), "INVALID_FIELD", "provider"),
        (requests.GetBacklogRequest(provider="NONE"), "PROVIDER_NOT_FOUND", "provider"),
    ],
    "ListAdapters": [
        *pages("ListAdapters"),
        (requests.ListAdaptersRequest(provider=LONG), "INVALID_FIELD", "provider"),
    ],
    "ResetSubscription": [
        (resets.ResetSubscriptionRequest(), "INVALID_FIELD", "subscription"),
        (resets.ResetSubscriptionRequest(subscription=LONG), "INVALID_FIELD", "subscription"),
        (
            resets.ResetSubscriptionRequest(subscription="S", provider=LONG),
            "INVALID_FIELD",
            "provider",
        ),
        (
            resets.ResetSubscriptionRequest(subscription="S", request_id="x" * 101),
            "INVALID_FIELD",
            "request_id",
        ),
        (
            resets.ResetSubscriptionRequest(subscription="NONE"),
            "SUBSCRIPTION_NOT_FOUND",
            "subscription",
        ),
    ],
}
