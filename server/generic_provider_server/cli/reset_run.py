"""`generic-provider reset run` resets many subscriptions to the state of the CRM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import click

from generic_provider import (
    Client,
    DifferenceKind,
    EntryOutcome,
    ListResetRunEntriesResponse,
    PreviewResetRunResponse,
    ResetRun,
    ResetRunDefinition,
    ResetRunDefinitionState,
    ResetRunState,
)

from ..desk.command_lines import command
from ..desk.output import Output, moment, say_folded, show_table, write_csv
from ..desk.resets import counts, definition_lines, preview_lines, run_lines
from .listing import explain_nothing, limit_option, page_size, within
from .remote import remote
from .reset_definition import (
    define,
    delete,
    edit,
    say_unknown_names,
    say_unknown_subscriptions,
    set_state,
)
from .reset_run_progress import show_progress
from .values import Id, Named, NamedOption

PLACE = ("distributor", "service", "provider_service_id", "serial_number", "text")
"""The fields of a difference that are columns in CSV."""


def _schedule(definition: ResetRunDefinition) -> str:
    """Returns the cron expression or the time of the run. A cron expression has its time zone,
    because all other times in the table are in UTC.
    """
    if not definition.cron or definition.time_zone == "UTC":
        return definition.cron or moment(definition, "run_at")
    return f"{definition.cron} {definition.time_zone}"


DEFINITION_COLUMNS: Mapping[str, Callable[[ResetRunDefinition], object]] = {
    "definition": lambda each: each.id,
    "name": lambda each: each.name,
    "provider": lambda each: each.provider,
    "state": lambda each: ResetRunDefinitionState.name_of(each.state),
    "schedule": _schedule,
    "next run": lambda each: moment(each, "next_run_time"),
    "hold": lambda each: "yes" if each.hold else "",
    "version": lambda each: each.version,
}
RUN_COLUMNS: Mapping[str, Callable[[ResetRun], object]] = {
    "run": lambda each: each.id,
    "name": lambda each: each.definition.name,
    "provider": lambda each: each.definition.provider,
    "state": lambda each: ResetRunState.name_of(each.state),
    "started": lambda each: moment(each, "start_time"),
    "subscriptions": lambda each: each.out_of_sync,
    "requests": counts,
}
OPEN = (ResetRunState.HELD, ResetRunState.RUNNING)
STOP = ". `reset run set-state {} not-effective` stops its schedule."


@click.group()
def run() -> None:
    """Reset many subscriptions of a provider. Define a run, preview it, submit it, and watch it.

    The id of a definition begins with D, the id of a run with U.
    """


for each in (define, edit, set_state, delete):
    run.add_command(each)


@run.command()
@click.argument("definition", type=Id("D"), metavar="DEFINITION")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with a line for each difference.")
@limit_option
@remote
def preview(
    client: Client, output: Output, /, *, definition: str, as_csv: bool, limit: int
) -> None:
    """Show the requests that a run would create now. The preview changes nothing."""
    size = page_size(limit)
    entries = within(limit, _entries(client, definition, size))
    if as_csv:
        write_csv(("subscription", "account_number", "difference", *PLACE), _differences(entries))
        return
    if output.as_json:
        output.messages(entries, {})
        return
    rows = [
        (entry.subscription if n == 0 else "", entry.account_number if n == 0 else "", each.text)
        for entry in entries
        for n, each in enumerate(entry.differences)
    ]
    if rows:
        show_table(("subscription", "account", "difference"), rows)
    say_folded(*preview_lines(client.preview_reset_run(definition, page_size=1).totals))
    say_unknown_names(client, client.get_reset_run_definition(definition))


def _entries(client: Client, definition: str, size: int) -> Iterator[PreviewResetRunResponse.Entry]:
    token = ""
    while True:
        page = client.preview_reset_run(
            definition, page_size=size, page_token=token, without_totals=True
        )
        yield from page.entries
        token = page.next_page_token
        if not token:
            return


def _differences(entries: Iterator[PreviewResetRunResponse.Entry]) -> Iterator[list[str]]:
    for entry in entries:
        for each in entry.differences:
            kind = DifferenceKind.name_of(each.kind)
            place = [getattr(each, field) for field in PLACE]
            yield [entry.subscription, entry.account_number, kind, *place]


@run.command()
@click.argument("definition", type=Id("D"), metavar="DEFINITION")
@click.option("--hold", is_flag=True, help="Hold the run until an operator approves it.")
@click.option(
    "--watch", is_flag=True, help="Watch the run until it has ended or waits for its approval."
)
@remote
def submit(client: Client, output: Output, /, *, definition: str, hold: bool, watch: bool) -> None:
    """Begin a run of the definition. If the definition has a schedule, activate the schedule
    instead.
    """
    done = client.submit_reset_run_definition(definition, hold=hold)
    say_unknown_names(client, done.definition)
    say_unknown_subscriptions(client, done.definition)
    if not done.HasField("reset_run"):
        due = moment(done.definition, "next_run_time")
        stop = command("reset", "run", "set-state", definition, "not-effective")
        held = ", and each run is held until it is approved" if hold else ""
        text = f"{definition} runs next at {due}{held}; to stop it: {stop}"
        output.message(done.definition, text)
        if watch:
            say_folded(f"the run begins at {due}, so there is no run to watch yet", err=True)
    elif watch:
        show_progress(client, output, done.reset_run.id)
    else:
        output.message(done.reset_run, _begun(done.reset_run, hold=hold))


@run.command("watch")
@click.argument("reset_run", type=Id("U"), metavar="RUN")
@remote
def watch_(client: Client, output: Output, *, reset_run: str) -> None:
    """Watch a run with a progress bar. The command ends when the run has ended, or waits for its
    approval. With --json, the command prints the run after each change.
    """
    client.get_reset_run(reset_run)  # a wrong id is refused before a progress bar is shown
    show_progress(client, output, reset_run)


@run.command()
@click.argument("reset_run", type=Id("U"), metavar="RUN")
@click.option("--reason", required=True, help="The reason, which is stored with the run.")
@click.option("--watch", is_flag=True, help="Watch the run until it has ended.")
@remote
def approve(client: Client, output: Output, /, *, reset_run: str, reason: str, watch: bool) -> None:
    """Approve a held run.

    The run then creates the planned requests, except for subscriptions that need other requests
    now.
    """
    _check_open(client.get_reset_run(reset_run), "approved")
    done = client.approve_reset_run(reset_run, reason=reason)
    if watch:
        show_progress(client, output, reset_run)
    else:
        output.message(done, _begun(done))


@run.command()
@click.argument("reset_run", type=Id("U", D=STOP), metavar="RUN")
@click.option("--reason", default="", help="The reason, which is stored with the run.")
@remote
def cancel(client: Client, output: Output, /, *, reset_run: str, reason: str) -> None:
    """End a run. Requests that the run has created stay pending."""
    _check_open(client.get_reset_run(reset_run), "cancelled")
    done = client.cancel_reset_run(reset_run, reason=reason)
    if done.state != ResetRunState.CANCELLED:  # the run has ended since it was read
        _check_open(done, "cancelled")
    output.message(done, *run_lines(done))


def _check_open(found: ResetRun, done: str) -> None:
    if found.state not in OPEN:
        state = ResetRunState.name_of(found.state)
        raise click.ClickException(f"{found.id} is {state}: nothing was {done}")


@run.command("list")
@click.option("--definitions", is_flag=True, help="List definitions, not runs.")
@click.option("--definition", type=Id("D"), default="", help="List the runs of this definition.")
@click.option("--provider", default="", help="List the runs of this provider.")
@click.option(
    "--state",
    "states",
    cls=NamedOption,
    type=Named(ResetRunState),
    multiple=True,
    help="List only runs in this state.",
)
@limit_option
@remote
def list_(
    client: Client,
    output: Output,
    /,
    *,
    definitions: bool,
    definition: str,
    provider: str,
    states: tuple[str, ...],
    limit: int,
) -> None:
    """List runs, newest first."""
    size = page_size(limit)
    if definitions:
        if definition or states:
            raise click.UsageError("--definition and --state select runs, not definitions")
        defined = client.list_reset_run_definitions(provider=provider, page_size=size)
        found = output.messages(within(limit, defined), DEFINITION_COLUMNS)
    else:
        runs = client.list_reset_runs(
            definition=definition, provider=provider, states=states, page_size=size
        )
        found = output.messages(within(limit, runs), RUN_COLUMNS)
    if not found:
        explain_nothing(client, {"provider": provider})


@run.command()
@click.argument("number", type=Id("UD"), metavar="RUN|DEFINITION")
@click.option(
    "--outcome",
    "outcomes",
    cls=NamedOption,
    type=Named(EntryOutcome),
    multiple=True,
    help="List only entries with this outcome.",
)
@limit_option
@remote
def show(
    client: Client, output: Output, /, *, number: str, outcomes: tuple[str, ...], limit: int
) -> None:
    """Show a run with its outcomes, or a definition. The first letter of the id decides.

    A run has an outcome for each subscription that needed requests.
    """
    if number.startswith("D"):
        if outcomes:
            raise click.UsageError("a definition has no entries, so --outcome is not allowed")
        definition = client.get_reset_run_definition(number)
        output.message(definition, *definition_lines(definition))
        return
    found = client.get_reset_run(number)
    output.message(found, *run_lines(found, plan_follows=True))
    entries = client.list_reset_run_entries(number, outcomes=outcomes, page_size=page_size(limit))
    output.messages(
        within(limit, entries),
        {
            "subscription": lambda each: each.subscription,
            "outcome": lambda each: EntryOutcome.name_of(each.outcome),
            "requests": _requests,
            "about": partial(_about, ended=found.state not in OPEN),
        },
    )


def _requests(entry: ListResetRunEntriesResponse.Entry) -> int:
    planned = entry.outcome == EntryOutcome.PLANNED
    return len(entry.request_types) if planned else entry.requests_created


def _about(entry: ListResetRunEntriesResponse.Entry, *, ended: bool) -> str:
    about = entry.message or "; ".join([each.text for each in entry.differences])
    return f"not sent: {about}" if ended and entry.outcome == EntryOutcome.PLANNED else about


def _begun(found: ResetRun, *, hold: bool = False) -> str:
    state = ResetRunState.name_of(found.state)
    if hold:
        plan = command("reset", "run", "show", found.id)
        return f"{found.id} {state}: it makes its plan, then it is HELD: see {plan}"
    return f"{found.id} {state}: see {command('reset', 'run', 'watch', found.id)}"
