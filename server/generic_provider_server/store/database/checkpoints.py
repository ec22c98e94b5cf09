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
        self.failure: Exception | None = None
        self._thread: Thread | None = None
        self._committed = Event()
        self._stopping = Event()

    def start(self) -> None:
        """Starts the thread, unless it runs already.

        Call this function before a transaction: if the process may have no further thread, nothing
        is committed yet.
        """
        if self._thread is None:
            thread = Thread(target=self._work, name="checkpoints", daemon=True)
            thread.start()
            self._thread = thread

    def note_commit(self) -> None:
        self._committed.set()

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
            except Exception as error:  # the thread must not end
                if self.failure is None:
                    unexpected = not isinstance(error, sqlite3.Error)
                    log.warning("checkpoint_failed", error=str(error), exc_info=unexpected)
                self.failure = error
            else:
                self.failure = None
