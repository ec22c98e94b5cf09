"""Completes a new holder or address with the present values of fields that no option names, unless
--whole is given.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click

from generic_provider import ActionNotFound, Address, Client, PerformActionRequest

PARTS = {"change-location": "address", "change-subscriber": "holder"}
"""The commands that replace a value of the subscription, with the name of the value."""

WHOLE = click.Option(
    ["--whole"],
    is_flag=True,
    help="Empty the fields that no option names. Without --whole, these fields do not change.",
)


def merge(
    client: Client, request: PerformActionRequest, *, command: str, whole: bool, request_id: str
) -> None:
    """If no option names a field of the new holder or address, gives the field its present value.

    The server refuses the request if the subscription changes in the meantime. `whole`: the fields
    that no option names stay empty. `request_id`: if an earlier call with this id has the same
    options, the request becomes equal to that call, so that the server recognises the repeat.
    """
    name = PARTS[command]
    change = getattr(request, command.replace("-", "_"))
    given: Any = getattr(change, name)
    if not given.ByteSize():
        raise click.UsageError("give at least one option with a new value")
    if whole:
        return
    earlier = _earlier(client, request_id)
    former = getattr(getattr(earlier, command.replace("-", "_")), name)
    if former.ByteSize() and _merged(former, given) == former:
        given.CopyFrom(former)
        revision = earlier.expected_revision
    else:
        present = client.get_subscription(request.subscription)
        given.CopyFrom(_merged(getattr(present, name), given))
        revision = present.revision
    if not request.HasField("expected_revision"):
        request.expected_revision = revision


def _earlier(client: Client, request_id: str) -> PerformActionRequest:
    """Returns the earlier call with this id; an empty message if there was none."""
    if request_id:
        with suppress(ActionNotFound):
            return client.get_action(request_id=request_id).performed
    return PerformActionRequest()


def _merged(present: Any, given: Any) -> Any:
    value = type(given)()
    value.CopyFrom(present)
    if isinstance(given, Address) and given.lines:
        del value.lines[:]
    value.MergeFrom(given)
    return value
