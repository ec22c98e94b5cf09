"""`generic-provider backlog` shows how many requests of a provider are pending."""

from __future__ import annotations

from collections.abc import Iterator

import click

from generic_provider import Client, GetBacklogResponse, RequestType

from ..desk.output import Output, json_line, moment, plain, say, show_table, span
from .remote import remote


@click.command()
@click.argument("provider", default="")
@remote
def backlog(client: Client, output: Output, *, provider: str) -> None:
    """Show how many requests of a provider are pending. Without PROVIDER, show all providers."""
    if provider:
        found = client.get_backlog(provider)
        output.message(found, *_lines(found))
        return
    every = {each.code: client.get_backlog(each.code) for each in client.list_providers()}
    if output.as_json:
        for code, found in every.items():
            say(json_line({"provider": code, **plain(found)}))
    else:
        show_table(COLUMNS, [_row(code, found) for code, found in every.items()])


COLUMNS = (
    *("provider", "pending", "on leases", "in retry", "blocked", "out of sync", "adapters"),
    *("set aside", "oldest", "created"),
)


def _row(code: str, found: GetBacklogResponse) -> Iterator[object]:
    yield from (code, found.pending, found.leased, found.waiting_for_retry)
    yield from (found.blocked_subscriptions, found.out_of_sync_subscriptions, found.adapters)
    yield len(found.set_aside)
    yield found.oldest.number
    yield moment(found.oldest, "create_time")


def _lines(found: GetBacklogResponse) -> Iterator[str]:
    yield f"pending                    {found.pending}"
    yield f"  on live leases           {found.leased}"
    for kind in found.by_type:
        yield f"  {RequestType.name_of(kind.type):<24} {kind.count}"
    for age in found.by_age:
        up_to = f"up to {span(age, 'up_to')} old" if age.HasField("up_to") else "older"
        yield f"  {up_to:<24} {age.count}"
    if found.HasField("oldest"):
        oldest = found.oldest
        yield f"oldest                     {oldest.number}, created {moment(oldest, 'create_time')}"
    yield f"subscriptions in retry     {found.waiting_for_retry}"
    yield f"subscriptions blocked      {found.blocked_subscriptions}"
    yield f"subscriptions out of sync  {found.out_of_sync_subscriptions}"
    yield f"adapters connected         {found.adapters}"
    for each in found.set_aside:
        yield (
            f"SET ASIDE from {each.duty}: subscription {each.subscription}, "
            f"failures: {each.failures}, next attempt: {moment(each, 'next_attempt_time')}, "
            f"error: {each.error}"
        )
