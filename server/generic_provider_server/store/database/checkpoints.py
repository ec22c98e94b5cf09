"""Makes checkpoints while the server works: writes the WAL (write-ahead log) of an SQLite database
into the database file.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Event, Thread

import structlog

PAUSE_SECONDS = 0.25

log = structlog.get_logger()


class Checkpoints:
    """Makes checkpoints in a thread of its own, at most four times a second, while there are
    commits.

    If a commit made a checkpoint instead, all waiting calls would wait up to 60 ms longer.
    `failure`: the error of the last checkpoint; None if this checkpoint succeeded.
    """

    def __init__(self, path: Path) -> None:
        """Opens the connection for checkpoints. This connection stays open, because a connection
        that is opened later could open another file with the same name, and write the WAL into that
        file.
        """
        source = f"{path.absolute().as_uri()}?mode=rw"  # in mode rw SQLite never creates the file
        self._connection = sqlite3.connect(source, uri=True, check_same_thread=False)
        self.failure: sqlite3.Error | None = None
        self._thread: Thread | None = None
        self._committed = Event()
        self._stopping = Event()

    def note_commit(self) -> None:
        self._committed.set()
        if self._thread is None:
            self._thread = Thread(target=self._work, name="checkpoints", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stops the thread and closes the connection. No commit may follow."""
        self._stopping.set()
        self._committed.set()
        if self._thread is not None:
            self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        while not self._stopping.wait(PAUSE_SECONDS):
            self._committed.wait()
            self._committed.clear()
            try:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.Error as error:
                if self.failure is None:
                    log.warning("checkpoint_failed", error=str(error))
                self.failure = error
            else:
                self.failure = None
