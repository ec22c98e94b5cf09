"""Decides how much background work one transaction does."""

from __future__ import annotations

from ..store.notices.notice import Notice
from ..store.store import Store

SHORT, LONG = 0.005, 0.04
"""The seconds that a transaction should take: few while others use the writer, more and more while
nobody does.
"""
GROWTH = 1.5


class Portion:
    """The `size` is the number of things that the next transaction of a work does, from `least` to
    `most`.

    The work calls `done` after each transaction. `others`: whether anybody else has used the writer
    since the previous call.
    """

    def __init__(self, store: Store, *, least: int, most: int) -> None:
        self.size = least
        self.others = True
        self._least, self._most = least, most
        self._target = SHORT
        self._commands, self._seconds = 0, 0.0
        store.listeners.committed.append(self._note)

    def done(self, size: int = 0, *, commands: int = 1) -> None:
        """Notes what the last transaction did, with so many commands of the work."""
        self.others, self._commands = self._commands > commands, 0
        self._target = SHORT if self.others else min(LONG, GROWTH * self._target)
        if size and self._seconds:
            fitting = int(size * self._target / self._seconds)
            self.size = max(self._least, min(self._most, fitting))

    def _note(self, notice: Notice) -> None:
        self._commands += notice.tally.commands
        self._seconds = notice.tally.seconds
