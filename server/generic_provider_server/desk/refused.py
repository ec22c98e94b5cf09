"""Finds the refused actions whose effect is still missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from generic_provider import (
    ActionKind,
    ActionState,
    PerformActionRequest,
    ProviderLink,
    SubscribedService,
    Subscription,
    SubscriptionAction,
    Undone,
)

from .repeatable import FORMER, parts_there

RECENT = timedelta(days=14)
REFUSED = (ActionState.REJECTED, ActionState.PARTLY_REJECTED)
NOT_PERFORMED = (ActionState.SCHEDULED, ActionState.CANCELLED)
REPLACING = (ActionKind.REPLACE, ActionKind.TERMINATE, ActionKind.REGRET)
SWITCHING = (
    ActionKind.ACTIVATE,
    ActionKind.DEACTIVATE,
    ActionKind.REST,
    ActionKind.END_RESTING,
    ActionKind.SHORT_TERM_ACTIVATE,
    ActionKind.END_SHORT_TERM_ACTIVATION,
    ActionKind.SHORT_TERM_DEACTIVATE,
    ActionKind.END_SHORT_TERM_DEACTIVATION,
)
ENDS = ("until", "end_time", "term_end")
"""The fields with the end of an action's effect."""
SAME_TARGET = ("old_serial_number", "old_service", "distributor", "reference", "usage")
"""Two actions of the same kind that have no list of parts have the same target if these fields are
equal.
"""
SAME_PART = {
    "ServiceSelection": ("distributor", "service"),
    "InstalledItem": ("distributor", "goods_type"),
    "Move": ("service", "serial_number", "from_distributor"),
}
"""Two parts of actions are the same target if these fields of the parts are equal. The keys are the
message types of the parts.
"""


def refused_by(
    provider: str,
    newest: Sequence[SubscriptionAction],
    *,
    present: Subscription,
    rejected: Collection[str] = (),
) -> list[SubscriptionAction]:
    """Returns the actions that the provider rejected, wholly or in part, and that no later action
    repeats. An action is left out if its effect would be over by now, if all parts that were taken
    back have changed since, or if the subscription has none of the services and items that the
    action would change. Actions older than RECENT are left out, except the newest action.

    `newest`: the newest actions of the subscription, beginning with the newest. `present`: the
    subscription as it is now. `rejected`: the ids of the actions of which the provider has rejected
    a request. The error of an action names only the provider that was the first to reject one.
    """
    since = datetime.now(UTC) - RECENT
    return [
        each
        for n, each in enumerate(newest)
        if each.state in REFUSED
        and (each.error.provider == provider or each.id in rejected)
        and (not n or each.create_time.ToDatetime(UTC) > since)
        and not any(_repeats(later, each) for later in newest[:n])
        and not _is_over(each.performed)
        and _is_missing(each, present)
        and _has_a_part(each, present)
    ]


def _has_a_part(refused: SubscriptionAction, present: Subscription) -> bool:
    """Tells whether the subscription has at least one of the services and items that the action
    would change, or the action would change none.
    """
    there = parts_there(refused, present)
    return any(there) or not there


def _is_over(asked: PerformActionRequest) -> bool:
    """Tells whether the action would have no effect any more, because all its ends have passed."""
    action = _action_of(asked)
    return action is not None and all(map(_has_passed, _parts(action) or [action]))


def names_past_end(asked: PerformActionRequest) -> bool:
    """Tells whether an end that the action names has passed, so that the service refuses the
    action.
    """
    action = _action_of(asked)
    return action is not None and any(map(_has_passed, (action, *_parts(action))))


def _action_of(asked: PerformActionRequest) -> Any:
    """Returns the message of the action, or None if only a newer version knows the action."""
    chosen = asked.WhichOneof("action")
    return getattr(asked, chosen) if chosen else None


def _has_passed(message: Any) -> bool:
    end = _end(message)
    return end is not None and end <= datetime.now(UTC)


def _end(message: Any) -> datetime | None:
    known = message.DESCRIPTOR.fields_by_name if hasattr(message, "DESCRIPTOR") else ()
    return next(
        (
            getattr(message, name).ToDatetime(UTC)
            for name in ENDS
            if name in known and message.HasField(name)
        ),
        None,
    )


def _is_missing(refused: SubscriptionAction, present: Subscription) -> bool:
    """Tells whether a part that was taken back is still as the rollback has left it. If no part has
    changed since, or no part is listed, the effect of the action is missing. A link counts only if
    no other part was taken back: if a later action has removed the other parts, no link is missing.
    """
    parts = [part for part in refused.taken_back if not part.link] or refused.taken_back
    kept = [_is_kept(part, present) for part in parts]
    return any(kept) or not kept


def _is_kept(part: Undone, present: Subscription) -> bool:
    match part.WhichOneof("part"):
        case "service":
            return _service_is_kept(part.service, present, gone=part.gone)
        case "item":
            place = ("provider", "distributor", "goods_type")
            fields = place if part.gone else (*place, "serial_number")
            items = [_named(each, fields) for each in present.items]
            return part.gone != (_named(part.item, fields) in items)
        case "usage":
            return part.gone != any(u.reference == part.usage.reference for u in present.usages)
        case "holder":
            return present.holder == part.holder
        case "address":
            return present.address == part.address
        case "state":
            return present.state == part.state
        case "link":
            return not any(_serves(each, part.provider) for each in present.provider_links)
        case _:
            return True


def _serves(link: ProviderLink, provider: str) -> bool:
    """Tells whether the link shows that this provider's platform knows the subscriber."""
    return link.provider == provider and bool(link.account_number or link.confirmed.ByteSize())


def _service_is_kept(left: SubscribedService, present: Subscription, *, gone: bool) -> bool:
    place = ("provider", "distributor", "service")
    found = next(
        (
            each
            for each in present.services
            if _named(each, place) == _named(left, place) and each.state not in FORMER
        ),
        None,
    )
    if found is None or gone:
        return gone and found is None
    return (found.state, found.term_end) == (left.state, left.term_end)


def _repeats(later: SubscriptionAction, refused: SubscriptionAction) -> bool:
    """Tells whether a later action repeats or replaces a refused action. A later action that was
    refused too counts as a repeat, but a refused Replace, Terminate or Regret replaces nothing.
    """
    if later.state in NOT_PERFORMED:
        return False
    if later.kind in REPLACING:
        return later.state not in REFUSED
    if later.kind in SWITCHING and refused.kind in SWITCHING:
        return True
    return later.kind == refused.kind and any(
        target == other and (provider == its or not (provider and its))
        for provider, target in _targets(later)
        for its, other in _targets(refused)
    )


def _targets(action: SubscriptionAction) -> Iterator[tuple[str, object]]:
    """Yields the targets of the action: its services, items or moves, or a single target, for
    example a usage record. Each target comes with its provider, which is empty if the action does
    not name it, or if the target is unique on the subscription. Added items that differ only in
    their serial numbers are the same target, and so are services that differ only in their term
    ends. An action that only a newer version knows has no targets.
    """
    chosen = action.performed.WhichOneof("action")
    if not chosen:
        return
    asked: Any = getattr(action.performed, chosen)
    several = _parts(asked)
    for part in several:
        if isinstance(part, str):
            yield "", part
        else:
            yield part.provider, _named(part, SAME_PART[part.DESCRIPTOR.name])
    if not several:
        yield asked.provider if chosen == "swap_service" else "", _named(asked, SAME_TARGET)


def _parts(asked: Any) -> list[Any]:
    return [part for field, parts in asked.ListFields() if lists_parts(field) for part in parts]


def lists_parts(field: FieldDescriptor) -> bool:
    """Tells whether the field is a list, and no map of parameters."""
    entry = field.message_type
    return field.is_repeated and not (entry and entry.GetOptions().map_entry)


def _named(message: Any, fields: Iterable[str]) -> tuple[object, ...]:
    return tuple(getattr(message, field, "") for field in fields)
