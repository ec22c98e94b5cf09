"""Decides which calls have an entry in the audit trail, and creates the entries."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor import Descriptor

from ..commands.answers import Verdict
from ..commands.live_leases import LeaseState, Release
from ..commands.perform import Done
from ..commands.report import EntryResult, Outcome
from ..commands.reset_definitions import Submit
from ..domain.archive import ArchiveRecord
from ..domain.audit import AuditEntry
from ..domain.refusals import Reason, Refused
from ..domain.resets.records import DefinitionRecord, RunRecord, definition_id, run_id
from ..domain.subscription.records import ActionRecord, action_id
from ..domain.subscription.request_records import RequestRecord
from ..domain.verdicts import ResponseCode
from ..services.auditing import Auditing
from ..store.write.command import Asked
from .access import EVERY_ROLE, Identity
from .checks import CALLERS_ID, CODE, NAME
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
"""RPCs that a caller calls again and again. The calls of one caller within a minute share an entry.
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

DONE = (ResponseCode.APPLIED, ResponseCode.DUPLICATE)
NOT_DONE = (Outcome.SKIPPED, Outcome.UNKNOWN)
REPEATED = " (repeated)"
"""The detail of an entry ends with this text if the call, or an action in its batch, repeats an
earlier call with the same `request_id`.
"""
RESOURCES = ("request", "action", "archive", "reset_run", "definition")
FIELDS = (
    "performed_by",
    "provider",
    "subscription",
    "state",
    "status",
    "reason",
    "stop",
    "actions",
    *RESOURCES,
)


class CallAudit:
    """Creates the audit entry of one call.

    `request`: the message, or the first message of a stream; None if it could not be decoded.
    `malformed`: the number of malformed answers in the message. They are counted here, because
    no command contains them.
    """

    __slots__ = (
        "_auditing",
        "_identity",
        "_known",
        "_method",
        "_recorded",
        "_request",
        "malformed",
    )

    def __init__(
        self, auditing: Auditing, method: str, identity: Identity, *, request: Any
    ) -> None:
        self._auditing = auditing
        self._method = method
        self._identity = identity
        self._request = request
        self._known: dict[str, Any] | None = None
        self._recorded = False
        self.malformed = 0

    @property
    def of_change(self) -> bool:
        """Tells whether the call changes something if it succeeds."""
        if self._method == "BatchPerformActions" and self._request and self._request.actions:
            return not all(each.validate_only for each in self._request.actions)
        return self._method in RECORDED_EACH and not getattr(self._request, "validate_only", False)

    def entry(self, asked: Sequence[Asked[Any]]) -> AuditEntry | None:
        """Returns the entry with the outcome of the commands.

        Returns None for a call that changes nothing. Also returns None if a command was refused and
        the call is no batch of actions: then the whole call is refused, and `refused` records it.
        """
        batch = self._method == "BatchPerformActions"
        if not self.of_change or (not batch and any(each.error for each in asked)):
            return None
        self._recorded = True
        done = refused = 0
        repeated = False
        for each in asked:
            item_done, item_refused = _counts(each)
            done, refused = done + item_done, refused + item_refused
            repeated = repeated or each.repeated
        facts = self._known_facts()
        if not batch:
            facts = facts | _subject(asked[0])
        if repeated:
            detail = facts.get("detail", "")[: NAME - len(REPEATED)]
            facts = facts | {"detail": f"{detail}{REPEATED}".strip()}
        return AuditEntry(**facts, done=done, refused=refused)

    def succeeded(self) -> None:
        """Records a successful call, unless a transaction has recorded it. For a stream from the
        server, call this as soon as the stream is open.
        """
        if self._method in RECORDED_TOGETHER:
            self._auditing.count(AuditEntry(**self._known_facts(), done=1))
        elif self.of_change and (self.malformed or not self._recorded):
            self._auditing.add(AuditEntry(**self._known_facts(), refused=self.malformed))

    def refused(self, refused: Refused) -> None:
        if (
            self.of_change
            or self._method in RECORDED_TOGETHER
            or refused.reason is Reason.PERMISSION_DENIED
        ):
            code, reason = STATUS[refused.reason].value[0], refused.reason.value
            entry = AuditEntry(**self._known_facts(), code=code, reason=reason, refused=1)
            self._auditing.refuse(entry)

    def _known_facts(self) -> dict[str, Any]:
        """Returns the fields of the entry, except the fields of the outcome."""
        if self._known is None:
            self._known = {
                "time": self._auditing.now(),
                "call": random.getrandbits(63),
                "method": self._method,
                "caller": _cut(self._identity.name, NAME),
                "roles": _roles(self._identity.roles),
                "peer": _cut(self._identity.peer, NAME),
                **({} if self._request is None else _facts(self._request)),
            }
        return self._known


def _counts(asked: Asked[Any]) -> tuple[int, int]:
    """Returns how many parts of the command were done, and how many were refused. Parts are
    answers, entries of a report, or released leases; any other command is one part.
    """
    if getattr(asked.command, "validate_only", False):
        return 0, 0
    match asked.result:
        case _ if asked.error:
            return 0, 1
        case (Verdict(), *_) as verdicts:
            done = [each.code in DONE for each in verdicts]
        case (EntryResult(), *_) as results:
            done = [each.outcome not in NOT_DONE for each in results]
        case (LeaseState(), *_) as states if isinstance(asked.command, Release):
            # a lease that had ended before does not count as refused
            return sum([each.live for each in states]), asked.command.leases.count(None)
        case _:
            return 1, 0
    return sum(done), len(done) - sum(done)


def _subject(asked: Asked[Any]) -> dict[str, str]:
    """Returns the facts about the created or changed object, for example a new id. The message of
    the call does not contain these facts.
    """
    found: Any = asked.result
    if isinstance(asked.command, Submit):
        record, run = found
        found = run or record
    match found:
        case Done(action=action, requests=requests):
            providers = {each.provider for each in requests}
            return {
                "subscription": action.subscription,
                "resource": action_id(action.id),
                "provider": providers.pop() if len(providers) == 1 else "",
            }
        case ActionRecord(subscription=subscription):
            return {"subscription": subscription}
        case RequestRecord(provider=provider, subscription=subscription):
            return {"provider": provider, "subscription": subscription}
        case ArchiveRecord(provider=provider, id=archive):
            return {"provider": provider, "resource": archive}
        case RunRecord(id=run, definition=definition):
            return {"provider": definition.provider, "resource": run_id(run)}
        case DefinitionRecord(id=number, definition=definition):
            return {"provider": definition.provider, "resource": definition_id(number)}
        case _:
            pass
    if isinstance(asked.command, Release):
        leases = filter(None, asked.command.leases)
        return {"provider": next((each.provider for each in leases), "")}
    return {}


def _facts(request: Any) -> dict[str, str]:
    """Returns the facts in the message: who makes the call, and which object it changes."""
    fields = _fields_of(request.DESCRIPTOR)
    if "actions" in fields:
        performed = [each for each in request.actions if not each.validate_only]
        return _common(performed or request.actions)
    if _performs(request.DESCRIPTOR):
        return {
            "performed_by": _cut(request.performed_by, CALLERS_ID),
            "subscription": _cut(request.subscription, CODE),
            "detail": _kind(request),
        }
    given = {name: getattr(request, name) for name in fields}
    provider = given.get("provider", "")
    resource = next((given[name] for name in RESOURCES if name in given), "")
    if not isinstance(resource, str):  # the message contains a whole definition
        provider, resource = resource.provider, resource.id
    if not isinstance(provider, str):  # the message contains a whole provider
        provider = provider.code
    said = [_chosen(request, name) for name in ("state", "status") if name in given]
    said += [given.get("reason", ""), "STOP" * given.get("stop", False)]
    return {
        "performed_by": _cut(given.get("performed_by", ""), CALLERS_ID),
        "provider": _cut(provider, CODE),
        "subscription": _cut(given.get("subscription", ""), CODE),
        "resource": _cut(resource, CODE),
        "detail": _cut(": ".join(filter(None, said)), NAME),
    }


def _common(actions: Sequence[Any]) -> dict[str, str]:
    """Returns the facts that are equal in all actions of a batch."""
    if not actions:
        return {}
    first = _facts(actions[0])
    for name in ("performed_by", "subscription"):
        if any(getattr(each, name) != getattr(actions[0], name) for each in actions):
            del first[name]
    if any(_kind(each) != first["detail"] for each in actions):
        del first["detail"]
    return first


@lru_cache
def _fields_of(message: Descriptor) -> tuple[str, ...]:
    return tuple(name for name in FIELDS if name in message.fields_by_name)


def _kind(request: Any) -> str:
    """Returns the kind of the action that the message performs; an empty text if the message has no
    action.
    """
    return (request.WhichOneof("action") or "").upper()


@lru_cache
def _performs(message: Descriptor) -> bool:
    return "action" in message.oneofs_by_name


def _chosen(request: Any, name: str) -> str:
    """Returns the name of the value in the field `name`, without the prefix of the enumeration; an
    empty text if the enumeration has no such value.
    """
    known = request.DESCRIPTOR.fields_by_name[name].enum_type.values_by_number
    value = known.get(getattr(request, name))
    return value.name.partition(f"_{name.upper()}_")[2] if value else ""


def _cut(text: str, most: int) -> str:
    """Returns the first `most` characters of the text. NUL is replaced, because PostgreSQL cannot
    store it; only a refused call can contain NUL.
    """
    return text[:most].replace("\0", "\N{REPLACEMENT CHARACTER}")


@lru_cache
def _roles(roles: frozenset[str]) -> tuple[str, ...]:
    """Returns the caller's roles in alphabetical order; no roles if the settings name no file of
    callers.
    """
    return () if roles is EVERY_ROLE else tuple(sorted(roles))
