"""Defines who may call what: the roles, and one table of all RPCs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """A caller has a role for everything, but ADAPTER for one provider: `adapter:ALUXSAT`."""

    CRM = "crm"
    ADAPTER = "adapter"
    SUPPORT = "support"
    OPERATOR = "operator"
    AUDITOR = "auditor"


EVERY_ROLE = frozenset(map(str, Role))
"""The roles of everyone if the settings name no callers: here ADAPTER is for all providers."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a call: the proven name, the roles of the caller, and the address of the peer."""

    name: str
    peer: str
    roles: frozenset[str] = EVERY_ROLE


OPERATOR = frozenset({Role.OPERATOR})
ADAPTER = OPERATOR | {Role.ADAPTER}
READ = OPERATOR | {Role.SUPPORT, Role.AUDITOR}
CRM = OPERATOR | {Role.CRM}
CRM_READ = READ | CRM

ALLOWED: Mapping[str, frozenset[Role]] = {
    "CreateProvider": OPERATOR,
    "GetProvider": READ,
    "ListProviders": READ,
    "UpdateProvider": OPERATOR,
    "SetProviderState": OPERATOR,
    "PerformAction": CRM,
    "BatchPerformActions": CRM,
    "CancelScheduledAction": CRM | {Role.SUPPORT},
    "GetAction": CRM_READ,
    "ListActions": CRM_READ,
    "GetSubscription": CRM_READ,
    "ListSubscriptions": CRM_READ,
    "WatchEvents": CRM_READ,
    "StreamPendingRequests": ADAPTER,
    "PullPendingRequests": ADAPTER,
    "SendResponses": ADAPTER,
    "ExtendLeases": ADAPTER,
    "ReleaseLeases": ADAPTER,
    "ReportPlatformState": ADAPTER,
    "GetRequest": READ,
    "ListRequests": READ,
    "CancelRequest": OPERATOR,
    "ResolveRequest": OPERATOR,
    "GetBacklog": READ,
    "ListAdapters": READ,
    "CreateArchive": OPERATOR | {Role.AUDITOR},
    "GetArchive": READ,
    "ListArchives": READ,
    "DownloadArchive": READ,
    "DeleteArchive": frozenset({Role.AUDITOR}),
    "ResetSubscription": OPERATOR | {Role.SUPPORT},
    "CreateResetRunDefinition": OPERATOR,
    "GetResetRunDefinition": READ,
    "ListResetRunDefinitions": READ,
    "UpdateResetRunDefinition": OPERATOR,
    "DeleteResetRunDefinition": OPERATOR,
    "SetResetRunDefinitionState": OPERATOR,
    "SubmitResetRunDefinition": OPERATOR,
    "PreviewResetRun": READ,
    "GetResetRun": READ,
    "ListResetRuns": READ,
    "ListResetRunEntries": READ,
    "WatchResetRun": READ,
    "ApproveResetRun": OPERATOR,
    "CancelResetRun": OPERATOR,
}
"""The roles that may call each RPC. Reads are for support, operators and auditors."""
