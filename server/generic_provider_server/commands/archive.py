"""Creates archives, gives the work on them to one server process at a time, and deletes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from ..domain.archive import ArchiveRecord, ArchiveState, archive_id, final_before
from ..domain.catalogue import catalogue_of
from ..domain.refusals import Reason, Refused, not_found
from ..domain.subscription.records import Who
from ..domain.values import Instant
from ..store.archives.lines import Content, moment, number_of
from ..store.write.loaded import LATE, Needs
from ..store.write.transaction import Transaction
from .repeats import created_before as made_before


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateArchive:
    created_before: Instant
    digest: bytes
    provider: str = ""
    request_id: str = ""
    who: Who = Who()

    def needs(self) -> Needs:
        ids = frozenset({self.request_id} if self.request_id else ())
        return Needs(late=True, request_ids=ids)

    def run(self, work: Transaction) -> ArchiveRecord:
        made = self.request_id and made_before(work, self.request_id, self.digest)
        if made:
            return existing(work, number_of(made))
        if self.provider:
            catalogue_of(work.catalogues, self.provider)
        record = ArchiveRecord(
            number=work.take("archive"),
            provider=self.provider,
            created_before=self.created_before,
            final_before=final_before(work.now, [p.provider for p in work.providers.values()]),
            create_time=work.now,
            who=self.who,
        )
        work.archives.add(record)
        if self.request_id:
            work.remember(self.request_id, created=record.id, digest=self.digest)
        return record


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeArchive:
    """Makes a server process the worker of the oldest archive that is not made yet.

    Returns None if there is no such archive, or if its worker is another process that is alive.
    """

    worker: str

    def needs(self) -> Needs:
        return LATE

    def run(self, work: Transaction) -> ArchiveRecord | None:
        found = work.archives.next()
        record = found and work.archives.lock(found.number)
        if record is None or record.state is not ArchiveState.CREATING:
            return None
        if record.worker != self.worker and work.archives.is_alive(record.worker):
            return None
        taken = replace(record, worker=self.worker)
        work.archives.put(taken)
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class PutArchive:
    """Stores how far the worker is. Returns None if another process has taken over."""

    archive: ArchiveRecord

    def needs(self) -> Needs:
        return LATE

    def run(self, work: Transaction) -> ArchiveRecord | None:
        if not works_on(work, self.archive):
            return None
        work.archives.put(self.archive)
        return self.archive


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveLines:
    """Removes from the tables what the next lines of the complete file say.

    Returns None if another process has taken over.
    """

    archive: ArchiveRecord
    lines: Sequence[Content]

    def needs(self) -> Needs:
        return LATE

    def run(self, work: Transaction) -> ArchiveRecord | None:
        if not works_on(work, self.archive):
            return None
        requests = work.archives.move(self.archive.number, self.lines)
        moved = replace(
            self.archive,
            requests_archived=self.archive.requests_archived + requests,
            moved=self.archive.moved + len(self.lines),
        )
        work.archives.put(moved)
        return moved


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteArchive:
    """Marks an archive as deleted. Its file must be removed before."""

    archive: int
    checksum: str
    who: Who = Who()

    def needs(self) -> Needs:
        return LATE

    def run(self, work: Transaction) -> ArchiveRecord:
        record = existing(work, self.archive)
        check_deletable(record, self.checksum)
        if record.state is ArchiveState.DELETED:
            return record
        person = self.who.performed_by or self.who.caller
        said = f"deleted by {person}, {moment(work.now):%Y-%m-%d %H:%M:%SZ}"
        deleted = replace(record, state=ArchiveState.DELETED, message=said)
        work.archives.put(deleted)
        return deleted


def existing(work: Transaction, number: int) -> ArchiveRecord:
    record = work.archives.find(number)
    if record is None:
        raise not_found(Reason.ARCHIVE_NOT_FOUND, archive_id(number))
    return record


def works_on(work: Transaction, archive: ArchiveRecord) -> bool:
    """Tells whether the archive is as its worker knows it, and locks it."""
    found = work.archives.lock(archive.number)
    return found is not None and (found.worker, found.moved) == (archive.worker, archive.moved)


def check_deletable(record: ArchiveRecord, checksum: str) -> None:
    """Raises Refused if there is no file to delete, or the checksum is another."""
    facts = {"archive": record.id, "state": record.state.name}
    if record.state not in (ArchiveState.COMPLETED, ArchiveState.DELETED):
        text = f"archive {record.id} is {record.state.name}: there is no file to delete"
        raise Refused(Reason.CHECKSUM_MISMATCH, text, **facts)
    if checksum != record.checksum:
        text = f"archive {record.id} has another checksum; nothing was deleted"
        raise Refused(Reason.CHECKSUM_MISMATCH, text, **facts)
