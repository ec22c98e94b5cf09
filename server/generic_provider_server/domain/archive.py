"""Defines the records of archives, and of archived requests."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from .refusals import Reason, Refused, not_found
from .subscription.records import Who
from .values import SECOND, Instant, Provider, RequestState, Value

DAY = 86_400 * SECOND
SHOWN_OF_CHECKSUM = 16
"""The file name of an archive contains this number of digits from the start of the checksum."""


class ArchiveState(IntEnum):
    CREATING = 1
    COMPLETED = 2
    FAILED = 3
    DELETED = 4


class ArchiveRecord(Value, frozen=True, kw_only=True):
    """An archive of one provider, or of all providers if `provider` is empty.

    The archive contains requests that were created before `created_before` and reached a final
    state before `final_before`. `checksum` is the SHA-256 of the file; it is empty until the file
    is written. The rows of the first `moved` lines of the file are deleted from the database.
    `worker` is the server process that works on the archive.
    """

    number: int
    created_before: Instant
    final_before: Instant
    create_time: Instant
    provider: str = ""
    state: ArchiveState = ArchiveState.CREATING
    who: Who = Who()
    requests_archived: int = 0
    requests_total: int = 0
    size: int = 0
    checksum: str = ""
    first_create_time: Instant | None = None
    last_create_time: Instant | None = None
    last_settle_time: Instant | None = None
    message: str = ""
    worker: str = ""
    moved: int = 0

    @property
    def id(self) -> str:
        return archive_id(self.number)

    @property
    def file(self) -> str:
        """The name of the archive file; empty until the file is written."""
        return file_name(self.id, self.checksum) if self.checksum else ""


class Archived(Value, frozen=True, kw_only=True):
    """The record of an archived request. The database keeps this record for ever."""

    number: int
    state: RequestState
    archive: int
    subscription: str
    provider: str
    unit: int
    index: int
    reset_run: int = 0


def archive_id(number: int) -> str:
    """Returns the id by which callers name the archive, for example `Z0000000042`."""
    return f"Z{number:010d}"


def file_name(archive: str, checksum: str) -> str:
    """Returns the name of an archive's file.

    The name contains a part of the checksum, so that a person can check the file without the
    server. The checksum also keeps the names of files different: after an older database was
    restored, a new archive may get the number of an existing file.
    """
    return f"{archive}-{checksum[:SHOWN_OF_CHECKSUM]}.ndjson.gz"


def final_before(now: Instant, providers: Iterable[Provider]) -> Instant:
    """Returns the instant before which a request must have reached its final state to be archived.
    No adapter works any more on a request that reached its final state before this instant.
    """
    longest = max((each.delivery_settings.max_lease_time for each in providers), default=0)
    return Instant(now - longest - DAY)


def request_missing(request: str, archive: ArchiveRecord | None) -> Refused:
    """Returns the refusal for a request that is not in the database.

    `archive`: the archive that contains the request, or None if the request was never archived.
    """
    if archive is None:
        return not_found(Reason.REQUEST_NOT_FOUND, request)
    facts = {"request": request, "archive": archive.id}
    if archive.state is ArchiveState.DELETED:
        text = f"request {request} was in archive {archive.id}, which is deleted"
        return Refused(Reason.REQUEST_NOT_FOUND, text, **facts, deleted="true")
    text = f"request {request} is in archive {archive.id}"
    return Refused(Reason.REQUEST_NOT_FOUND, text, **facts)


def restored_too_early(archive: ArchiveRecord) -> str:
    """Returns the text of a refusal: a reset run cannot repeat the requests that the platform lost
    when the platform was restored, because some of them are in `archive`, not in the database.
    """
    lost = f"requests that were settled after platform_restored_to {_place(archive)}"
    return f"{lost}; a run with full sends all elements again"


def run_missing(run: str, archive: ArchiveRecord | None) -> Refused:
    """Returns the refusal for a reset run that is not in the database. `archive`: the archive with
    the last requests of the run, or None if the run was never archived.
    """
    if archive is None:
        return not_found(Reason.RESET_RUN_NOT_FOUND, run)
    text = f"reset run {run} is archived; its last requests {_place(archive)}"
    facts = {"reset_run": run, "archive": archive.id}
    if archive.state is ArchiveState.DELETED:
        facts["deleted"] = "true"
    return Refused(Reason.RESET_RUN_NOT_FOUND, text, **facts)


def _place(archive: ArchiveRecord) -> str:
    """Returns the end of a sentence about requests that are in the archive."""
    if archive.state is ArchiveState.DELETED:
        return f"were in archive {archive.id}, which is deleted"
    return f"are in archive {archive.id}"
