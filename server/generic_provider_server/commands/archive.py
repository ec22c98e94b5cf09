"""Creates and deletes archives, decides which server process works on an archive, and stores the
progress of this work.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ..domain.archive import ArchiveRecord, ArchiveState, archive_id, final_before
from ..domain.catalogue import catalogue_of
from ..domain.refusals import Reason, Refused, not_found
from ..domain.subscription.records import Who
from ..domain.values import Instant, Value
from ..store.archives.lines import Content, moment, number_of
from ..store.write.loaded import SEARCHES, Needs
from ..store.write.transaction import Transaction
from .repeats import created_before as made_before


class CreateArchive(Value, frozen=True, kw_only=True):
    created_before: Instant
    digest: bytes
    provider: str = ""
    request_id: str = ""
    who: Who = Who()

    def needs(self) -> Needs:
        ids = frozenset({self.request_id} if self.request_id else ())
        return Needs(searches=True, request_ids=ids)

    def run(self, transaction: Transaction) -> ArchiveRecord:
        made = self.request_id and made_before(transaction, self.request_id, self.digest)
        if made:
            return existing(transaction, number_of(made))
        if self.provider:
            catalogue_of(transaction.catalogues, self.provider)
        record = ArchiveRecord(
            number=transaction.take("archive"),
            provider=self.provider,
            created_before=self.created_before,
            final_before=final_before(
                transaction.now, [p.provider for p in transaction.providers.values()]
            ),
            create_time=transaction.now,
            who=self.who,
        )
        transaction.archives.put(record)
        if self.request_id:
            transaction.remember(self.request_id, created=record.id, digest=self.digest)
        return record


class TakeArchive(Value, frozen=True, kw_only=True):
    """Records `worker` as the server process that works on the oldest archive in the state
    CREATING.

    Returns None if there is no such archive, or if another process that is alive works on the
    archive.
    """

    worker: str

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> ArchiveRecord | None:
        found = transaction.archives.next()
        record = found and transaction.archives.lock(found.number)
        if record is None or record.state is not ArchiveState.CREATING:
            return None
        if record.worker != self.worker and transaction.sign_of(record.worker) is not None:
            return None
        taken = replace(record, worker=self.worker)
        transaction.archives.put(taken)
        return taken


class PutArchive(Value, frozen=True, kw_only=True):
    """Stores the progress of the server process that works on the archive.

    `release`: true if the process gives up the archive, so that any process can continue.
    Returns None if another process works on the archive now.
    """

    archive: ArchiveRecord
    release: bool = False

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> ArchiveRecord | None:
        if not works_on(transaction, self.archive):
            return None
        put = replace(self.archive, worker="") if self.release else self.archive
        transaction.archives.put(put)
        return put


class MoveLines(Value, frozen=True, kw_only=True):
    """Deletes from the database the rows that the next lines of the complete archive file contain.

    Returns None if another process works on the archive now.
    """

    archive: ArchiveRecord
    lines: Sequence[Content]

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> ArchiveRecord | None:
        if not works_on(transaction, self.archive):
            return None
        requests = transaction.archives.move(self.archive.number, self.lines)
        moved = replace(
            self.archive,
            requests_archived=self.archive.requests_archived + requests,
            moved=self.archive.moved + len(self.lines),
        )
        transaction.archives.put(moved)
        return moved


class DeleteArchive(Value, frozen=True, kw_only=True):
    """Marks an archive as deleted. Remove the archive's file after this command: if the file was
    removed first and the process was killed then, the missing file would look like a file on a
    share that is not mounted.
    """

    archive: int
    checksum: str
    who: Who = Who()

    def needs(self) -> Needs:
        return SEARCHES

    def run(self, transaction: Transaction) -> ArchiveRecord:
        record = existing(transaction, self.archive)
        check_deletable(record, self.checksum)
        if record.state is ArchiveState.DELETED:
            return record
        person = self.who.performed_by or self.who.caller
        said = f"deleted by {person}, {moment(transaction.now):%Y-%m-%d %H:%M:%SZ}"
        deleted = replace(record, state=ArchiveState.DELETED, message=said)
        transaction.archives.put(deleted)
        return deleted


def existing(transaction: Transaction, number: int) -> ArchiveRecord:
    record = transaction.archives.find(number)
    if record is None:
        raise not_found(Reason.ARCHIVE_NOT_FOUND, archive_id(number))
    return record


def works_on(transaction: Transaction, archive: ArchiveRecord) -> bool:
    """Locks the archive, and tells whether its worker and its progress (`moved`) are the same as in
    `archive`, the record that the worker has read or stored last.
    """
    found = transaction.archives.lock(archive.number)
    return found is not None and (found.worker, found.moved) == (archive.worker, archive.moved)


def check_deletable(record: ArchiveRecord, checksum: str) -> None:
    """Raises Refused if the archive has never had a complete file, or if `checksum` is not the
    checksum of this file.
    """
    facts = {"archive": record.id, "state": record.state.name}
    if record.state not in (ArchiveState.COMPLETED, ArchiveState.DELETED):
        text = f"archive {record.id} is {record.state.name}: there is no file to delete"
        raise Refused(Reason.CHECKSUM_MISMATCH, text, **facts)
    if checksum != record.checksum:
        text = f"archive {record.id} has another checksum; nothing was deleted"
        raise Refused(Reason.CHECKSUM_MISMATCH, text, **facts)
