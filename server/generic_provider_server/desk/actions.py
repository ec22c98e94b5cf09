"""Describes actions: their contents, their results, and the parts that were taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider import (
    ActionKind,
    ActionState,
    ErrorReason,
    PerformActionRequest,
    SubscriptionAction,
    SubscriptionState,
    Undone,
)

from .output import moment
from .wording import address, holder, item, parameters, service, usage

PARTS: Mapping[str, Callable[[Any], str]] = {
    "Account": holder,
    "Address": address,
    "InstalledItem": lambda item: (
        _place(item, item.goods_type, item.serial_number) + parameters(item.parameters)
    ),
    "ServiceSelection": lambda chosen: _place(chosen, chosen.service) + _term_end(chosen),
    "Move": lambda move: (
        f"{move.service or move.serial_number} from {move.from_distributor} to "
        f"{move.to_distributor}"
    ),
    "ExistingAccount": lambda account: f"{account.provider} {account.account_number}",
}


def kind(found: SubscriptionAction) -> str:
    return ActionKind.name_of(found.kind)


def state(found: SubscriptionAction) -> str:
    return ActionState.name_of(found.state)


def due(found: SubscriptionAction) -> str:
    """Returns the time of a scheduled action; empty for an action in another state."""
    scheduled = found.state == ActionState.SCHEDULED
    return moment(found.performed, "schedule_time") if scheduled else ""


def error(found: SubscriptionAction) -> str:
    if not found.HasField("error"):
        return ""
    error = found.error
    reason = ErrorReason.name_of(error.reason)
    code = "" if error.error_code == reason else error.error_code
    return " ".join(filter(None, (reason, code, error.error_description)))


def asked(performed: PerformActionRequest) -> str:
    """Describes the contents of the action; empty if it has no contents."""
    chosen = performed.WhichOneof("action")
    if not chosen:
        return ""
    return "; ".join(
        [
            f"{field.name.replace('_', ' ')} {_value(field, value)}"
            for field, value in getattr(performed, chosen).ListFields()
        ]
    )


def part_taken_back(part: Undone) -> str:
    ends = "is gone" if part.gone else "is back"
    match part.WhichOneof("part"):
        case "service":
            return f"service {service(part.service)}" + (" (is gone)" if part.gone else " again")
        case "item":
            return f"item {item(part.item)} {ends}"
        case "usage":
            return f"usage {usage(part.usage)} {ends}"
        case "holder":
            return f"the holder is again: {holder(part.holder)}"
        case "address":
            return f"the address is again: {address(part.address)}"
        case "state":
            return f"the state is again {SubscriptionState.name_of(part.state)}"
        case "link":
            return f"{part.provider} does not serve the subscription"
        case None:
            return ""


def outcome(found: SubscriptionAction) -> Iterator[tuple[str, str]]:
    """Yields the contents of the action and its result, as pairs of a name and a text."""
    if text := asked(found.performed):
        yield "asked", text
    if text := error(found):
        yield "error", f"{text} ({found.error.request})" if found.error.request else text
    for part in found.taken_back:
        yield "taken back", part_taken_back(part)


def in_brief(found: SubscriptionAction) -> str:
    """Returns one line with the id, the time, the kind and the state of the action, who performed
    it, and its `reference` if it has one.
    """
    return f"{found.id} {moment(found, 'create_time')} {what_and_who(found)}: {state(found)}"


def what_and_who(found: SubscriptionAction) -> str:
    who = found.performed.performed_by or found.caller or "the service"
    order = f" for {found.performed.reference}" if found.performed.reference else ""
    return f"{kind(found)} by {who}{order}"


def _value(field: FieldDescriptor, value: Any) -> str:
    if field.message_type and field.message_type.GetOptions().map_entry:
        return parameters(value).strip()
    return ", ".join([_one(field, each) for each in (value if field.is_repeated else [value])])


def _one(field: FieldDescriptor, value: Any) -> str:
    if field.enum_type:
        return SubscriptionState.name_of(value)
    if isinstance(value, Timestamp):
        return f"{value.ToDatetime():%Y-%m-%d %H:%M:%SZ}"
    return PARTS[field.message_type.name](value) if field.message_type else str(value)


def _place(found: Any, *names: str) -> str:
    return ":".join(filter(None, (found.provider, found.distributor, *names)))


def _term_end(found: Any) -> str:
    return f" until {moment(found, 'term_end')}" if found.HasField("term_end") else ""
