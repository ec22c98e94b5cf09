"""Builds the command line that performs an action again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider import ActionState, SubscriptionAction, SubscriptionState

from ..visible import visible
from .action_options import ACTIONS, message_fields
from .merging import PARTS, WHOLE
from .values import Entry, Named, Parts, kebab


def again(found: SubscriptionAction) -> Sequence[str]:
    """Returns the words of the command line. Returns no words if the options cannot express the
    action exactly, or if the output would show an escape instead of one of its characters. Also
    returns no words if the action has several services or items, and only some of them were
    rejected, because the command line would name all of them.
    """
    field = found.performed.WhichOneof("action") or ""
    name = kebab(field)
    if not field or name == "become-subscriber":
        return ()
    asked: Message = getattr(found.performed, field)
    several = any(each.is_repeated and len(value) > 1 for each, value in asked.ListFields())
    if several and found.state == ActionState.PARTLY_REJECTED:
        return ()
    words = ["--whole"] if name in PARTS else []
    for option in ACTIONS[name].options:
        if isinstance(option, click.Option):
            for word in dict.fromkeys(_words(option, asked)):
                words += [option.opts[0], word]
    if any(word != visible(word) for word in words):
        return ()
    command = "action", name, found.subscription, *words
    return command if _asked(name, words, kind=type(asked)) == asked else ()


def _asked(name: str, words: Sequence[str], *, kind: type[Message]) -> Message | None:
    """Returns the message that the command line would send; None if the command does not accept the
    options.
    """
    command = click.Command(name, params=[*ACTIONS[name].options, WHOLE])
    try:
        options = command.make_context(name, [*words]).params
    except click.UsageError:
        return None
    del options["whole"]
    return kind(**message_fields(options))


def _words(option: click.Option, asked: Message) -> Iterator[str]:
    for value in _values(asked, *(option.name or "").rstrip("_").split("__")):
        match option.type:
            case Parts():
                parts = [str(getattr(value, field, "")) for field in option.type.fields]
                if all(parts[option.type.optional :]):
                    yield ":".join(filter(None, parts))
            case Entry():
                yield "=".join(value)
            case Named():
                yield kebab(SubscriptionState.name_of(value))
            case _:
                yield value.ToJsonString() if isinstance(value, Timestamp) else str(value)


def _values(message: Any, first: str, *rest: str) -> Iterator[Any]:
    """Yields the values of the field `first`. If `rest` names a path below the field, yields the
    values at the end of the path. Unset fields have no values.
    """
    value = next((value for field, value in message.ListFields() if field.name == first), ())
    if isinstance(value, Mapping):
        value = value.items()
    elif not isinstance(value, Sequence) or isinstance(value, str):
        value = [value]
    for each in value:
        yield from _values(each, *rest) if rest else [each]
