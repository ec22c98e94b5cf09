"""`generic-provider action batch` performs the actions of a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from generic_provider import Client, ProvisioningError, SubscriptionAction

from ..desk.output import Output, one_line
from .failures import REFUSED, words_of
from .files.action_lines import Line, Lines
from .progress import LinesBar
from .remote import remote

MOST_BYTES = 3 * 1024 * 1024
"""The most bytes of one call; a server takes 4 MiB."""


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--batch-size", type=click.IntRange(1, 1000), default=500, show_default=True)
@click.option("--validate-only", is_flag=True, help="Check every line, and change nothing.")
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
    performed_by: str,
) -> None:
    """Perform the actions of FILE, line by line.

    Each line is a PerformActionRequest in JSON. If the name of FILE ends with .csv, it is CSV: its
    columns are paths of fields, like subscription or add_services.services[0].distributor. A column
    "action" names an action without fields, like terminate.

    A line without request_id gets one that is computed from the file's name and the line. So if the
    same person runs the same command again, it performs only what is missing.

    Refused lines are written to FILE.refused, and the reasons to standard error.
    """
    client.performed_by = performed_by or client.performed_by
    lines, refused = Lines(file), Refused(file)
    done = 0
    with LinesBar(file) as bar:
        for group in _groups(lines, most=batch_size):
            for line, result in _perform(client, group, validate_only=validate_only):
                if isinstance(result, SubscriptionAction):
                    done += 1
                    if output.as_json:
                        click.echo(one_line(result))
                else:
                    refused.add(line, result, heading=lines.heading)
            bar.reached(group[-1].number)
    would = "would be " if validate_only else ""
    said = f"{done} {would}done, {refused.count} {would}refused"
    click.echo(f"{said}, see {refused.file}" if refused.count else said, err=output.as_json)
    if refused.count:
        sys.exit(REFUSED)


class Refused:
    """The file of refused lines. It exists only if there are any."""

    def __init__(self, file: Path) -> None:
        self.file = file.with_name(f"{file.name}.refused")
        self.file.unlink(missing_ok=True)
        self.count = 0

    def add(self, line: Line, reason: str, *, heading: Callable[[], bytes]) -> None:
        click.echo(f"line {line.number}: {reason}", err=True)
        with self.file.open("ab") as to:
            to.write(line.source if self.count else heading() + line.source)
        self.count += 1


def _perform(
    client: Client, group: list[Line], *, validate_only: bool
) -> Iterator[tuple[Line, SubscriptionAction | str]]:
    """Performs the lines. Yields each with its action, or with the reason why it was refused."""
    requests = [line.request for line in group if line.request]
    for each in requests if validate_only else ():
        each.validate_only, each.request_id = True, ""
    try:
        results = iter(client.batch_perform(requests) if requests else ())
    except ProvisioningError:
        number = group[0].number
        click.echo(
            f"Done up to line {number - 1}; run the same command again to continue.", err=True
        )
        raise
    for line in group:
        result = next(results) if line.request else line.wrong
        yield line, words_of(result) if isinstance(result, ProvisioningError) else result


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
