"""`generic-provider reset run define` defines which subscriptions are reset, how, and when.

The other commands of this module change a definition, stop its schedule, and delete it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from generic_provider import (
    Client,
    DifferenceKind,
    PermissionDenied,
    ProvisioningError,
    ResetRunDefinition,
    ResetRunDefinitionState,
    ResetRunState,
)

from ..desk.command_lines import command
from ..desk.output import Output, moment, say, say_folded
from ..desk.resets import unknown_lines
from .files.text import FILE, Text
from .remote import remote
from .values import INSTANT, MOST_UINT32, Id, Named, NamedOption, Number

Command = TypeVar("Command", bound=Callable[..., Any])
OPEN = ("HELD", "RUNNING")
MOST_CHECKED = 1000
"""A list of more subscriptions than this number is not checked again when its definition is
submitted.
"""


def _many(name: str, field: str, text: str, kind: Any = str) -> Any:
    words = f"{text} May be repeated."
    return click.option(name, field, cls=NamedOption, type=kind, multiple=True, help=words)


def _name(default: str | None) -> Callable[[Command], Command]:
    words = "A name that helps people to recognise the run."
    return click.option("--name", default=default, show_default=True, help=words)


def _time_zone(default: str | None) -> Callable[[Command], Command]:
    words = "The time zone of --cron."
    return click.option("--time-zone", default=default, show_default=True, help=words)


FIELDS = (
    click.option(
        "--created-from", type=INSTANT, help="Only subscriptions created at or after this time."
    ),
    click.option("--created-to", type=INSTANT, help="Only subscriptions created before this time."),
    _many("--type", "subscription_types", "Only subscriptions of this type."),
    _many("--subscription", "subscriptions", "Only this subscription."),
    click.option(
        "--subscriptions-file",
        type=FILE,
        help="Only the subscriptions in this file, one on each line.",
    ),
    _many(
        "--difference",
        "difference_kinds",
        "Only subscriptions with a difference of this kind.",
        Named(DifferenceKind),
    ),
    _many("--service", "services", "Only subscriptions with a difference of this service."),
    _many(
        "--distributor", "distributors", "Only subscriptions with a difference at this distributor."
    ),
    _many("--error-code", "error_codes", "Only subscriptions whose last error has this code."),
    click.option(
        "--first",
        type=click.IntRange(1, MOST_UINT32),
        help="Reset at most this number of subscriptions.",
    ),
    click.option(
        "--full",
        is_flag=True,
        help="Send all elements again, and remove all other elements that the platform may hold.",
    ),
    click.option(
        "--recreate",
        is_flag=True,
        help="Also create the accounts again. Use this option if the platform has lost accounts.",
    ),
    click.option(
        "--restored-to", type=INSTANT, help="The time to which the platform was restored."
    ),
    click.option(
        "--max-switch-off-percent",
        type=Number(0, 100),
        help="Hold the run if it would take an entitlement from more than this percentage of the "
        "subscriptions that hold one (default: 10; 0: never hold). If fewer than 100 subscriptions "
        "hold an entitlement, the run continues.",
    ),
    click.option(
        "--pace",
        type=click.IntRange(1, MOST_UINT32),
        help="Reset at most this many subscriptions in a second.",
    ),
    click.option("--at", type=INSTANT, help="Run once at this time."),
    click.option("--cron", help="Run at the times of this expression, for example '30 4 * * MON'."),
)


CLEARED = {
    "created-from": "created_from",
    "created-to": "created_to",
    "type": "subscription_types",
    "subscription": "subscriptions",
    "subscriptions-file": "subscriptions",
    "difference": "difference_kinds",
    "service": "services",
    "distributor": "distributors",
    "error-code": "error_codes",
    "first": "first",
    "full": "full",
    "recreate": "recreate",
    "restored-to": "platform_restored_to",
    "max-switch-off-percent": "max_switch_off_percent",
    "pace": "subscriptions_per_second",
    "at": "run_at",
    "cron": "cron",
}
"""The options that `edit --clear` may name, each with the field that it fills."""


def _fields(command: Any) -> Any:
    for option in reversed(FIELDS):
        command = option(command)
    return command


@click.command()
@click.option("--provider", required=True, help="The provider whose platform is reset.")
@_name("reset")
@_fields
@_time_zone("UTC")
@remote
def define(client: Client, output: Output, /, **fields: Any) -> None:
    """Define a run. No run begins before the definition is submitted."""
    made = client.create_reset_run_definition(_definition(**fields))
    preview = command("reset", "run", "preview", made.id)
    output.message(made, f"{made.id} {made.name}: see {preview}")


@click.command()
@click.argument("definition", type=Id("D"), metavar="DEFINITION")
@_name(None)
@_fields
@_time_zone(None)
@click.option(
    "--clear",
    "cleared",
    type=click.Choice(list(CLEARED)),
    multiple=True,
    metavar="OPTION",
    help="Remove the value of an option above, for example --clear cron. May be repeated. "
    "A name and a time zone cannot be removed.",
)
@remote
def edit(
    client: Client, output: Output, /, *, definition: str, cleared: tuple[str, ...], **fields: Any
) -> None:
    """Change a definition. The given options replace its values, and all other values stay.

    After a change, no run begins until the definition is submitted again. A run that has begun
    continues.
    """
    changed = _definition(**fields)
    replaced = [field.name for field, _ in changed.ListFields()]
    replaced += [name for name in ("name", "time_zone") if fields[name] == ""]
    if not replaced and not cleared:
        raise click.UsageError("give the options to change, or --clear OPTION")
    for each in cleared:
        if CLEARED[each] in replaced:
            raise click.UsageError(f"give either --clear {each} or a new value")
    wanted: Any = client.get_reset_run_definition(definition)
    for name in (*replaced, *(CLEARED[each] for each in cleared)):
        wanted.ClearField(name)
    wanted.MergeFrom(changed)
    done = client.update_reset_run_definition(wanted)
    what = "unchanged" if done.etag == wanted.etag else "changed"
    output.message(done, f"{done.id} {done.name} {what}: {_next_run(done)}")
    _say_open_runs(client, definition)


@click.command("set-state")
@click.argument("definition", type=Id("D"), metavar="DEFINITION")
@click.argument("state", type=Named(ResetRunDefinitionState), metavar="STATE")
@remote
def set_state(client: Client, output: Output, /, *, definition: str, state: str) -> None:
    """Make a definition effective, or not effective.

    STATE is effective or not-effective. While a definition is not effective, no run of it begins:
    its schedule is stopped. A run that has begun continues.
    """
    done = client.set_reset_run_definition_state(definition, state=state)
    output.message(done, f"{done.id} {done.name} {state}: {_next_run(done)}")
    _say_open_runs(client, definition)


def say_unknown_names(client: Client, definition: ResetRunDefinition) -> None:
    """Prints the services and distributors that the definition names, but the provider does not
    have: they were removed from the provider, or an earlier release did not check them.
    """
    with suppress(PermissionDenied):
        provider = client.get_provider(definition.provider)
        for noun, named, known in (
            ("service", definition.services, provider.services),
            ("distributor", definition.distributors, provider.distributors),
        ):
            for code in sorted({*named} - {each.code for each in known}):
                say(f"note: {provider.code} has no {noun} {code!r} now", err=True)


def say_unknown_subscriptions(client: Client, definition: ResetRunDefinition) -> None:
    """Prints which of the listed subscriptions a run cannot find. To find out, previews a
    definition that contains only this list, so that the service examines no other subscriptions.
    Does nothing for more than MOST_CHECKED subscriptions.
    """
    listed = definition.subscriptions
    if 0 < len(listed) <= MOST_CHECKED:
        only = ResetRunDefinition(name="listed", provider=definition.provider, subscriptions=listed)
        with suppress(ProvisioningError):  # the run has begun, whatever the answer is
            totals = client.preview_reset_run(only, page_size=1).totals
            say_folded(*unknown_lines(totals), err=True)


def _say_open_runs(client: Client, definition: str) -> None:
    for run in client.list_reset_runs(definition=definition, states=OPEN):
        cancel = command("reset", "run", "cancel", run.id)
        state = ResetRunState.name_of(run.state)
        say_folded(f"{run.id} is still {state}; to end it: {cancel}", err=True)


def _next_run(definition: ResetRunDefinition) -> str:
    if definition.state == ResetRunDefinitionState.NOT_EFFECTIVE:
        return "no run of it begins"
    if due := moment(definition, "next_run_time"):
        return f"it runs next at {due}"
    return f"no run is due; to submit it: {command('reset', 'run', 'submit', definition.id)}"


@click.command()
@click.argument("definition", type=Id("D"), metavar="DEFINITION")
@remote
def delete(client: Client, output: Output, /, *, definition: str) -> None:
    """Delete a definition that never had a run."""
    client.delete_reset_run_definition(definition)
    if not output.as_json:
        say(f"{definition} deleted")


def _definition(
    *,
    subscriptions_file: Path | None,
    subscriptions: tuple[str, ...],
    difference_kinds: tuple[str, ...],
    restored_to: datetime | None,
    pace: int | None,
    at: datetime | None,
    cron: str | None,
    **fields: Any,
) -> ResetRunDefinition:
    if at and cron:
        raise click.UsageError("--at and --cron do not go together")
    if at and at < datetime.now(UTC):
        raise click.UsageError(
            f"--at {at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ} is in the past; without --at, "
            "the run begins when the definition is submitted"
        )
    given = {name: value for name, value in fields.items() if value is not None}
    definition = ResetRunDefinition(
        **given,
        subscriptions=[*subscriptions, *_lines(subscriptions_file)],
        difference_kinds=[DifferenceKind.value_of(kind) for kind in difference_kinds],
    )
    if pace:
        definition.subscriptions_per_second = pace
    if cron is not None:
        definition.cron = cron
    for field, value in (("run_at", at), ("platform_restored_to", restored_to)):
        if value:
            getattr(definition, field).FromDatetime(value)
    return definition


def _lines(file: Path | None) -> list[str]:
    if file is None:
        return []
    with Text(file) as text:
        lines = [*filter(None, map(str.strip, text.whole().split("\n")))]
    if not lines:
        raise click.UsageError(f"{file} names no subscription")
    return lines
