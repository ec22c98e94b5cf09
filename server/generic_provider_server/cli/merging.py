"""Completes a new holder or address with the present values of fields that no option names, unless
--whole is given.
"""

from __future__ import annotations

from typing import Any

import click

from generic_provider import Address, Client, PerformActionRequest

PARTS = {"change-location": "address", "change-subscriber": "holder"}
"""The commands that replace a value of the subscription, with the name of the value."""

WHOLE = click.Option(
    ["--whole"],
    is_flag=True,
    help="Empty the fields that no option names. Without --whole, these fields do not change.",
)


def merge(client: Client, request: PerformActionRequest, *, command: str, whole: bool) -> None:
    """If no option names a field of the new holder or address, gives the field its present value.

    The server refuses the request if the subscription changes in the meantime. `whole`: the fields
    that no option names stay empty.
    """
    name = PARTS[command]
    change = getattr(request, command.replace("-", "_"))
    given: Any = getattr(change, name)
    if not given.ByteSize():
        raise click.UsageError("give at least one option with a new value")
    if whole:
        return
    present = client.get_subscription(request.subscription)
    value: Any = type(given)()
    value.CopyFrom(getattr(present, name))
    if isinstance(given, Address) and given.lines:
        del value.lines[:]
    value.MergeFrom(given)
    given.CopyFrom(value)
    if not request.HasField("expected_revision"):
        request.expected_revision = present.revision
