"""`generic-provider audit` shows the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
import grpc

from generic_provider import AuditEntry, Client, ErrorReason

from ..desk.output import Output, json_line, moment, plain, say, write_csv
from .listing import LARGEST_PAGE, explain_nothing, limit_option, page_size, within
from .remote import remote
from .values import INSTANT, Named

CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
STATUSES = [code.name for code in grpc.StatusCode]
REASONS = [name for name in vars(ErrorReason) if name.isupper() and name not in STATUSES]
"""The reasons, without the reasons that have the same name as their status."""


def outcome(entry: AuditEntry) -> str:
    """Returns the reason if the call was refused, otherwise the name of the status."""
    return ErrorReason.name_of(entry.reason) if entry.reason else code(entry)


def code(entry: AuditEntry) -> str:
    return CODES[entry.code].name if entry.code in CODES else str(entry.code)


def _counts(entry: AuditEntry) -> str:
    """Returns how many elements of a batch, or how many calls that are counted together, were done
    and refused. Returns an empty text if the entry counts only one element or one call, because the
    column `outcome` describes a single element or call completely.
    """
    if entry.done + entry.refused <= 1 and (entry.code or not entry.refused):
        return ""
    counts = {"done": entry.done, "refused": entry.refused}
    return f" ({', '.join([f'{count} {what}' for what, count in counts.items() if count])})"


COLUMNS: Mapping[str, Callable[[AuditEntry], object]] = {
    "time": lambda each: moment(each, "time"),
    "call": lambda each: each.method,
    "caller": lambda each: each.caller,
    "performed by": lambda each: each.performed_by,
    "provider": lambda each: each.provider,
    "subscription": lambda each: each.subscription,
    "outcome": lambda each: f"{outcome(each)}{_counts(each)}",
    "about": lambda each: " ".join(filter(None, (each.resource, each.detail))),
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
    "code": code,
    "reason": lambda each: ErrorReason.name_of(each.reason) if each.reason else "",
    "done": lambda each: each.done,
    "refused": lambda each: each.refused,
}


@click.group()
def audit() -> None:
    """Show who changed which object, when, and the outcome."""


@audit.command("list")
@click.option(
    "--method", "methods", multiple=True, help="Only calls of this RPC, like PerformAction."
)
@click.option("--caller", default="", help="Only calls of this proven caller, or of this address.")
@click.option("--performed-by", default="", help="Only calls that name this person or system.")
@click.option("--provider", default="", help="Only calls about this provider.")
@click.option(
    "--subscription", default="", help="Only calls about the subscription with this number."
)
@click.option(
    "--resource", default="", help="Only calls about this action, request, run or archive."
)
@click.option(
    "--code",
    "codes",
    type=Named(only=[*STATUSES, *REASONS]),
    multiple=True,
    metavar="CODE",
    help="Only calls with this status, for example FAILED_PRECONDITION, or with this reason of "
    "the refusal, for example ITEM_IN_USE.",
)
@click.option("--refused", is_flag=True, help="Only calls that were refused as a whole or in part.")
@click.option("--time-from", type=INSTANT, help="Only calls that began at or after this time.")
@click.option("--time-to", type=INSTANT, help="Only calls that began before this time.")
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
    found = _with_code(codes, client, filters, limit=limit)
    entries = within(limit, found)
    if as_csv:
        write_csv(CSV_COLUMNS, ([cell(each) for cell in CSV_COLUMNS.values()] for each in entries))
    elif output.as_json:
        for each in entries:
            say(json_line({**plain(each), "code": code(each)}))
    elif not output.messages(entries, COLUMNS):
        explain_nothing(client, filters)


def _with_code(
    codes: tuple[str, ...], client: Client, filters: Mapping[str, Any], *, limit: int
) -> Iterable[AuditEntry]:
    """Returns the entries whose status or reason is in `codes`, or all entries if `codes` is empty.

    The server has a filter for statuses and for refused calls, but not for reasons. So if `codes`
    contains a reason, this function reads the entries of all refused calls (if `codes` also
    contains OK, of all calls), and leaves out the entries with other statuses and reasons.
    """
    if not set(codes) & set(REASONS):
        statuses = [grpc.StatusCode[name] for name in codes]
        return client.list_audit_entries(**filters, codes=statuses, page_size=page_size(limit))
    if "OK" not in codes:
        filters = {**filters, "refused": True}
    found = client.list_audit_entries(**filters, page_size=LARGEST_PAGE)
    return (each for each in found if code(each) in codes or outcome(each) in codes)
