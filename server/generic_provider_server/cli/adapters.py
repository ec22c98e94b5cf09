"""`generic-provider adapters` lists connected adapters."""

from __future__ import annotations

import click

from generic_provider import Client

from ..desk.output import Output, moment, span
from .listing import explain_nothing
from .remote import remote


@click.command()
@click.option("--provider", default="", help="List only adapters of this provider.")
@remote
def adapters(client: Client, output: Output, *, provider: str) -> None:
    """List the adapters that are connected to any server process."""
    found = output.messages(
        client.list_adapters(provider=provider),
        {
            "provider": lambda each: each.provider,
            "adapter": lambda each: each.adapter,
            "version": lambda each: each.version,
            "address": lambda each: each.peer,
            "in flight": lambda each: f"{each.in_flight} of {each.max_in_flight}",
            "oldest lease": lambda each: span(each, "oldest_lease_age"),
            "connected": lambda each: moment(each, "connect_time"),
            "last heard": lambda each: moment(each, "last_heard_time"),
        },
    )
    if not found:
        explain_nothing(client, {"provider": provider})
