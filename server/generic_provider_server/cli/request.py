"""`generic-provider request` shows and changes provisioning requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from generic_provider import (
    Client,
    ProvisionedService,
    ProvisioningRequest,
    RequestOrigin,
    RequestState,
    RequestType,
    ResponseStatus,
)

from ..desk.output import Output, moment
from ..desk.wording import about, address, error, holder, item, trouble, usage, waits
from .listing import add_remarks, created_options, explain_nothing, limit_option, page_size, within
from .remote import remote
from .request_tail import changes
from .values import INSTANT, MOST_INT32, Id, Named, NamedOption, Seconds

F = TypeVar("F", bound=Callable[..., None])
FILTERS = (
    click.option("--provider", default="", help="Only requests to this provider."),
    click.option(
        "--subscription", default="", help="Only requests of the subscription with this number."
    ),
    click.option(
        "--account-number", default="", help="Only requests of this account on a platform."
    ),
    click.option(
        "--type",
        "types",
        cls=NamedOption,
        type=Named(RequestType),
        multiple=True,
        help="Only requests of this type.",
    ),
    click.option(
        "--state",
        "states",
        cls=NamedOption,
        type=Named(RequestState),
        multiple=True,
        help="Only requests in this state.",
    ),
    click.option(
        "--origin",
        "origins",
        cls=NamedOption,
        type=Named(RequestOrigin),
        multiple=True,
        help="Only requests with this origin.",
    ),
    click.option("--action", type=Id("A"), default="", help="Only requests of this action."),
    click.option("--reset-run", type=Id("U"), default="", help="Only requests of this reset run."),
    click.option("--reference", default="", help="Only requests of actions with this reference."),
    click.option(
        "--adapter",
        "last_adapter",
        default="",
        help="Only requests whose last hand-over was to this adapter.",
    ),
    click.option("--error-code", default="", help="Only requests with this error code."),
    click.option(
        "--item-serial", default="", help="Only requests that contain this serial number."
    ),
)
PERFORMED_BY = click.option(
    "--performed-by", default="", help="The name of the person. Default: the user of this machine."
)
END_LEASE = click.option(
    "--end-lease",
    is_flag=True,
    help="If an adapter has the request on a lease, end this lease first.",
)
REASON = click.option(
    "--reason", required=True, help="The reason, which is stored with the request."
)


def filter_options(command: F) -> F:
    for option in reversed(FILTERS):
        command = option(command)
    return command


@click.group()
def request() -> None:
    """Show requests, and end requests that cannot be applied."""


@request.command("list")
@filter_options
@created_options
@click.option(
    "--settled-from",
    type=INSTANT,
    help="List requests that reached a final state at or after this time.",
)
@click.option(
    "--settled-to", type=INSTANT, help="List requests that reached a final state before this time."
)
@click.option("--oldest-first", is_flag=True, help="List the oldest requests first.")
@limit_option
@remote
def list_(client: Client, output: Output, /, *, limit: int, **filters: Any) -> None:
    """List requests, newest first."""
    found = output.messages(
        within(limit, client.list_requests(**filters, page_size=page_size(limit))),
        {
            "request": lambda each: each.number,
            "created": lambda each: moment(each, "create_time"),
            "provider": lambda each: each.provider,
            "subscription": lambda each: each.subscription,
            "type": lambda each: RequestType.name_of(each.type),
            "about": about,
            "state": lambda each: RequestState.name_of(each.state),
            "waits for": waits,
            "attempts": lambda each: each.delivery_attempts,
            "error": trouble,
        },
    )
    add_remarks(client, filters, found=found)


@request.command()
@click.argument("number", type=Id("R"), metavar="REQUEST")
@remote
def show(client: Client, output: Output, *, number: str) -> None:
    """Show a request."""
    found = client.get_request(number)
    output.message(found, *_lines(found))


@request.command()
@click.argument("number", type=Id("R"), metavar="REQUEST")
@REASON
@END_LEASE
@PERFORMED_BY
@remote
def cancel(client: Client, output: Output, /, *, number: str, **options: Any) -> None:
    """Reject a pending request in your name. If an action created the request, the change that the
    request carries is taken back in the CRM.
    """
    done = client.cancel_request(number, **options)
    output.message(done, _settled(done))


@request.command()
@click.argument("number", type=Id("R"), metavar="REQUEST")
@click.argument("status", type=Named(ResponseStatus, only=("ACCEPTED", "REJECTED")))
@REASON
@click.option("--error-code", default="", help="The platform's error code, for REJECTED.")
@click.option(
    "--account-number", default="", help="The platform's account number, for a new subscriber."
)
@END_LEASE
@PERFORMED_BY
@remote
def resolve(client: Client, output: Output, /, *, number: str, **options: Any) -> None:
    """Answer a request in the name of the platform. Check the platform first.

    The command works only for the first pending request of a subscription at a provider.
    """
    done = client.resolve_request(number, **options)
    output.message(done, _settled(done))


@request.command()
@filter_options
@click.option(
    "--last",
    type=click.IntRange(0, MOST_INT32),
    default=10,
    show_default=True,
    help="The number of existing requests to print first: the newest requests.",
)
@click.option(
    "--interval",
    type=Seconds(),
    default=1,
    show_default=True,
    help="The number of seconds between two calls to the server.",
)
@remote
def tail(client: Client, output: Output, /, *, last: int, interval: float, **filters: Any) -> None:
    """Follow requests: print each new or changed request, until Ctrl-C."""
    try:
        # Without this remark, nobody would notice a filter with a wrong name.
        explain_nothing(client, filters)
        for each in changes(client, filters, last=last, interval=interval):
            output.message(each, _tail_line(each))
    except KeyboardInterrupt:
        return


def _lines(found: ProvisioningRequest) -> Iterator[str]:
    name = RequestType.name_of(found.type)
    yield f"{found.number} {name} {about(found)}".rstrip()
    facts = {
        "state": RequestState.name_of(found.state),
        "waits for": waits(found),
        "provider": found.provider,
        "subscription": found.subscription,
        "account": found.account_number,
        "origin": RequestOrigin.name_of(found.origin),
        "action": found.action,
        "reset run": found.reset_run,
        "reference": found.reference,
        "performed by": found.performed_by,
        "holder": holder(found.account),
        "address": address(found.address),
        "items": ", ".join(map(item, found.installed_items)),
        "platform id": ", ".join([each.provider_service_id for each in _services(found)]),
        "for": ", ".join([item(each) for service in _services(found) for each in service.items]),
        "usage": usage(found.usage) if found.HasField("usage") else "",
        "created": moment(found, "create_time"),
        "settled": moment(found, "settle_time"),
        "error": trouble(found),
        "platform's no.": found.reference_number,
        "attempts": found.delivery_attempts,
        "last adapter": found.last_adapter,
        "handed over": moment(found, "last_delivery_time"),
    }
    yield from (f"  {name:<14} {fact}" for name, fact in facts.items() if fact)


def _services(found: ProvisioningRequest) -> list[ProvisionedService]:
    return [found.service] if found.HasField("service") else [*found.services]


def _settled(done: ProvisioningRequest) -> str:
    return f"{done.number} {RequestState.name_of(done.state)} {error(done)}".rstrip()


def _tail_line(each: ProvisioningRequest) -> str:
    time = moment(each, "settle_time") or moment(each, "last_delivery_time")
    facts = (
        time or moment(each, "create_time"),
        each.number,
        each.provider,
        each.subscription,
        RequestType.name_of(each.type),
        about(each),
        RequestState.name_of(each.state),
        waits(each),
        trouble(each),
    )
    return "  ".join(filter(None, facts))
