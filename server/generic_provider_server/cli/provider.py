"""`generic-provider provider` configures providers."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import click

from generic_provider import (
    Client,
    Distributor,
    InvalidField,
    Provider,
    ProviderNotFound,
    ProviderState,
    ProvisioningError,
    RequestMethod,
    ServiceKind,
)

from ..desk.output import Output, in_words, moment, say, say_folded
from .files.provider_file import OUTPUT_ONLY, read_provider, wrong_references
from .files.text import FILE
from .files.toml_writing import toml_of
from .remote import remote

MOST_NAMED = 20
NOT_CHECKED = (
    "The server has not checked these changes. Without --dry-run, the server refuses wrong values, "
    "and changes of distributors, services and goods that subscriptions use (PROVIDER_IN_USE)."
)
STATES = {"effective": "EFFECTIVE", "not-effective": "NOT_EFFECTIVE"}


@click.group()
def provider() -> None:
    """Configure providers: distributors, services and goods."""


@provider.command()
@click.argument("file", type=FILE)
@click.option(
    "--effective", is_flag=True, help="Also make the provider effective, so that it gets requests."
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show the changes, but do not make them. The server does not check them.",
)
@remote
def apply(client: Client, output: Output, *, file: Path, effective: bool, dry_run: bool) -> None:
    """Create or change the provider that FILE describes.

    FILE is TOML; `provider show --toml` writes such a file.
    """
    wanted = read_provider(file)
    if effective and not (wanted.distributors and wanted.services):
        raise click.ClickException(
            f"{wanted.code} cannot be made effective without a distributor and a service; "
            "nothing was done"
        )
    try:
        former = client.get_provider(wanted.code)
    except ProviderNotFound:
        former = None
    except InvalidField as error:
        raise _wrong_keys(file, error) from None
    if dry_run:
        _show_difference(output, file, former, wanted, effective=effective)
        return
    try:
        now, done = _written(client, former, wanted)
    except InvalidField as error:
        raise _wrong_keys(file, error) from None
    if effective:
        try:
            now = client.set_provider_state(now.code, state="EFFECTIVE")
        except ProvisioningError:
            say(f"{now.code} {done}, {_state(now)}", err=True)
            raise
    details = _changed(former, now) if former else _created(now)
    output.message(now, f"{now.code} {done}, {_state(now)}", *details)


def _wrong_keys(file: Path, error: InvalidField) -> click.ClickException:
    """Returns an error that names the wrong keys of the file. The refusal of a call that reads a
    provider has the field `provider` for the code.
    """
    wrong = [
        f"{'code' if each.field == 'provider' else each.field.removeprefix('provider.')}: "
        f"{each.description}"
        for each in error.violations
    ]
    return click.ClickException("\n".join([f"{file}:", *wrong]))


def _written(client: Client, former: Provider | None, wanted: Provider) -> tuple[Provider, str]:
    """Creates or updates the provider. Returns the provider, and a word for the change."""
    if former is None:
        return client.create_provider(wanted), "created"
    wanted.etag = former.etag
    now = client.update_provider(wanted)
    return now, "unchanged" if now.etag == former.etag else "updated"


def _show_difference(
    output: Output, file: Path, former: Provider | None, wanted: Provider, *, effective: bool
) -> None:
    """Prints the changes, and checks as much of them as is possible without the server."""
    complete = _complete(wanted)
    complete.state = former.state if former else ProviderState.NOT_EFFECTIVE
    if effective:
        complete.state = ProviderState.EFFECTIVE
    changed = _changed(former, complete)
    if wrong := [*wrong_references(wanted)]:
        raise click.ClickException("\n".join([f"{file}:", *wrong]))
    said = "created" if former is None else "updated" if changed else "unchanged"
    say(f"{wanted.code} would be {said}, {_state(complete)}", *changed, err=output.as_json)
    if output.as_json:
        output.message(complete)
    if changed:
        say_folded(NOT_CHECKED, err=True)


def _complete(wanted: Provider) -> Provider:
    """Returns a copy of the provider in which every field that is not set has its default value."""
    complete = Provider()
    for method in ("activation_method", "deactivation_method"):
        setattr(complete.request_settings, method, RequestMethod.PER_SERVICE)
    complete.delivery_settings.pending_window.FromTimedelta(timedelta(days=7))
    complete.delivery_settings.max_lease_time.FromTimedelta(timedelta(hours=1))
    complete.MergeFrom(wanted)
    for service in complete.services:
        service.kind = service.kind or ServiceKind.TERMED
    return complete


def _changed(former: Provider | None, now: Provider) -> list[str]:
    """Writes both providers as TOML, and returns the lines that differ: those of `former` begin
    with "-", those of `now` begin with "+".
    """
    before = toml_of(former, leave_out=OUTPUT_ONLY).splitlines() if former else []
    after = toml_of(now, leave_out=OUTPUT_ONLY).splitlines()
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _created(now: Provider) -> Iterator[str]:
    """Yields three lines, with the codes of the distributors, of the services, and of the goods
    types. An empty list has no line.
    """
    yield from _codes("distributors", [each.code for each in now.distributors])
    yield from _codes("services", [each.code for each in now.services])
    yield from _codes("goods", [each.goods_type for each in now.goods])


def _codes(what: str, codes: Sequence[str]) -> Iterator[str]:
    if codes:
        more = f" and {len(codes) - MOST_NAMED} more" if len(codes) > MOST_NAMED else ""
        yield f"  {what:<12}  {', '.join(codes[:MOST_NAMED])}{more}"


@provider.command("list")
@remote
def list_(client: Client, output: Output) -> None:
    """List all providers."""
    output.messages(
        client.list_providers(),
        {
            "code": lambda each: each.code,
            "name": lambda each: each.display_name,
            "state": _state,
            "distributors": lambda each: len(each.distributors),
            "services": lambda each: len(each.services),
            "changed": lambda each: moment(each, "update_time"),
            "by": lambda each: each.performed_by,
        },
    )


@provider.command()
@click.argument("code")
@click.option("--toml", is_flag=True, help="Print the file that `provider apply` reads.")
@remote
def show(client: Client, output: Output, *, code: str, toml: bool) -> None:
    """Show a provider."""
    found = client.get_provider(code)
    if toml:
        say(*toml_of(found, leave_out=OUTPUT_ONLY).rstrip("\n").split("\n"))
    else:
        output.message(found, *_shown(found))


MEANING = {
    "effective": "requests are created and handed over; changes made while the provider was not "
    "effective are sent by the next action on a subscription, or by a reset",
    "not-effective": "actions change the CRM only; no requests are created or handed over",
}


@provider.command("set-state")
@click.argument("code")
@click.argument("state", type=click.Choice([*STATES]), metavar="STATE")
@remote
def set_state(client: Client, output: Output, *, code: str, state: str) -> None:
    """Make a provider effective, or not effective.

    STATE is effective or not-effective. While a provider is not effective, actions change the CRM
    only: the service creates and hands over no requests for the provider. Once the provider is
    effective again, the next action on a subscription, or a reset, brings the platform to the state
    of the CRM.
    """
    found = client.set_provider_state(code, state=STATES[state])
    output.message(found, f"{found.code} {_state(found)}: {MEANING[state]}")


def _state(found: Provider) -> str:
    return ProviderState.name_of(found.state)


def _shown(found: Provider) -> list[str]:
    settings, delivery = found.request_settings, found.delivery_settings
    attempts = delivery.max_delivery_attempts or "unlimited"
    return [
        f"{found.code}  {found.display_name}  {_state(found)}  etag {found.etag}",
        f"  activation    {RequestMethod.name_of(settings.activation_method)}",
        f"  deactivation  {RequestMethod.name_of(settings.deactivation_method)}",
        f"  term ends     {'on the platform' if settings.term_end_on_platform else 'here'}",
        f"  window        {in_words(delivery.pending_window.ToTimedelta())}",
        f"  attempts      {attempts}",
        f"  lease at most {in_words(delivery.max_lease_time.ToTimedelta())}",
        "distributors",
        *[_distributor_line(each) for each in found.distributors],
        "services",
        *[
            _line(
                each.code,
                each.display_name,
                each.provider_service_id,
                f"requires {each.required_service}" if each.required_service else "",
            )
            for each in found.services
        ],
        "goods",
        *[f"  {each.goods_type} = {each.provider_goods_type}" for each in found.goods],
    ]


def _distributor_line(each: Distributor) -> str:
    facts = [each.code, each.display_name]
    if each.required_distributor:
        facts.append(f"requires {each.required_distributor}")
    if each.required_goods_types:
        facts.append(f"needs {', '.join(each.required_goods_types)}")
    if each.allowed_services:
        facts.append(f"offers {', '.join(each.allowed_services)}")
    if each.HasField("max_services"):
        facts.append(f"at most {each.max_services} services")
    return _line(*facts)


def _line(*facts: str) -> str:
    return "  " + "  ".join(filter(None, facts))
