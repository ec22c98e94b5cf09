"""Contains for every RPC wrong input, the reason for its refusal, and the field or key that the
refusal names.

Provider P is effective, provider Q has no distributors and no services, and nothing else exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider.v1 import provider_service_pb2 as providers
from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import reset_service_pb2 as resets
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as subscriptions

from .wrong_actions import ACCEPTED, BROKEN_TIME, HUGE, LONG, NEGATIVE, PERFORM, UNKNOWN, Act, Case
from .wrong_archives import ARCHIVES

EFFECTIVE = resets.RESET_RUN_DEFINITION_STATE_EFFECTIVE

PAGES: Mapping[str, type[Message]] = {
    "ListProviders": providers.ListProvidersRequest,
    "ListSubscriptions": subscriptions.ListSubscriptionsRequest,
    "ListActions": subscriptions.ListActionsRequest,
    "ListRequests": requests.ListRequestsRequest,
    "ListAdapters": requests.ListAdaptersRequest,
    "ListResetRunDefinitions": resets.ListResetRunDefinitionsRequest,
    "ListResetRuns": resets.ListResetRunsRequest,
    "PreviewResetRun": resets.PreviewResetRunRequest,
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


def of_definition(kind: Any) -> list[Case]:
    missing = "RESET_RUN_DEFINITION_NOT_FOUND", "reset_run_definition"
    return [
        (kind(), "INVALID_FIELD", "definition"),
        (kind(definition="D0000000001"), *missing),
        (kind(definition="nonsense"), *missing),
    ]


def of_run(kind: Any) -> list[Case]:
    return [
        (kind(), "INVALID_FIELD", "reset_run"),
        (kind(reset_run="U0000000001"), "RESET_RUN_NOT_FOUND", "reset_run"),
        (kind(reset_run="nonsense"), "RESET_RUN_NOT_FOUND", "reset_run"),
    ]


def definition_cases(kind: Any) -> list[Case]:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"name": ""}, "name"),
        ({"provider": ""}, "provider"),
        ({"created_from": BROKEN_TIME}, "created_from"),
        ({"subscription_types": [""]}, "subscription_types[0]"),
        ({"subscriptions": ["S"] * 10_001}, "subscriptions"),
        ({"subscriptions": ["Ä" * 64] * 10_000}, "subscriptions"),
        ({"difference_kinds": [UNKNOWN]}, "difference_kinds[0]"),
        ({"first": 0}, "first"),
        ({"max_switch_off_percent": 101}, "max_switch_off_percent"),
        ({"max_switch_off_percent": float("nan")}, "max_switch_off_percent"),
        ({"subscriptions_per_second": 0}, "subscriptions_per_second"),
        ({"full": True, "platform_restored_to": {"seconds": 1}}, "platform_restored_to"),
        ({"cron": "every day"}, "cron"),
        ({"cron": ""}, "cron"),
        ({"cron": "0 0 1 1 * *"}, "cron"),
        ({"cron": "0 0 * * *", "time_zone": "Nowhere"}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
        ({"time_zone": "localtime"}, "time_zone"),
    ]
    base = {"id": "D0000000001", "name": "n", "provider": "P"}
    return [
        (
            kind(definition=resets.ResetRunDefinition(**{**base, **fields})),
            "INVALID_FIELD",
            f"definition.{field}",
        )
        for fields, field in wrong
    ]


Answer = provisioning.ProvisioningResponse
Answers = provisioning.SendResponsesRequest
Streams = provisioning.StreamPendingRequestsRequest
Pulls = provisioning.PullPendingRequestsRequest
Extends = provisioning.ExtendLeasesRequest
Reports = provisioning.ReportPlatformStateRequest
Reported = provisioning.PlatformSubscription
NOW = Timestamp(seconds=1_700_000_000)
LAST_SECOND = 253_402_300_799

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
    "CancelScheduledAction": [
        (subscriptions.CancelScheduledActionRequest(), "INVALID_FIELD", "action"),
        (subscriptions.CancelScheduledActionRequest(action="A1"), "ACTION_NOT_FOUND", "action"),
        (subscriptions.CancelScheduledActionRequest(action="me"), "ACTION_NOT_FOUND", "action"),
        (
            subscriptions.CancelScheduledActionRequest(action="A1", performed_by=2 * LONG),
            "INVALID_FIELD",
            "performed_by",
        ),
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
    "WatchEvents": [
        (subscriptions.WatchEventsRequest(kinds=[UNKNOWN]), "INVALID_FIELD", "kinds[0]"),
        (subscriptions.WatchEventsRequest(provider=LONG), "INVALID_FIELD", "provider"),
        (subscriptions.WatchEventsRequest(subscription=LONG), "INVALID_FIELD", "subscription"),
        (subscriptions.WatchEventsRequest(start_after=LONG), "INVALID_FIELD", "start_after"),
        (subscriptions.WatchEventsRequest(start_after="x"), "CURSOR_UNKNOWN", "cursor"),
        (
            subscriptions.WatchEventsRequest(max_batch_size=1_001),
            "INVALID_FIELD",
            "max_batch_size",
        ),
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
        (Extends(lease_tokens=["x" * 2_000] * 1000), "INVALID_FIELD", "lease_tokens"),
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
        (
            provisioning.ReleaseLeasesRequest(lease_tokens=["x" * 2_000] * 1000),
            "INVALID_FIELD",
            "lease_tokens",
        ),
    ],
    "ReportPlatformState": [
        (Reports(observed_time=NOW), "INVALID_FIELD", "provider"),
        (Reports(provider="P"), "INVALID_FIELD", "observed_time"),
        (Reports(provider="P", observed_time=BROKEN_TIME), "INVALID_FIELD", "observed_time"),
        (
            Reports(provider="P", observed_time=Timestamp(seconds=LAST_SECOND)),
            "INVALID_FIELD",
            "observed_time",
        ),
        (
            Reports(provider="P", observed_time=NOW, max_missing_percent=101),
            "INVALID_FIELD",
            "max_missing_percent",
        ),
        (
            Reports(provider="P", observed_time=NOW, max_missing_percent=float("nan")),
            "INVALID_FIELD",
            "max_missing_percent",
        ),
        (
            Reports(provider="P", observed_time=NOW, platform_subscriptions=[Reported()] * 1001),
            "INVALID_FIELD",
            "platform_subscriptions",
        ),
        (Reports(provider="NONE", observed_time=NOW), "PROVIDER_NOT_FOUND", "provider"),
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
    "CreateResetRunDefinition": [
        *definition_cases(resets.CreateResetRunDefinitionRequest),
        (
            resets.CreateResetRunDefinitionRequest(
                definition=resets.ResetRunDefinition(name="n", provider="NONE")
            ),
            "PROVIDER_NOT_FOUND",
            "provider",
        ),
    ],
    "GetResetRunDefinition": [*of_definition(resets.GetResetRunDefinitionRequest)],
    "ListResetRunDefinitions": [
        *pages("ListResetRunDefinitions"),
        (resets.ListResetRunDefinitionsRequest(states=[UNKNOWN]), "INVALID_FIELD", "states[0]"),
    ],
    "UpdateResetRunDefinition": [
        *definition_cases(resets.UpdateResetRunDefinitionRequest),
        (
            resets.UpdateResetRunDefinitionRequest(
                definition=resets.ResetRunDefinition(name="n", provider="P")
            ),
            "INVALID_FIELD",
            "definition.id",
        ),
        (
            resets.UpdateResetRunDefinitionRequest(
                definition=resets.ResetRunDefinition(id="D0000000001", name="n", provider="P")
            ),
            "RESET_RUN_DEFINITION_NOT_FOUND",
            "reset_run_definition",
        ),
    ],
    "DeleteResetRunDefinition": [*of_definition(resets.DeleteResetRunDefinitionRequest)],
    "SetResetRunDefinitionState": [
        (
            resets.SetResetRunDefinitionStateRequest(definition="D0000000001"),
            "INVALID_FIELD",
            "state",
        ),
        (
            resets.SetResetRunDefinitionStateRequest(
                definition="D0000000001", state=resets.RESET_RUN_DEFINITION_STATE_EFFECTIVE
            ),
            "RESET_RUN_DEFINITION_NOT_FOUND",
            "reset_run_definition",
        ),
    ],
    "PreviewResetRun": [
        *pages("PreviewResetRun"),
        (resets.PreviewResetRunRequest(), "INVALID_FIELD", "definition"),
        (
            resets.PreviewResetRunRequest(definition="D0000000001"),
            "RESET_RUN_DEFINITION_NOT_FOUND",
            "reset_run_definition",
        ),
        (
            resets.PreviewResetRunRequest(definition_fields=resets.ResetRunDefinition(name="n")),
            "INVALID_FIELD",
            "definition_fields.provider",
        ),
        (
            resets.PreviewResetRunRequest(
                definition_fields=resets.ResetRunDefinition(name="n", provider="NONE")
            ),
            "PROVIDER_NOT_FOUND",
            "provider",
        ),
        (
            resets.PreviewResetRunRequest(
                definition_fields=resets.ResetRunDefinition(
                    name="n", provider="P", distributors=["MAIN", "TWIN"]
                )
            ),
            "INVALID_FIELD",
            "definition_fields.distributors[1]",
        ),
    ],
    "SubmitResetRunDefinition": [*of_definition(resets.SubmitResetRunDefinitionRequest)],
    "GetResetRun": [*of_run(resets.GetResetRunRequest)],
    "ListResetRuns": [
        *pages("ListResetRuns"),
        (resets.ListResetRunsRequest(states=[UNKNOWN]), "INVALID_FIELD", "states[0]"),
    ],
    "ListResetRunEntries": [
        *of_run(resets.ListResetRunEntriesRequest),
        (
            resets.ListResetRunEntriesRequest(reset_run="U0000000001", page_size=-1),
            "INVALID_FIELD",
            "page_size",
        ),
        (
            resets.ListResetRunEntriesRequest(reset_run="U0000000001", outcomes=[UNKNOWN]),
            "INVALID_FIELD",
            "outcomes[0]",
        ),
    ],
    "WatchResetRun": [*of_run(resets.WatchResetRunRequest)],
    "ApproveResetRun": [
        (resets.ApproveResetRunRequest(reset_run="U0000000001"), "INVALID_FIELD", "reason"),
        (
            resets.ApproveResetRunRequest(reset_run="U0000000001", reason="x"),
            "RESET_RUN_NOT_FOUND",
            "reset_run",
        ),
    ],
    "CancelResetRun": [*of_run(resets.CancelResetRunRequest)],
    **ARCHIVES,
}
