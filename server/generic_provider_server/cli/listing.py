"""Defines options that several lists share, and limits the number of printed results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

import click

from generic_provider import Client, ProviderNotFound, ProvisioningError, SubscriptionNotFound

from ..desk.archived import archives_with, more_in
from ..desk.command_lines import advised
from ..desk.output import say, say_folded
from .unknown_names import names_suggested
from .values import INSTANT, MOST_INT32

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])
LARGEST_PAGE = 1000


def limit_option(command: F) -> F:
    return click.option(
        "--limit",
        type=click.IntRange(0, MOST_INT32),
        default=100,
        show_default=True,
        help="The greatest number of results; 0 shows all.",
    )(command)


def created_options(command: F) -> F:
    since = click.option(
        "--created-from",
        type=INSTANT,
        help="List only objects that were created at or after this time.",
    )
    until = click.option(
        "--created-to", type=INSTANT, help="List only objects that were created before this time."
    )
    return since(until(command))


def page_size(limit: int) -> int:
    """Returns the size of a page: the limit plus one, so that the page shows whether the list has
    more items; at most LARGEST_PAGE. A limit of 0 means no limit.
    """
    return min(limit + 1, LARGEST_PAGE) if limit else LARGEST_PAGE


def within(limit: int, found: Iterable[T]) -> Iterator[T]:
    """Yields the first `limit` items of the list, or all items if `limit` is 0. Prints a remark if
    the list has more items.
    """
    every = iter(found)
    if not limit:
        yield from every
        return
    yield from islice(every, limit)
    if next(every, None) is not None:
        say(f"There are more results than these {limit}: use a greater --limit.", err=True)


def explain_nothing(client: Client, filters: Mapping[str, Any]) -> None:
    """Prints on standard error why these filters of a list or a stream find nothing: because there
    is no such provider, or no subscription with this number.
    """
    if provider := filters.get("provider"):
        _explain_provider(client, provider)
    if subscription := filters.get("subscription"):
        _explain_subscription(client, subscription)


def _explain_provider(client: Client, provider: str) -> None:
    try:
        with names_suggested(client):
            client.get_provider(provider)
    except ProviderNotFound as error:
        say_folded(error.message, err=True)
    except ProvisioningError:
        return


def _explain_subscription(client: Client, subscription: str) -> None:
    """Prints how to find the number, because a card or an account may be meant."""
    try:
        client.get_subscription(subscription)
    except SubscriptionNotFound:
        said = f"no subscription has the number {subscription}"
        purpose = f"{said}; if it is a card or an account, this shows its subscription"
        find = advised(purpose, "subscription", "explain", subscription)
        say_folded(find, err=True)
    except ProvisioningError:
        return


def add_remarks(client: Client, filters: Mapping[str, Any], *, found: bool) -> None:
    """Prints on standard error what a list cannot show: why the list is empty, and which archives
    contain older requests of the subscription. `found`: whether the list has a line.
    """
    if not found:
        explain_nothing(client, filters)
    subscription = filters["subscription"]
    if subscription and (archives := archives_with(client, subscription)):
        say(more_in(archives), err=True)
