"""`generic-provider action` performs actions on subscriptions, and shows actions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import click

from generic_provider import (
    ActionKind,
    ActionState,
    Client,
    PerformActionRequest,
    PerformActionResponse,
    PermissionDenied,
    Priority,
    SubscriptionAction,
    SyncState,
)

from ..desk.actions import due, error, kind, outcome, state
from ..desk.output import Output, moment, say_folded
from ..desk.performed import performed_lines
from .action_batch import batch
from .action_options import ACTIONS, Verb, message_fields
from .batch_outcome import REJECTED
from .failures import REFUSED
from .finding import KEY, find
from .listing import add_remarks, created_options, limit_option, page_size, within
from .merging import PARTS, WHOLE, merge
from .remote import remote
from .values import INSTANT, MOST_UINT64, Id, Named, NamedOption, Number
from .waiting import LONGEST_WAIT, ONLY_THE_WAITING, continued_action, say_waiting, settled_action

ACTION = Id("A")
PRIORITIES = {None: None, True: Priority.BULK, False: Priority.LIVE}
WAITS_FOR_OTHERS = (
    "the action made no requests; it is settled when the earlier actions of the "
    "subscription are settled"
)
COMMON: tuple[click.Parameter, ...] = (
    click.Option(
        ["--request-id"], help="An id of your choice: a repeat with the same id changes nothing."
    ),
    click.Option(["--reference", "order"], help="The name of your order, ticket or campaign."),
    click.Option(
        ["--at"],
        type=INSTANT,
        help="The time at which the service performs the action. Default: now.",
    ),
    click.Option(
        ["--bulk/--live"],
        default=None,
        help="--bulk is for campaigns: live requests have priority. Default: --live, "
        "but --bulk with --at.",
    ),
    click.Option(
        ["--validate-only"], is_flag=True, help="Show a preview of the result, and change nothing."
    ),
    click.Option(
        ["--wait"],
        is_flag=True,
        help="Wait until the action is settled: until all its requests, and all requests of "
        "earlier actions of the subscription, have final states. --timeout does not limit this "
        "waiting; Ctrl-C ends only the waiting. If a request is rejected, the exit code is 1.",
    ),
    click.Option(
        ["--expected-revision"],
        type=click.IntRange(0, MOST_UINT64),
        help="Refuse the action if the subscription does not have this revision.",
    ),
    click.Option(
        ["--performed-by"], help="Who performs the action. Default: the user of this machine."
    ),
)


@click.group()
def action() -> None:
    """Change subscriptions, and show the results of actions."""


class Common(NamedTuple):
    """The values of the options in COMMON."""

    request_id: str | None
    order: str | None
    at: datetime | None
    bulk: bool | None
    validate_only: bool
    wait: bool
    expected_revision: int | None
    performed_by: str | None


def _command(name: str, verb: Verb) -> click.Command:
    @remote
    def perform(client: Client, output: Output, /, *, subscription: str, **options: Any) -> None:
        common = Common(**{each: options.pop(each) for each in Common._fields})
        whole = options.pop("whole", False)
        _check(common, part=name in PARTS and not whole)
        number = _number(client, output, name, subscription)
        request = PerformActionRequest(
            subscription=number, expected_revision=common.expected_revision
        )
        chosen = getattr(request, name.replace("-", "_"))
        chosen.MergeFrom(type(chosen)(**message_fields(options)))
        if name in PARTS:
            request_id = common.request_id or ""
            merge(client, request, command=name, whole=whole, request_id=request_id)
        done = _perform(client, request, chosen, common)
        if common.wait:
            with continued_action(done.action.id):
                _show_settled(client, output, done)
        else:
            output.message(done, *performed_lines(done))

    options = (*verb.options, WHOLE) if name in PARTS else verb.options
    params = [_subscription(name), *options, *COMMON]
    return click.command(name, help=verb.words, params=params)(perform)


def _check(common: Common, *, part: bool) -> None:
    """Refuses options that contradict each other. `part`: true if the options change only some
    fields of the holder or the address.
    """
    if common.wait and (common.validate_only or common.at):
        raise click.UsageError("--wait does not go together with --validate-only or --at")
    if common.at and common.at < datetime.now(UTC):
        raise click.UsageError(
            f"--at {common.at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ} is in the past; without --at, "
            "the service performs the action now"
        )
    if common.at and part:
        raise click.UsageError(
            "--at needs --whole: until that time, fields that you do not name can change"
        )


def _perform(
    client: Client, request: PerformActionRequest, chosen: Any, common: Common
) -> PerformActionResponse:
    revision = request.expected_revision if request.HasField("expected_revision") else None
    return client.perform(
        chosen,
        subscription=request.subscription,
        request_id=common.request_id or "",
        reference=common.order or "",
        priority=PRIORITIES[common.bulk],
        schedule_time=common.at,
        validate_only=common.validate_only,
        expected_revision=revision,
        performed_by=common.performed_by or "",
    )


def _show_settled(client: Client, output: Output, done: PerformActionResponse) -> None:
    if not output.as_json:
        say_folded(*performed_lines(done))
    if done.action.state == ActionState.EXECUTED:
        if not done.requests:
            say_folded(WAITS_FOR_OTHERS, err=True)
        links = done.subscription.provider_links
        pending = {each.provider for each in links if each.sync_state == SyncState.PENDING}
        for code in sorted(pending.union([each.provider for each in done.requests])):
            _name_missing_adapter(client, code)
    settled = settled_action(client, done.action, on_long_wait=lambda: say_waiting(done.action))
    output.message(settled, *_lines(settled))
    if settled.state in REJECTED:
        sys.exit(REFUSED)


def _name_missing_adapter(client: Client, provider: str) -> None:
    with suppress(PermissionDenied):
        if not any(client.list_adapters(provider=provider)):
            waits = f"no adapter of {provider} is connected; {ONLY_THE_WAITING}"
            say_folded(waits, err=True)


def _subscription(name: str) -> click.Parameter:
    if name == "become-subscriber":
        return click.Option(
            ["--subscription"],
            default="",
            help="The number of the subscription. By default the server assigns a number.",
        )
    return click.Argument(["subscription"], metavar=KEY)


def _number(client: Client, output: Output, name: str, key: str) -> str:
    return key if name == "become-subscriber" else find(client, output, key).number


for each in ACTIONS.items():
    action.add_command(_command(*each))
action.add_command(batch)


@action.command()
@click.argument("action_id", metavar="ACTION")
@click.option("--request-id", is_flag=True, help="ACTION is the request id of the action.")
@click.option(
    "--wait",
    type=Number(0, LONGEST_WAIT.seconds),
    default=0,
    help="The seconds to wait at most until the action is settled: until all its requests, and all "
    "requests of earlier actions of the subscription, have final states.",
)
@remote
def get(client: Client, output: Output, *, action_id: str, request_id: bool, wait: float) -> None:
    """Show an action and its result."""
    if not action_id:
        raise click.UsageError("ACTION is empty")
    checked = action_id if request_id else ACTION.convert(action_id, None, None)
    options = ["--request-id"] if request_id else []
    with continued_action(checked, *options) if wait else nullcontext():
        found = client.get_action(
            **{"request_id" if request_id else "action": checked}, wait=timedelta(seconds=wait)
        )
    output.message(found, *_lines(found))


@action.command()
@click.argument("action_id", type=ACTION, metavar="ACTION")
@click.option(
    "--performed-by", default="", help="Who cancels the action. Default: the user of this machine."
)
@remote
def cancel(client: Client, output: Output, *, action_id: str, performed_by: str) -> None:
    """Cancel an action that is scheduled."""
    found = client.cancel_scheduled_action(action_id, performed_by=performed_by)
    output.message(found, *_lines(found))


@action.command("list")
@click.option(
    "--subscription", default="", help="List only actions of the subscription with this number."
)
@click.option("--reference", default="", help="List only actions with this reference.")
@click.option(
    "--kind",
    "kinds",
    cls=NamedOption,
    type=Named(ActionKind),
    multiple=True,
    help="List only actions of this kind.",
)
@click.option(
    "--state",
    "states",
    cls=NamedOption,
    type=Named(ActionState),
    multiple=True,
    help="List only actions in this state.",
)
@click.option(
    "--performed-by", default="", help="List only actions that this person or system performed."
)
@created_options
@limit_option
@remote
def list_(client: Client, output: Output, /, *, limit: int, **filters: Any) -> None:
    """List actions, newest first."""
    found = output.messages(
        within(limit, client.list_actions(**filters, page_size=page_size(limit))),
        {
            "action": lambda each: each.id,
            "created": lambda each: moment(each, "create_time"),
            "subscription": lambda each: each.subscription,
            "kind": kind,
            "state": lambda each: f"{state(each)} {due(each)}".rstrip(),
            "requests": lambda each: len(each.requests),
            "error": error,
            "reference": lambda each: each.performed.reference,
            "by": lambda each: each.performed.performed_by,
        },
    )
    add_remarks(client, filters, found=found)


def _lines(found: SubscriptionAction) -> Iterator[str]:
    yield f"{found.id} {state(found)}, {kind(found)} of subscription {found.subscription}"
    if due := moment(found.performed, "schedule_time"):
        yield f"  {'scheduled for':<13} {due}"
    for name in ("create_time", "execute_time", "settle_time"):
        if found.HasField(name):
            yield f"  {name.replace('_', ' '):<13} {moment(found, name)}"
    yield f"  {'performed by':<13} {found.performed.performed_by} ({found.caller})"
    yield f"  {'requests':<13} {' '.join(found.requests) or 'none'}"
    yield from (f"  {name:<13} {text}" for name, text in outcome(found))
