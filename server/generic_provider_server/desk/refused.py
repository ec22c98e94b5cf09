"""Finds the refused actions that nobody has repeated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from generic_provider import ActionKind, ActionState, SubscriptionAction

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


def refused_by(provider: str, newest: Sequence[SubscriptionAction]) -> list[SubscriptionAction]:
    """Returns the actions that the provider rejected, wholly or in part, and that no later action
    repeats. Actions older than RECENT are left out, except the newest action. `newest`: the newest
    actions of the subscription, beginning with the newest.
    """
    since = datetime.now(UTC) - RECENT
    return [
        each
        for n, each in enumerate(newest)
        if each.state in REFUSED
        and each.error.provider == provider
        and (not n or each.create_time.ToDatetime(UTC) > since)
        and not any(_repeats(later, each) for later in newest[:n])
    ]


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
    return later.kind == refused.kind and bool({*_targets(later)} & {*_targets(refused)})


def _targets(action: SubscriptionAction) -> Iterator[object]:
    """Yields the targets of the action: its services, items or moves, or a single target, for
    example a usage record. Added items that differ only in their serial numbers are the same
    target, and so are services that differ only in their term ends. An action that only a newer
    version knows has no targets.
    """
    chosen = action.performed.WhichOneof("action")
    if not chosen:
        return
    asked: Any = getattr(action.performed, chosen)
    several = [part for field, parts in asked.ListFields() if lists_parts(field) for part in parts]
    for part in several:
        yield part if isinstance(part, str) else _named(part, SAME_PART[part.DESCRIPTOR.name])
    if not several:
        yield _named(asked, SAME_TARGET)


def lists_parts(field: FieldDescriptor) -> bool:
    """Tells whether the field is a list, and no map of parameters."""
    entry = field.message_type
    return field.is_repeated and not (entry and entry.GetOptions().map_entry)


def _named(message: Any, fields: Iterable[str]) -> tuple[object, ...]:
    return tuple(getattr(message, field, "") for field in fields)
