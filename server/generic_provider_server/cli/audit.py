"""`generic-provider audit` shows who did what, when, and with what outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click
import grpc

from generic_provider import AuditEntry, Client, ErrorReason

from ..desk.output import Output, moment, write_csv
from .listing import limit_option, page_size, within
from .remote import remote
from .values import INSTANT, kebab

CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
NAMES: Mapping[str, grpc.StatusCode] = {kebab(code.name): code for code in grpc.StatusCode}


def outcome(entry: AuditEntry) -> str:
    """Returns the reason if the call was refused, otherwise the name of the status."""
    if entry.reason:
        return ErrorReason.name_of(entry.reason)
    return CODES[entry.code].name if entry.code in CODES else str(entry.code)


COLUMNS: Mapping[str, Callable[[AuditEntry], object]] = {
    "time": lambda each: moment(each, "time"),
    "call": lambda each: each.method,
    "caller": lambda each: each.caller,
    "performed by": lambda each: each.performed_by,
    "provider": lambda each: each.provider,
    "subscription": lambda each: each.subscription,
    "about": lambda each: " ".join(filter(None, (each.resource, each.detail))),
    "outcome": outcome,
    "done": lambda each: each.done,
    "refused": lambda each: each.refused,
}
CSV_COLUMNS: Mapping[str, Callable[[AuditEntry], object]] = {
    "time": lambda each: each.time.ToJsonString(),
    "id": lambda each: each.id,
    "method": lambda each: each.method,
    "caller": lambda each: each.caller,
    "roles": lambda each: " ".join(each.roles),
    "peer": lambda each: each.peer,
    "performed_by": lambda each: each.performed_by,
    "provider": lambda each: each.provider,
    "subscription": lambda each: each.subscription,
    "resource": lambda each: each.resource,
    "detail": lambda each: each.detail,
    "code": lambda each: CODES[each.code].name if each.code in CODES else each.code,
    "reason": lambda each: ErrorReason.name_of(each.reason) if each.reason else "",
    "done": lambda each: each.done,
    "refused": lambda each: each.refused,
}


@click.group()
def audit() -> None:
    """Show who did what, when, to what, and with what outcome."""


@audit.command("list")
@click.option("--method", "methods", multiple=True, help="Calls of this RPC, like PerformAction.")
@click.option("--caller", default="", help="Calls of this proven caller, or of this address.")
@click.option("--performed-by", default="", help="Calls that name this person or system.")
@click.option("--provider", default="")
@click.option("--subscription", default="")
@click.option("--resource", default="", help="Calls about this action, request, run or archive.")
@click.option(
    "--code", "codes", type=click.Choice([*NAMES]), multiple=True, help="Calls that ended so."
)
@click.option("--refused", is_flag=True, help="Calls of which something was refused.")
@click.option("--time-from", type=INSTANT, help="Calls that began at or after this time.")
@click.option("--time-to", type=INSTANT, help="Calls that began before this time.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with every field.")
@limit_option
@remote
def list_(
    client: Client,
    output: Output,
    /,
    *,
    codes: tuple[str, ...],
    as_csv: bool,
    limit: int,
    **filters: Any,
) -> None:
    """List entries of the audit trail, newest first."""
    chosen = [NAMES[code] for code in codes]
    found = client.list_audit_entries(**filters, codes=chosen, page_size=page_size(limit))
    entries = within(limit, found)
    if as_csv:
        write_csv(CSV_COLUMNS, ([cell(each) for cell in CSV_COLUMNS.values()] for each in entries))
    else:
        output.messages(entries, COLUMNS)
