"""Calls whoever wants to know of commits and of the state of the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from .notice import Notice

log = structlog.get_logger()


class Listeners:
    """Lists of functions that are called in their order. Anybody may add one.

    Those of `at_once` are called on the thread that has committed, or has received the notification
    of another process's commit, before it does anything else. All others are called on the event
    loop.

    Those of `committed` are called after each commit of any process, before the callers of this
    process get their answers. Those of `missed` are called when a connection was lost, so that
    commits may be unknown here. Those of `reached` are called with False when the database cannot
    be reached, and with True when it can be reached again.
    """

    def __init__(self) -> None:
        self.at_once: list[Callable[[Notice], None]] = []
        self.committed: list[Callable[[Notice], None]] = []
        self.missed: list[Callable[[], None]] = []
        self.reached: list[Callable[[bool], None]] = []

    def tell_at_once(self, notice: Notice) -> None:
        _call(self.at_once, notice)

    def tell_committed(self, notice: Notice) -> None:
        _call(self.committed, notice)

    def tell_missed(self) -> None:
        _call(self.missed)

    def tell_lost(self) -> None:
        """The group that was being written may have been committed; nobody knows."""
        _call(self.missed)
        _call(self.reached, False)  # noqa: FBT003 - the listeners' only argument

    def tell_found(self) -> None:
        _call(self.reached, True)  # noqa: FBT003


def _call(listeners: list[Any], *arguments: object) -> None:
    """Logs the error of a listener that fails, and calls the others."""
    for listener in listeners:
        try:
            listener(*arguments)
        except Exception:
            log.exception("listener_failed")
