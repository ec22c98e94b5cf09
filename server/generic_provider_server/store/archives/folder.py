"""Manages the folder of archive files. All servers of a database share this folder."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from ...domain.archive import ArchiveRecord
from ...domain.refusals import Reason, Refused
from ..database.sqlite import PREFIX, sqlite_path
from .file import ArchiveFile, ArchiveWriter
from .lines import Opening, moment

MOST_IN_PIECE = 1024 * 1024
NO_FOLDER = "it has no --archive-folder"


class ArchiveFolder:
    """The folder of the archives' files.

    A file whose name begins with a dot is not complete, or is not published yet. `make`: true if
    the server creates a missing folder. A folder that several machines share must exist already,
    because the server cannot distinguish a missing folder from a share that is not mounted.
    """

    def __init__(self, path: Path | None, *, make: bool) -> None:
        self._path = path
        self._make = make

    def check(self) -> None:
        """Raises Refused if the server cannot write in the folder."""
        folder = self._folder
        probe = folder / f".probe-{secrets.token_hex(4)}"
        try:
            if self._make:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise _unusable(f"{folder}: {error.strerror}") from None

    def writer(self, archive: ArchiveRecord) -> tuple[ArchiveWriter, Path]:
        """Returns the writer of a new file, and the path of this file. Each process that works on
        an archive writes a separate file, because a process that worked on the archive earlier may
        still be alive.
        """
        path = self._folder / f".{archive.id}-{archive.worker}.part"
        opening = Opening(
            id=archive.id,
            provider=archive.provider,
            created_before=moment(archive.created_before),
            create_time=moment(archive.create_time),
        )
        return ArchiveWriter(path, opening), path

    def finished(self, archive: ArchiveRecord, part: Path) -> None:
        """Renames the complete file `part`. The new name begins with a dot, and contains the first
        digits of the archive's checksum. Store the archive's record next, then call `publish`.
        """
        part.rename(self._finished(archive))
        self._sync()

    def publish(self, archive: ArchiveRecord) -> None:
        """Gives the file of the archive its final name. A second call changes nothing."""
        finished = self._finished(archive)
        if finished.exists():
            finished.rename(self._file(archive))
            self._sync()

    def open(self, archive: ArchiveRecord) -> ArchiveFile:
        """Opens the archive's file. Raises DamagedArchive if the file does not have the checksum in
        the archive's record, or does not begin like an archive, and OSError if the file cannot be
        read.
        """
        return ArchiveFile(self._file(archive), checksum=archive.checksum)

    def clear(self, archive: ArchiveRecord) -> None:
        """Removes the hidden files of an archive. Call this function when no process works on the
        archive any more.
        """
        for path in self._folder.glob(f".{archive.id}-*"):
            path.unlink(missing_ok=True)

    def check_removable(self, archive: ArchiveRecord) -> None:
        """Raises Refused if the server cannot write in the folder, or if the archive's file is not
        in it. Then perhaps a share is not mounted, and the file is still on the share.
        """
        self.check()
        try:
            self._file(archive).stat()
        except OSError as error:
            text = (
                f"nothing was deleted: the file {archive.file} of archive {archive.id} is not "
                f"found in {self._folder} ({error.strerror}); is the share mounted?"
            )
            facts = {"archive": archive.id, "state": archive.state.name}
            raise Refused(Reason.ARCHIVE_NOT_FOUND, text, **facts) from None

    def remove(self, archive: ArchiveRecord) -> None:
        """Removes the file of the archive permanently. A second call changes nothing. Raises
        Refused if the file cannot be removed.
        """
        try:
            self._file(archive).unlink(missing_ok=True)
            self._sync()
        except OSError as error:
            raise _unusable(f"{self._folder}: {error.strerror}") from None

    def pieces(self, archive: ArchiveRecord, *, offset: int) -> Iterator[bytes]:
        """Yields the contents of the archive's file from the offset on, in pieces.

        Raises Refused if the file cannot be read, or if its size is not the size in the archive's
        record. Also raises Refused after the last piece if `offset` is 0 and the checksum differs.
        """
        digest = hashlib.sha256()
        try:
            with self._file(archive).open("rb") as file:
                whole = os.fstat(file.fileno()).st_size == archive.size
                file.seek(offset)
                while whole and (piece := file.read(MOST_IN_PIECE)):
                    digest.update(piece)
                    yield piece
        except OSError as error:
            raise _missing(archive, error) from None
        if not whole or (not offset and digest.hexdigest() != archive.checksum):
            raise _altered(archive)

    @property
    def _folder(self) -> Path:
        if self._path is None:
            raise _unusable(NO_FOLDER)
        return self._path

    def _file(self, archive: ArchiveRecord) -> Path:
        return self._folder / archive.file

    def _finished(self, archive: ArchiveRecord) -> Path:
        return self._folder / f".{archive.file}"

    def _sync(self) -> None:
        """Makes the names of the files in the folder durable."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def archive_folder(path: Path | None, database: str) -> ArchiveFolder:
    """Returns the configured folder; for SQLite, the default is a folder beside the database."""
    if not database.startswith(PREFIX):
        return ArchiveFolder(path, make=False)
    file = sqlite_path(database)
    return ArchiveFolder(path or file.with_name(f"{file.name}.archives"), make=True)


def _unusable(why: str) -> Refused:
    text = f"this server cannot write archives: {why}"
    return Refused(Reason.ARCHIVE_FOLDER_NOT_WRITABLE, text)


def _missing(archive: ArchiveRecord, error: OSError) -> Refused:
    text = f"the file {archive.file} of archive {archive.id} cannot be read: {error.strerror}"
    return Refused(Reason.ARCHIVE_NOT_FOUND, text, archive=archive.id, state=archive.state.name)


def _altered(archive: ArchiveRecord) -> Refused:
    text = f"the file {archive.file} of archive {archive.id} is not the file that was written"
    return Refused(Reason.CHECKSUM_MISMATCH, text, archive=archive.id)
