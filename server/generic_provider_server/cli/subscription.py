"""`generic-provider subscription` shows the states of subscriptions in the CRM and on the
platforms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from generic_provider import (
    Client,
    Subscription,
    SubscriptionNotFound,
    SubscriptionState,
    SyncState,
)

from ..desk.explaining import explained
from ..desk.former_items import former_requests, what_next, where_it_was
from ..desk.output import Output, moment, say_folded
from ..desk.wording import heading, item, service
from .again import again
from .finding import COLUMNS, KEY, find, search
from .listing import created_options, explain_nothing, limit_option, page_size, within
from .remote import remote
from .values import Named, NamedOption


@click.group()
def subscription() -> None:
    """Show subscriptions."""


@subscription.command("list")
@click.option("--provider", default="", help="Only subscriptions that are linked to this provider.")
@click.option("--type", default="", help="Only subscriptions of this type, e.g. DTH.")
@click.option(
    "--state",
    "states",
    cls=NamedOption,
    type=Named(SubscriptionState),
    multiple=True,
    help="Only subscriptions in this state.",
)
@click.option(
    "--sync-state",
    "sync_states",
    cls=NamedOption,
    type=Named(SyncState),
    multiple=True,
    help="Only subscriptions in this sync state.",
)
@click.option(
    "--item-serial", default="", help="Only subscriptions with this serial number on an item."
)
@click.option(
    "--account-number", default="", help="Only subscriptions with this account on a platform."
)
@click.option(
    "--holder-number", default="", help="Only subscriptions of the holder with this CRM account."
)
@created_options
@limit_option
@remote
def list_(client: Client, output: Output, /, *, limit: int, **filters: Any) -> None:
    """List subscriptions, in the order of their numbers."""
    found = client.list_subscriptions(**filters, page_size=page_size(limit))
    if not output.messages(within(limit, found), COLUMNS):
        explain_nothing(client, filters)


@subscription.command()
@click.argument("key", metavar=KEY)
@click.option("--include-former", is_flag=True, help="Also show swapped and removed services.")
@remote
def show(client: Client, output: Output, *, key: str, include_former: bool) -> None:
    """Show the state of a subscription in the CRM."""
    found = find(client, output, key, include_former=include_former)
    output.message(found, *_lines(found))


@subscription.command()
@click.argument("key", metavar=KEY)
@remote
def explain(client: Client, output: Output, *, key: str) -> None:
    """Explain the state of a subscription at its platforms. Also recommends the next step.

    If you give the serial number of an item that is on no subscription now, the command shows the
    former subscription of the item.
    """
    try:
        found = search(client, output, key)
    except SubscriptionNotFound:
        former = former_requests(client, key)
        for request in former:
            output.message(request, where_it_was(request, key))
        if not output.as_json:
            say_folded(what_next(former[0]))
    else:
        explained(client, found, again=again).show(output)


def _lines(found: Subscription) -> Iterator[str]:
    yield from heading(found)
    yield from (f"  item      {item(each)}" for each in found.items)
    yield from (f"  service   {service(each)}" for each in found.services)
    for usage in found.usages:
        what = f"{usage.distributor}:{usage.service} {usage.reference}"
        yield f"  usage     {what} until {moment(usage, 'end_time')}"
    for link in found.provider_links:
        state = SyncState.name_of(link.sync_state)
        yield f"  platform  {link.provider} account {link.account_number or '(none)'} {state}"
