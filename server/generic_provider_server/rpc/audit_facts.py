"""Finds the facts for an entry of the audit trail: in the message of the call, and in the results
of the commands that the call has caused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor import Descriptor

from ..commands.live_leases import LeaseState, Release
from ..commands.perform import Done
from ..commands.report import EntryResult, Outcome
from ..commands.reset_definitions import Submit
from ..domain.archive import ArchiveRecord
from ..domain.resets.records import DefinitionRecord, RunRecord, definition_id, run_id
from ..domain.subscription.records import ActionRecord, action_id
from ..domain.subscription.request_records import RequestRecord
from ..domain.verdicts import ResponseCode, Verdict
from ..store.write.command import Asked
from .checks import CALLERS_ID, CODE, NAME

DONE = (ResponseCode.APPLIED, ResponseCode.DUPLICATE)
NOT_DONE = (Outcome.SKIPPED, Outcome.UNKNOWN)
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


def counts_of(asked: Asked[Any]) -> tuple[int, int]:
    """Returns how many parts of the command were done, and how many were refused. Parts are
    answers, entries of a report, or released leases. A command without such parts counts as one
    part.
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


def subject_of(asked: Asked[Any]) -> dict[str, str]:
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


def facts_of(request: Any) -> dict[str, str]:
    """Returns the facts in the message: who makes the call, and which object it changes."""
    fields = _fields_of(request.DESCRIPTOR)
    if "actions" in fields:
        performed = [each for each in request.actions if not each.validate_only]
        return _common(performed or request.actions)
    if _performs(request.DESCRIPTOR):
        return {
            "performed_by": cut(request.performed_by, CALLERS_ID),
            "subscription": cut(request.subscription, CODE),
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
        "performed_by": cut(given.get("performed_by", ""), CALLERS_ID),
        "provider": cut(provider, CODE),
        "subscription": cut(given.get("subscription", ""), CODE),
        "resource": cut(resource, CODE),
        "detail": cut(": ".join(filter(None, said)), NAME),
    }


def _common(actions: Sequence[Any]) -> dict[str, str]:
    """Returns the facts that are equal in all actions of a batch."""
    if not actions:
        return {}
    first = facts_of(actions[0])
    for name in ("performed_by", "subscription"):
        if len({getattr(each, name) for each in actions}) > 1:
            del first[name]
    if len({each.WhichOneof("action") for each in actions}) > 1:
        del first["detail"]
    return first


@lru_cache
def _fields_of(message: Descriptor) -> tuple[str, ...]:
    return tuple(name for name in FIELDS if name in message.fields_by_name)


def _kind(request: Any) -> str:
    """Returns the kind of the action in the message; an empty text if the message contains no
    action.
    """
    return (request.WhichOneof("action") or "").upper()


@lru_cache
def _performs(message: Descriptor) -> bool:
    return "action" in message.oneofs_by_name


def _chosen(request: Any, name: str) -> str:
    """Returns the value of the field called `name` as a text, without the prefix of the
    enumeration; an empty text if the enumeration has no such value.
    """
    known = request.DESCRIPTOR.fields_by_name[name].enum_type.values_by_number
    value = known.get(getattr(request, name))
    return value.name.partition(f"_{name.upper()}_")[2] if value else ""


def cut(text: str, most: int) -> str:
    """Returns the first `most` characters of the text. NUL is replaced, because PostgreSQL cannot
    store it; only a refused call can contain NUL.
    """
    return text[:most].replace("\0", "\N{REPLACEMENT CHARACTER}")
