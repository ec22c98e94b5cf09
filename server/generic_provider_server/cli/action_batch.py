"""`generic-provider action batch` performs the actions of a file."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import click

from generic_provider import (
    ActionNotFound,
    Client,
    InvalidField,
    ProvisioningError,
    SubscriptionAction,
)

from ..desk.output import Output, one_line, say, say_folded
from .batch_outcome import Outcome, RefusedLines
from .failures import REFUSED, words_of
from .files.action_lines import Line, Lines
from .files.text import FILE, Text
from .progress import LinesBar
from .remote import remote

LATE = "the schedule_time is in the past, so the action is performed now, not scheduled"
AFTER_AN_INTERRUPTION = "if it is interrupted, run the same command again"
MOST_BYTES = 3 * 1024 * 1024
"""The greatest size of a call in bytes. A server accepts 4 MiB."""


Answer = tuple[SubscriptionAction | ProvisioningError, bool]
"""The result of a line, and whether an earlier call has performed the action of the line."""


class Result(NamedTuple):
    line: Line
    action: SubscriptionAction | None = None
    repeated: bool = False
    reason: str = ""
    """The reason why the line contains no valid action; empty if it contains a valid action."""


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 1000),
    default=500,
    show_default=True,
    help="The greatest number of actions in one call.",
)
@click.option("--validate-only", is_flag=True, help="Check every line, and change nothing.")
@click.option(
    "--again",
    is_flag=True,
    help="Perform the actions of all lines, even those that an earlier run of the file performed.",
)
@click.option(
    "--run",
    default="",
    help="Continue a run that was started with --again and was interrupted. The value is the id of "
    "this run.",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until all actions are settled, and count their states. --timeout does not limit "
    "this waiting; Ctrl-C ends only the waiting.",
)
@click.option(
    "--performed-by",
    default="",
    help="Who performs the actions. Default: the user of this machine.",
)
@remote
def batch(
    client: Client,
    output: Output,
    *,
    file: Path,
    batch_size: int,
    validate_only: bool,
    again: bool,
    run: str,
    wait: bool,
    performed_by: str,
) -> None:
    """Perform the actions of FILE, line by line. FILE may be -, which is standard input.

    Each line is a PerformActionRequest in JSON. If the name of FILE ends with .csv, FILE is CSV:
    its columns are paths of fields, like subscription or add_services.services[0].distributor. The
    column "action" names an action that has no fields, like terminate. FILE may be compressed by
    gzip.

    If a line has no request_id, the command computes an id from the file's name and the line. So if
    the same person runs the command again, only lines that were not performed yet are performed. To
    perform the same lines again a month later, give --again or rename the file.

    Refused lines are written to FILE.refused, and the reasons to standard error. --validate-only
    writes no file.
    """
    client.performed_by = performed_by or client.performed_by
    new = str(uuid4()) if again and not run else ""
    run = run or new
    with Text(file) as text, RefusedLines(file, written=not validate_only) as refused:
        outcome = Outcome(validate_only=validate_only)
        if new and not validate_only:
            started = f"this run has the id {new}; {AFTER_AN_INTERRUPTION} {_instead(new)}"
            say_folded(started, err=True)
        with _continued_later(outcome, refused, run):
            actions = _actions(
                client, text, outcome=outcome, refused=refused, most=batch_size, run=run
            )
            if wait:
                deque(actions, maxlen=0)
                actions = outcome.wait(client)
            for action in actions:
                if output.as_json:
                    say(one_line(action))
        say(outcome.summary(refused), err=output.as_json)
        if not outcome.any and not refused.count:
            say(f"{text.name} contains no lines with an action", err=True)
        sys.exit(outcome.exit_code(refused))


def _actions(
    client: Client, text: Text, *, outcome: Outcome, refused: RefusedLines, most: int, run: str
) -> Iterator[SubscriptionAction]:
    """Performs the actions of the lines, and yields the actions that were not refused."""
    lines = Lines(text, again=run)
    with LinesBar(text) as bar:
        for group in _groups(lines, most=most):
            results = [*_perform(client, group, validate_only=outcome.validate_only)]
            for line, action, repeated, reason in results:
                outcome.reached = line.number
                if action:
                    outcome.add(line.number, action, repeated=repeated)
                    if line.is_late(action) and not repeated:
                        say(f"line {line.number}: {LATE}", err=True)
                    yield action
                else:
                    refused.add(line, reason, heading=lines.heading)
            bar.reached(group[-1].number)


@contextmanager
def _continued_later(outcome: Outcome, refused: RefusedLines, run: str) -> Iterator[None]:
    """If an error of a call or Ctrl-C ends the `with` block, prints how to continue the run."""
    try:
        yield
    except ProvisioningError:
        _say_how_to_continue(outcome, refused, run)
        raise
    except KeyboardInterrupt:
        _say_how_to_continue(outcome, refused, run)
        sys.exit(REFUSED)


def _say_how_to_continue(outcome: Outcome, refused: RefusedLines, run: str) -> None:
    instead = f", {_instead(run)}" if run else ""
    said = f"{outcome.summary(refused)}, up to line {outcome.reached}"
    if outcome.is_waiting:
        how = "the actions continue; run the same command again to wait for them"
    else:
        how = "run the same command again to continue"
    say_folded(f"{said}; {how}{instead}", err=True)


def _instead(run: str) -> str:
    return f"with --run {run} instead of --again"


def _perform(client: Client, group: list[Line], *, validate_only: bool) -> Iterator[Result]:
    requests = [line.request for line in group if line.request]
    ids = [each.request_id for each in requests]
    for each in requests if validate_only else ():
        each.validate_only, each.request_id = True, ""
    done = client.batch_perform(requests) if requests else None
    answers: list[Answer] = [*zip(done, done.repeated, strict=True)] if done else []
    if validate_only:
        answers = [*_with_earlier(client, ids, answers)]
    results = iter(answers)
    for line in group:
        if not line.request:
            yield Result(line, reason=line.wrong)
            continue
        action, repeated = next(results)
        if isinstance(action, ProvisioningError):
            yield Result(line, reason=words_of(action))
        else:
            yield Result(line, action, repeated)


def _with_earlier(client: Client, ids: list[str], results: list[Answer]) -> Iterator[Answer]:
    """Yields the results of the lines. If an earlier run of the file has performed the action of a
    line, yields that action in place of the preview.

    A search for the action of each line would take long. So the function first searches for the
    actions of only the first line, the last line, and the lines that the preview has refused. If
    one of these actions exists, the function searches for all others too. If none of these actions
    exists, no earlier run has performed any of the lines, because each run performs the lines in
    their order.
    """
    ends = 0, len(ids) - 1
    wrong = [n for n, (done, _) in enumerate(results) if isinstance(done, ProvisioningError)]
    found = {n: _earlier(client, ids[n]) for n in {*ends, *wrong} if ids}
    if any(found.values()):
        found |= {n: _earlier(client, ids[n]) for n in range(len(ids)) if n not in found}
    for n, result in enumerate(results):
        earlier = found.get(n)
        yield (earlier, True) if earlier else result


def _earlier(client: Client, request_id: str) -> SubscriptionAction | None:
    try:
        return client.get_action(request_id=request_id)
    except (ActionNotFound, InvalidField):
        return None


def _groups(lines: Iterable[Line], *, most: int) -> Iterator[list[Line]]:
    group, size = list[Line](), 0
    for line in lines:
        if group and (len(group) == most or size + len(line.source) > MOST_BYTES):
            yield group
            group, size = [], 0
        group.append(line)
        size += len(line.source)
    if group:
        yield group
