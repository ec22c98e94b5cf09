"""`generic-provider events` shows the events of the service."""

from __future__ import annotations

from typing import Any

import click

from generic_provider import Client, CursorTooOld, CursorUnknown, EventKind

from ..desk.events import lines
from ..desk.output import Output, say
from .failures import words_of
from .listing import explain_nothing
from .remote import remote
from .values import Named, NamedOption

BEGINNING = "beginning"
ANEW = (
    "Begin with --from beginning. Then refresh your copies of all subscriptions, because events "
    "may be missing."
)


@click.group()
def events() -> None:
    """Show the events of the service, in their order."""


@events.command()
@click.option(
    "--from",
    "start",
    metavar="CURSOR",
    help="Begin after the event with this cursor. 'beginning' means the oldest stored event. "
    "Default: only new events.",
)
@click.option("--provider", default="", help="Show only events of this provider.")
@click.option(
    "--subscription", default="", help="Show only events of the subscription with this number."
)
@click.option(
    "--kind",
    "kinds",
    cls=NamedOption,
    type=Named(EventKind),
    multiple=True,
    help="Show only events of this kind.",
)
@remote
def tail(client: Client, output: Output, /, *, start: str | None, **filters: Any) -> None:
    """Follow events until Ctrl-C. After Ctrl-C, the cursor with which to continue is printed on
    standard error. With --json, each event has its cursor.
    """
    if start == "":
        raise click.UsageError("--from is empty; without --from, only new events are shown")
    beginning = start == BEGINNING
    cursor = "" if beginning else start or ""

    def heartbeat(reached: str) -> None:
        nonlocal cursor
        cursor = reached

    watched = client.watch_events(
        start_after=cursor, from_beginning=beginning, on_heartbeat=heartbeat, **filters
    )
    try:
        # Without this remark, nobody would notice a filter with a wrong name.
        explain_nothing(client, filters)
        for event in watched:
            output.message(event, *lines(event))
            cursor = event.cursor
    except (CursorTooOld, CursorUnknown) as error:
        raise click.ClickException(f"{words_of(error)}\n{ANEW}") from None
    except KeyboardInterrupt:
        if cursor:
            say(f"To go on: --from {cursor}", err=True)
