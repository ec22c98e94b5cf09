"""Decides which calls have an entry in the audit trail, and creates the entries."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ..domain.audit import AuditEntry
from ..domain.refusals import Reason, Refused
from ..domain.values import Instant
from ..services.auditing import Auditing
from ..store.write.command import Asked
from .access import EVERY_ROLE, Identity
from .audit_facts import counts_of, cut, facts_of, subject_of
from .checks import NAME
from .errors import STATUS

RECORDED_IF_REFUSED = frozenset(
    {
        "ExtendLeases",
        "GetAction",
        "GetArchive",
        "GetBacklog",
        "GetProvider",
        "GetRequest",
        "GetResetRun",
        "GetResetRunDefinition",
        "GetSubscription",
        "ListActions",
        "ListAdapters",
        "ListArchives",
        "ListAuditEntries",
        "ListProviders",
        "ListRequests",
        "ListResetRunDefinitions",
        "ListResetRunEntries",
        "ListResetRuns",
        "ListSubscriptions",
        "PreviewResetRun",
        "WatchEvents",
        "WatchResetRun",
    }
)
"""RPCs whose calls are recorded only if they are refused because of the caller's roles."""

RECORDED_TOGETHER = frozenset({"DownloadArchive", "PullPendingRequests", "StreamPendingRequests"})
"""RPCs that a caller calls again and again. The calls that a server process has counted within a
minute share an entry if they have the same RPC, caller, roles, host, and provider or archive.
"""

RECORDED_EACH = frozenset(
    {
        "ApproveResetRun",
        "BatchPerformActions",
        "CancelRequest",
        "CancelResetRun",
        "CancelScheduledAction",
        "CreateArchive",
        "CreateProvider",
        "CreateResetRunDefinition",
        "DeleteArchive",
        "DeleteResetRunDefinition",
        "PerformAction",
        "ReleaseLeases",
        "ReportPlatformState",
        "ResetSubscription",
        "ResolveRequest",
        "SendResponses",
        "SetProviderState",
        "SetResetRunDefinitionState",
        "SubmitResetRunDefinition",
        "UpdateProvider",
        "UpdateResetRunDefinition",
    }
)
"""Each call of these RPCs has its own entry."""

BATCH = "BatchPerformActions"
REPEATED = " (repeated)"
"""The detail of an entry ends with this text if the call, or an action in its batch, repeats an
earlier call with the same `request_id`.
"""


class CallAudit:
    """Creates the audit entry of one call.

    `request`: the message, or the first message of a stream; None if the message could not be
    decoded. `began`: the time at which the call began. `malformed`: the number of malformed answers
    in the message. Malformed answers are counted here, because no command contains them.
    """

    __slots__ = (
        "_auditing",
        "_began",
        "_identity",
        "_known",
        "_method",
        "_recorded",
        "_repeated",
        "_request",
        "malformed",
    )

    def __init__(
        self,
        auditing: Auditing,
        method: str,
        identity: Identity,
        *,
        request: Any,
        began: Instant,
    ) -> None:
        self._auditing = auditing
        self._began = began
        self._method = method
        self._identity = identity
        self._request = request
        self._known: dict[str, Any] | None = None
        self._recorded = False
        self._repeated = False
        self.malformed = 0

    @property
    def of_change(self) -> bool:
        """Tells whether the call changes something if it succeeds."""
        if self._method == BATCH and self._request and self._request.actions:
            return not all(each.validate_only for each in self._request.actions)
        return self._method in RECORDED_EACH and not getattr(self._request, "validate_only", False)

    def entry(self, asked: Sequence[Asked[Any]]) -> AuditEntry | None:
        """Returns the entry with the outcome of the commands.

        Returns None for a call that changes nothing. Also returns None if a command was refused and
        the call is no batch of actions: then the whole call is refused, and `refused` records it.
        """
        batch = self._method == BATCH
        if not self.of_change:
            return None
        done = refused = 0
        for each in asked:
            if each.error and not batch:
                return None
            item_done, item_refused = counts_of(each)
            done, refused = done + item_done, refused + item_refused
            # kept, because each transaction of the call writes the detail anew
            self._repeated = self._repeated or each.repeated
        self._recorded = True
        facts = self._known_facts()
        if not batch:
            facts = facts | subject_of(asked[0])
        if self._repeated:
            detail = facts.get("detail", "")[: NAME - len(REPEATED)]
            facts = facts | {"detail": f"{detail}{REPEATED}".strip()}
        return AuditEntry(**facts, done=done, refused=refused)

    def given_up(self, asked: Sequence[Asked[Any]]) -> None:
        """Records the refusal of a call whose caller did not wait for the outcome."""
        refusals = [each.error for each in asked if isinstance(each.error, Refused)]
        if self._method == BATCH:
            self.uncertain(asked)
        elif refusals:
            self.refused(refusals[0])

    def uncertain(self, asked: Sequence[Asked[Any]]) -> None:
        """Records the actions of a batch whose outcome is unknown. If their transaction has failed,
        no other entry counts them, and `succeeded` must not add an entry without counts.
        """
        refusals = [each.error for each in asked if isinstance(each.error, Refused)]
        unknown = [each for each in refusals if each.reason is Reason.STORE_UNAVAILABLE]
        if unknown:
            self._recorded = True
            self.refused(unknown[0], count=len(unknown))

    def succeeded(self) -> None:
        """Records a successful call, unless a transaction has recorded it. For a stream from the
        server, call this function as soon as the stream is open.
        """
        if self._method in RECORDED_TOGETHER:
            self._auditing.count(AuditEntry(**self._known_facts(), done=1))
        elif (self.malformed or not self._recorded) and self.of_change:
            self._auditing.add(AuditEntry(**self._known_facts(), refused=self.malformed))

    def refused(self, refused: Refused, *, count: int = 1) -> None:
        """Records a refusal. `count`: the number of refused items.

        If the outcome is unknown, the entry is a second one, because the transaction that was
        perhaps committed contains the entry of the change.
        """
        if (
            self.of_change
            or self._method in RECORDED_TOGETHER
            or refused.reason is Reason.PERMISSION_DENIED
        ):
            code, reason = STATUS[refused.reason].value[0], refused.reason.value
            facts = self._known_facts()
            if refused.reason is Reason.STORE_UNAVAILABLE:
                facts = facts | {"call": random.getrandbits(63)}
            self._auditing.refuse(AuditEntry(**facts, code=code, reason=reason, refused=count))

    def _known_facts(self) -> dict[str, Any]:
        """Returns the fields of the entry, except the fields of the outcome."""
        if self._known is None:
            self._known = {
                "time": self._began,
                "call": random.getrandbits(63),
                "method": self._method,
                "caller": cut(self._identity.name, NAME),
                "roles": _roles(self._identity.roles),
                "peer": cut(self._identity.peer, NAME),
                **({} if self._request is None else facts_of(self._request)),
            }
        return self._known


@lru_cache
def _roles(roles: frozenset[str]) -> tuple[str, ...]:
    """Returns the caller's roles in alphabetical order; no roles if the settings name no file of
    callers.
    """
    return () if roles is EVERY_ROLE else tuple(sorted(roles))
