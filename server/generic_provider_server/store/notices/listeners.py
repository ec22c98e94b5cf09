"""Calls the functions that are registered for commits, or for the state of the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from .notice import Notice

WRITER, SIGN_OF_LIFE = "writer", "sign of life"

log = structlog.get_logger()


class Listeners:
    """Lists of functions. Any part of the server may append a function to a list; the functions of
    a list are called in order.

    `before_commit`: called on the writer's thread with each Transaction, after the commands that do
    not search have run, and before their changes are written. `at_once`: called immediately after
    each commit, on the thread that has committed or has received the notification of another
    process. The functions of all other lists are called on the event loop.

    `committed`: called after each commit of this process, before the callers get their answers, and
    after each notification about a commit of another process. `missed`: called because this process
    may have missed notifications of commits: when the writer's connection to the database was lost,
    and when the connection that receives notifications is open again. `reached`: called with False
    when the writer or the sign of life cannot reach the database, or the database is damaged.
    Called with True when the writer and the sign of life can both reach the database again.
    """

    def __init__(self) -> None:
        self.before_commit: list[Callable[[Any], None]] = []
        self.at_once: list[Callable[[Notice], None]] = []
        self.committed: list[Callable[[Notice], None]] = []
        self.missed: list[Callable[[], None]] = []
        self.reached: list[Callable[[bool], None]] = []
        self._damaged = False
        self._unreached: set[str] = set()

    def notify_before_commit(self, transaction: object) -> None:
        _call(self.before_commit, transaction)

    def notify_at_once(self, notice: Notice) -> None:
        _call(self.at_once, notice)

    def notify_committed(self, notice: Notice) -> None:
        _call(self.committed, notice)

    def notify_missed(self) -> None:
        _call(self.missed)

    def notify_lost(self) -> None:
        """Reports that the writer cannot reach the database.

        Nobody knows whether the running transaction was committed.
        """
        _call(self.missed)
        self._cannot_reach(WRITER)

    def notify_unreachable(self) -> None:
        """Reports that the sign of life could not be written.

        Unlike `notify_lost`, this function does not call the functions in `missed`, so that the
        streams continue.
        """
        self._cannot_reach(SIGN_OF_LIFE)

    def notify_found(self) -> None:
        """Reports that the writer can reach the database again."""
        self._can_reach(WRITER)

    def notify_reachable(self) -> None:
        """Reports that the sign of life could be written again."""
        self._can_reach(SIGN_OF_LIFE)

    def _cannot_reach(self, part: str) -> None:
        self._unreached.add(part)
        _call(self.reached, False)  # noqa: FBT003 - the listeners' only argument

    def _can_reach(self, part: str) -> None:
        self._unreached.discard(part)
        if not self._damaged and not self._unreached:
            _call(self.reached, True)  # noqa: FBT003

    def notify_damaged(self, error: BaseException) -> None:
        """Reports that the database is damaged.

        The database counts as damaged from now on, even if the server can read and write most of
        the data.
        """
        if not self._damaged:
            log.error("database_damaged", error=str(error))
            self._damaged = True
        _call(self.reached, False)  # noqa: FBT003


def _call(listeners: list[Any], *arguments: object) -> None:
    """Calls the listeners. If a listener fails, its error is logged, and the other listeners are
    called.
    """
    for listener in listeners:
        try:
            listener(*arguments)
        except Exception:
            log.exception("listener_failed")
