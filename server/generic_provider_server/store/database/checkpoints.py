"""Writes the WAL of an SQLite database into the database file while the server works."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import structlog

PAUSE_SECONDS = 0.25

log = structlog.get_logger()


class Checkpoints:
    """Makes checkpoints in a thread of its own, at most four times a second, while there are
    commits.

    If commits made the checkpoints instead, each such commit would let all waiting calls wait for
    up to 60 ms longer.
    """

    def __init__(self, path: Path) -> None:
        self._source = f"{path.absolute().as_uri()}?mode=rw"  # never creates the file
        self._thread: Thread | None = None
        self._committed = Event()
        self._stopping = Event()

    def note_commit(self) -> None:
        self._committed.set()
        if self._thread is None:
            self._thread = Thread(target=self._work, name="checkpoints", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stops the thread. No commit may follow."""
        self._stopping.set()
        self._committed.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._stopping.wait(PAUSE_SECONDS):
            self._committed.wait()
            self._committed.clear()
            try:
                with closing(sqlite3.connect(self._source, uri=True)) as connection:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            except sqlite3.Error as error:  # a commit will fail too, and its caller is told
                log.warning("checkpoint_failed", error=str(error))
