"""Describes events in short texts."""

from __future__ import annotations

from collections.abc import Iterator

from generic_provider import (
    ActionState,
    Event,
    ProviderState,
    ProvisioningRequest,
    RequestState,
    RequestType,
    ResetRunState,
    SubscriptionAction,
    SyncState,
)

from .actions import error as error_of_action
from .actions import kind, part_taken_back
from .output import moment
from .wording import about, error

ARCHIVED = "(archived)"
"""Stands for the contents of an action or a request that was archived: an event about an archived
object contains only the id or number of this object.
"""


def lines(event: Event) -> Iterator[str]:
    """Yields the lines that describe the event: several for a rollback, otherwise one."""
    facts = (event.subscription, event.provider, _what(event), _order(event))
    yield "  ".join(filter(None, (moment(event, "time"), *facts)))
    if event.HasField("subscription_rolled_back"):
        yield from (f"  {line}" for line in rollback(event.subscription_rolled_back))


def rollback(change: Event.SubscriptionRolledBack) -> Iterator[str]:
    """Describes the parts that a rollback took back, and its cause."""
    yield f"because {_request(change.request)}"
    for part in change.taken_back:
        yield part_taken_back(part)
    for action in change.dependent_actions:
        yield f"{action} depends on it, and is rejected too"


def _what(event: Event) -> str:
    match event.WhichOneof("change"):
        case "action_executed":
            return f"executed {_action(event.action_executed.action)}"
        case "action_settled":
            action = event.action_settled.action
            return f"settled {_action(action)} {_result(action)}".rstrip()
        case "request_created":
            return f"created {_name(event.request_created.request)}"
        case "request_settled":
            request = event.request_settled.request
            state = RequestState.name_of(request.state) if request.state else ""
            return f"settled {_request(request)} {state}".rstrip()
        case "subscription_rolled_back":
            return f"rolled back {_action(event.subscription_rolled_back.action)}"
        case "sync_state_changed":
            return SyncState.name_of(event.sync_state_changed.sync_state)
        case "reset_run_held":
            return f"held {event.reset_run_held.reset_run.id}"
        case "reset_run_finished":
            run = event.reset_run_finished.reset_run
            return f"finished {run.id} {ResetRunState.name_of(run.state)}"
        case "provider_state_changed":
            return ProviderState.name_of(event.provider_state_changed.state)
        case None:
            return "something that this version does not know"


def _order(event: Event) -> str:
    return f"for {event.reference}" if event.reference else ""


def _action(found: SubscriptionAction) -> str:
    return f"{found.id} {kind(found) if found.state else ARCHIVED}"


def _result(found: SubscriptionAction) -> str:
    return f"{ActionState.name_of(found.state)} {error_of_action(found)}" if found.state else ""


def _name(found: ProvisioningRequest) -> str:
    """Describes the request without its result. An event shows the present state of the request, so
    the request may have a result even in the event about its creation.
    """
    if not found.state:
        return f"{found.number} {ARCHIVED}"
    return f"{found.number} {RequestType.name_of(found.type)} {about(found)}".rstrip()


def _request(found: ProvisioningRequest) -> str:
    return f"{_name(found)} {error(found)}".rstrip()
