"""Locks the file of an SQLite database against other servers, and detects that the file was
removed.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .engine import StoreGone, StoreInUse, StoreLost, UnsupportedDatabase

FileIdentity = tuple[int, int]
"""Identifies a file by its device and inode, independent of its name."""

_held: set[FileIdentity] = set()


def check_folder(path: Path) -> None:
    """Raises UnsupportedDatabase if the file's folder does not exist."""
    if not path.parent.is_dir():
        raise UnsupportedDatabase(
            f"there is no folder {path.parent} for the database {path.name}: create the folder, "
            "or correct the path"
        )


class SqliteFile:
    """Holds the lock on the file from before the first connection opens until after the last
    connection closes.

    Besides this class, only SQLite may open the file in this process: when any other descriptor of
    the file is closed, SQLite loses its own locks. Without these locks, the next program that opens
    the file with SQLite would delete the WAL with acknowledged changes.
    """

    def __init__(self, path: Path) -> None:
        """Creates the file if it is missing, readable for the owner only. Does not create a missing
        folder, because otherwise a wrong path would lead to an empty database.

        Raises StoreInUse if another server uses the file, and UnsupportedDatabase if the folder is
        missing.
        """
        check_folder(path)
        self._path = path
        # to open and close a file that this process uses would release the locks of SQLite
        if _identity_at(path) in _held:
            raise self._in_use()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise self._in_use() from None
        self._identity = _identity_of(os.fstat(self._descriptor))
        _held.add(self._identity)
        real = path.resolve()
        self._wal_path = real.with_name(real.name + "-wal")
        self._wal: FileIdentity | None = None

    def note_wal(self) -> None:
        """Records the identity of the WAL. After this call a connection must stay open, because
        closing the last connection removes the WAL. Raises StoreLost if the WAL cannot be examined.
        """
        self._wal = self._wal or _examined(self._wal_path)

    def check(self) -> None:
        """Raises StoreGone if the file in use, or its WAL, was moved or removed, and StoreLost if
        one of the files cannot be examined.
        """
        if _examined(self._path) != self._identity:
            raise StoreGone(f"the database file {self._path} was removed or replaced")
        if self._wal is not None and _examined(self._wal_path) != self._wal:
            raise StoreGone(f"the file {self._wal_path} was removed or replaced")

    def close(self) -> None:
        """Releases the lock. Call this function after the last connection was closed."""
        _held.discard(self._identity)
        os.close(self._descriptor)

    def _in_use(self) -> StoreInUse:
        return StoreInUse(
            f"database {self._path} is in use by another server (`fuser {self._path}` names its "
            "process); stop that server first, or serve another --database"
        )


def _examined(path: Path) -> FileIdentity | None:
    """Returns the identity of the file that has this name now.

    Raises StoreLost if the identity is not known, for example because the folder may not be read.
    After this StoreLost, a committed change must neither be acknowledged nor be made again.
    """
    try:
        return _identity_at(path)
    except OSError as error:
        raise StoreLost(f"{path} cannot be examined: {error.strerror}") from error


def _identity_at(path: Path) -> FileIdentity | None:
    try:
        return _identity_of(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _identity_of(status: os.stat_result) -> FileIdentity:
    return status.st_dev, status.st_ino
