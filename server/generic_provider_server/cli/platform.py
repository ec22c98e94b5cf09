"""`generic-provider platform` sends platform reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from generic_provider import (
    Client,
    DeadlineExceeded,
    PermissionDenied,
    PlatformSubscription,
    ReportIncomplete,
    ReportPlatformStateResponse,
    ServerUnavailable,
)

from ..desk.output import Output, say, show_table
from .failures import words_of
from .files.message_lines import message_of, sources
from .files.text import FILE, Text
from .progress import LinesBar
from .remote import remote
from .values import INSTANT, Number

COUNTED = ("received", "unchanged", "changed", "skipped", "unknown_subscriptions")
INCOMPLETE = (
    "Check whether FILE names every subscriber of the platform. If so, report FILE again with a "
    "greater --max-missing-percent."
)
EARLIER = "Earlier lines may have been applied. "


class _WrongLine(click.ClickException):
    """A line of FILE contains no valid entry."""


@click.group()
def platform() -> None:
    """Report the real contents of a platform."""


@platform.command()
@click.argument("file", type=FILE)
@click.option("--provider", required=True, help="The provider of the platform.")
@click.option(
    "--observed-time",
    type=INSTANT,
    help="The time at which reading the platform began.  [default: the last change of FILE]",
)
@click.option(
    "--complete",
    is_flag=True,
    help="FILE names every subscriber of the platform. A subscription that FILE does not name "
    "counts as missing.",
)
@click.option(
    "--max-missing-percent",
    type=Number(0, 100),
    default=5,
    show_default=True,
    help="With --complete: refuse the report if more than this percentage of the provider's "
    "subscriptions would count as missing because FILE does not name them. The lines of FILE are "
    "applied nevertheless.",
)
@remote
def report(
    client: Client,
    output: Output,
    *,
    file: Path,
    provider: str,
    observed_time: datetime | None,
    complete: bool,
    max_missing_percent: float,
) -> None:
    """Report the contents of the platform from FILE.

    Each line is a PlatformSubscription in JSON. Each line has account_number or subscription, and
    either all items and entitlements, or "missing": true. If the name of FILE ends with .csv, FILE
    is CSV: its columns are paths of fields, like account_number or items[0].serial_number. FILE may
    be compressed by gzip. FILE may be -, which is standard input.

    A report creates no requests. A subscription for which the report differs from the CRM is
    OUT_OF_SYNC afterwards. A reset then brings the platform to the state of the CRM. The same file
    may be reported again.
    """
    if observed_time is None and not file.is_file():
        raise click.UsageError("--observed-time is missing: a pipe has no time of its last change")
    with _errors_explained(client, provider), Text(file) as text, LinesBar(text) as bar:
        report = client.report_platform_state(
            provider,
            _entries(text, bar),
            observed_time=observed_time or datetime.fromtimestamp(file.stat().st_mtime, UTC),
            complete=complete,
            max_missing_percent=max_missing_percent,
        )
    if not report.received:
        say(f"{text.name} names no subscriber", err=True)
    output.message(report, *_lines(report))
    if report.examples and not output.as_json:
        say("")
        show_table(("unknown", "which", "why"), map(_example, report.examples))


@contextmanager
def _errors_explained(client: Client, provider: str) -> Iterator[None]:
    """Adds advice to the error of an incomplete report. If a line is wrong and the provider does
    not exist either, the error is about the provider and not about the line.
    """
    try:
        yield
    except ReportIncomplete as error:
        raise _incomplete(error) from None
    except _WrongLine:
        # A caller with only the role `adapter` cannot read providers: then the error is about the
        # line.
        with suppress(PermissionDenied, ServerUnavailable, DeadlineExceeded):
            client.get_provider(provider)
        raise


def _incomplete(error: ReportIncomplete) -> click.ClickException:
    """Prints the numbers of the report, and returns the error to raise."""
    if error.metadata.keys() >= {*COUNTED}:  # an older server does not send these numbers
        say(*_counts(error.metadata), err=True)
    return click.ClickException(f"{words_of(error)}\n{INCOMPLETE}")


def _entries(text: Text, bar: LinesBar) -> Iterator[PlatformSubscription]:
    """Yields the entries of the text.

    A wrong line ends the report, because the subscriber of that line would otherwise count as
    missing in a complete report.
    """
    earlier = ""
    for line in sources(text, PlatformSubscription.DESCRIPTOR):
        try:
            yield _entry(line.fields)
            earlier = EARLIER
        except ValueError as error:
            raise _WrongLine(
                f"{text.name}, line {line.number}: {error}\n"
                f"{earlier}Correct this line, and report FILE again."
            ) from None
        bar.reached(line.number)


def _entry(fields: dict[str, Any] | str) -> PlatformSubscription:
    entry = message_of(fields, PlatformSubscription())
    if not (entry.account_number or entry.subscription):
        raise ValueError("has neither account_number nor subscription")
    return entry


def _counts(of: Mapping[str, object]) -> Iterator[str]:
    yield f"subscribers reported       {of['received']}"
    yield f"  as was known             {of['unchanged']}"
    yield f"  changed                  {of['changed']}"
    yield f"  skipped                  {of['skipped']}"
    yield f"  unknown here             {of['unknown_subscriptions']}"


def _lines(report: ReportPlatformStateResponse) -> Iterator[str]:
    yield from _counts({name: getattr(report, name) for name in COUNTED})
    yield f"missing on the platform    {report.missing}"
    yield f"unknown ids                {report.unknown_ids}"
    yield f"out of sync now            {report.out_of_sync}"
    if report.skipped_pending:
        pending = report.skipped_pending
        yield f"skipped: {pending} with pending requests; report again when these are settled"
    if recent := report.skipped - report.skipped_pending:
        yield f"skipped: {recent} had requests less than 5 minutes before the observed time,"
        yield "  or later, or a report with a later observed time;"
        # The time is printed without the fraction of its second, so a second is added.
        after = report.repeat_after.ToDatetime() + timedelta(seconds=1)
        yield f"  read the platform again at {after:%Y-%m-%d %H:%M:%SZ} or later, and report it"
    if unnamed := report.unnamed_skipped:
        yield f"not named, but not counted as missing: {unnamed} with pending or recent requests,"
        yield "  or with a later report; read the platform again when the requests are settled,"
        yield "  and report it"


def _example(example: ReportPlatformStateResponse.Example) -> tuple[str, str, str]:
    what = example.WhichOneof("what") or ""
    of = f" of {example.of_subscription}" if example.of_subscription else ""
    return what.replace("_", " "), f"{getattr(example, what, '')}{of}", example.why
