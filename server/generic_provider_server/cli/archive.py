"""`generic-provider archive` moves old requests out of the database into files."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import click
from click.types import StringParamType

from generic_provider import Archive, ArchiveState, Client

from ..desk.output import Output, counted, moment, say_folded
from .archive_show import show
from .failures import REFUSED, written_to
from .listing import explain_nothing, limit_option, page_size, within
from .progress import progress
from .remote import remote
from .values import INSTANT, SPAN, Id, Named, NamedOption

POLL_SECONDS = 0.5
NOTHING_OLD = (
    "No request is old enough, so the archive contains at most reset runs, actions that created no "
    "requests, and entries of the audit trail. A request is archived if it was created before the "
    "given time, its action is settled, it has had its final state for 24 hours plus the longest "
    "max_lease_time of all providers, and it did not cause the last error of a subscription."
)
PERFORMED_BY = click.option(
    "--performed-by", default="", help="The name of the person. Default: the user of this machine."
)


class _Checksum(StringParamType):
    def get_missing_message(self, *_: object, **__: object) -> str:
        return "`archive list` shows it."


@click.group()
def archive() -> None:
    """Move old requests into files, and read the files."""


archive.add_command(show)


@archive.command()
@click.option(
    "--older-than",
    type=SPAN,
    help="Archive requests that were created longer ago than this time span, e.g. 90d.",
)
@click.option(
    "--created-before", type=INSTANT, help="Archive requests that were created before this time."
)
@click.option("--provider", default="", help="Archive only requests of this provider.")
@click.option(
    "--request-id",
    default="",
    help="An id of your choice: a repeat with the same id creates nothing. A repeat with "
    "--older-than is refused, because it names another time.",
)
@click.option("--no-wait", is_flag=True, help="Do not wait until the archive is made.")
@PERFORMED_BY
@remote
def create(
    client: Client,
    output: Output,
    /,
    *,
    older_than: timedelta | None,
    created_before: datetime | None,
    no_wait: bool,
    **options: Any,
) -> None:
    """Make an archive of old requests and their actions. Give either --older-than or
    --created-before.

    The service writes the archive in the background. Ctrl-C ends only the waiting.
    """
    if (older_than is None) == (created_before is None):
        raise click.UsageError("give either --older-than or --created-before")
    before = created_before or _ago(older_than or timedelta())
    made = client.create_archive(created_before=before, **options)
    if not no_wait:
        made = _made(client, made)
    output.message(made, _line(made))
    if made.state == ArchiveState.COMPLETED and not made.requests_archived:
        say_folded(NOTHING_OLD, err=True)
    if made.state == ArchiveState.FAILED:
        sys.exit(REFUSED)


def _ago(span: timedelta) -> datetime:
    """Returns the present time minus the span, but no time before 1970, because no request is
    older.
    """
    now = datetime.now(UTC)
    return now - min(span, now - datetime.fromtimestamp(0, UTC))


@archive.command("list")
@click.option(
    "--provider", default="", help="List only archives that were made for this one provider."
)
@click.option(
    "--state",
    "states",
    cls=NamedOption,
    type=Named(ArchiveState),
    multiple=True,
    help="List only archives in this state.",
)
@click.option(
    "--subscription",
    default="",
    help="List only archives with requests of the subscription with this number.",
)
@limit_option
@remote
def list_(client: Client, output: Output, /, *, limit: int, **filters: Any) -> None:
    """List archives, newest first."""
    found = output.messages(
        within(limit, client.list_archives(**filters, page_size=page_size(limit))),
        {
            "archive": lambda each: each.id,
            "state": lambda each: ArchiveState.name_of(each.state),
            "provider": lambda each: each.provider or "(all)",
            "created before": lambda each: moment(each, "created_before"),
            "requests": lambda each: each.requests_total,
            "bytes": lambda each: each.size_bytes,
            "message": lambda each: each.message,
            "checksum": lambda each: each.checksum,
        },
    )
    if not found:
        explain_nothing(client, filters)


@archive.command()
@click.argument("number", type=Id("Z"), metavar="ARCHIVE")
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
@remote
def download(client: Client, output: Output, *, number: str, to: Path | None) -> None:
    """Download an archive's file and check it.

    Without --to, the file has the same name as on the server.
    """
    found = client.get_archive(number)
    file = to or Path(found.file or found.id)
    if file.exists():
        raise click.ClickException(f"{file} exists already; give another file with --to")
    part = _new_part(file)
    try:
        with written_to(file):
            checksum = _received(client, found, part)
        if checksum != found.checksum:
            raise click.ClickException(
                "the downloaded file does not have the checksum of the archive: try again"
            )
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)
    output.message(found, str(file))


@archive.command()
@click.argument("number", type=Id("Z"), metavar="ARCHIVE")
@click.option(
    "--checksum",
    type=_Checksum(),
    required=True,
    help="The checksum of the archive, as `archive list` shows it.",
)
@PERFORMED_BY
@remote
def delete(client: Client, output: Output, /, *, number: str, **options: Any) -> None:
    """Delete an archive's file permanently."""
    deleted = client.delete_archive(number, **options)
    output.message(deleted, _line(deleted))


def _new_part(file: Path) -> Path:
    """Creates an empty file beside `file`, which only its owner may read. Each download has a file
    of its own, so that two downloads at the same time do not mix their contents.
    """
    try:
        descriptor, part = mkstemp(prefix=f"{file.name}.", suffix=".part", dir=file.parent)
    except OSError as error:
        error.filename = str(file)
        raise
    os.close(descriptor)
    return Path(part)


def _received(client: Client, archive: Archive, part: Path) -> str:
    """Downloads the file to `part`, and returns its SHA-256."""
    digest = hashlib.sha256()
    with part.open("wb") as written, progress(of_bytes=True) as bar:
        task = bar.add_task(archive.id, total=archive.size_bytes)
        for piece in client.download_archive(archive.id):
            written.write(piece)
            digest.update(piece)
            bar.advance(task, len(piece))
    return digest.hexdigest()


def _made(client: Client, made: Archive) -> Archive:
    """Waits until the archive is complete or has failed, and returns it."""
    with progress() as bar:
        task = bar.add_task(made.id, total=None)
        while made.state == ArchiveState.CREATING:
            time.sleep(POLL_SECONDS)
            made = client.get_archive(made.id)
            if made.checksum:
                total = made.requests_total
                bar.update(task, completed=made.requests_archived, total=total)
    return made


def _line(found: Archive) -> str:
    count, size = counted(found.requests_archived, "request"), found.size_bytes
    state = ArchiveState.name_of(found.state)
    said = f": {found.message}" if found.message else ""
    file = ""
    if found.file:
        deleted = found.state == ArchiveState.DELETED
        file = f", {found.file} is deleted" if deleted else f", {size} bytes in {found.file}"
    return f"{found.id} {state}{said}, {count}{file}"
