"""`generic-provider reset` brings platforms to the state of the CRM."""

from __future__ import annotations

from typing import Any

import click

from generic_provider import (
    Client,
    ProviderState,
    ProvisioningRequest,
    RequestType,
    Subscription,
    SyncState,
)

from ..desk.other_owners import other_owners, with_owner
from ..desk.output import Output, say_folded
from ..desk.wording import about
from . import reset_run
from .finding import KEY, find
from .remote import remote


@click.group()
def reset() -> None:
    """Bring platforms to the state of the CRM."""


@reset.command()
@click.argument("key", metavar=KEY)
@click.option(
    "--provider",
    default="",
    help="Reset only the platform of this provider. Default: every effective provider.",
)
@click.option(
    "--preview",
    is_flag=True,
    help="Show the requests that a reset would create, and change nothing.",
)
@click.option(
    "--full",
    is_flag=True,
    help="Send all elements again, and remove all other elements that the platform may hold.",
)
@click.option(
    "--recreate",
    is_flag=True,
    help="Also create the account again. Use this option if the platform has lost the account.",
)
@click.option(
    "--request-id",
    default="",
    help="An id of your choice: a repeat with the same id creates nothing.",
)
@remote
def subscription(
    client: Client,
    output: Output,
    /,
    *,
    key: str,
    provider: str,
    preview: bool,
    **options: Any,
) -> None:
    """Reset one subscription. Sends its platforms the elements that they lack, and removes elements
    that they should not hold.
    """
    found = find(client, output, key)
    done = client.reset_subscription(
        found.number, provider=provider, validate_only=preview, **options
    )
    for code in done.providers_left_out:
        off = client.get_provider(code).state != ProviderState.EFFECTIVE
        why = (
            "it is not effective" if off else "an adapter works on requests for it: try again later"
        )
        say_folded(f"{code} is left out: {why}", err=True)
    if not output.as_json:
        say_folded(*_lines(client, found, provider, preview=preview, sent=len(done.requests)))
    if done.requests or output.as_json:
        output.messages(
            done.requests,
            {
                "request": lambda each: each.number or "(preview)",
                "provider": lambda each: each.provider,
                "type": lambda each: RequestType.name_of(each.type),
                "about": _about,
            },
        )


def _lines(
    client: Client, found: Subscription, provider: str, *, preview: bool, sent: int
) -> list[str]:
    """Returns lines with the differences that each platform had before the reset."""
    lines = [found.number]
    for link in found.provider_links:
        if provider in ("", link.provider):
            was = "" if preview else "was "
            lines.append(f"  {link.provider} {was}{SyncState.name_of(link.sync_state)}")
            owners = other_owners(client, link, subscription=found.number)
            lines += [f"    {with_owner(each, owners)}" for each in link.differences]
    verb = "would be sent" if preview else "sent"
    return [*lines, f"{sent or 'no'} request{'' if sent == 1 else 's'} {verb}"]


def _about(request: ProvisioningRequest) -> str:
    return about(request) or request.account.name


reset.add_command(reset_run.run)
