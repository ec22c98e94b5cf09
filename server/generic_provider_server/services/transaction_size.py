"""Decides how much background work one transaction does."""

from __future__ import annotations

from ..store.notices.notice import Notice
from ..store.store import Store

SHORT, LONG = 0.005, 0.04
"""The target duration of one transaction, in seconds: SHORT while others use the writer; otherwise
it grows up to LONG.
"""
GROWTH = 1.5
TURNS = 4
"""A task processes at least one item for this many commands of others, so it never starves."""


class TransactionSize:
    """The size of the transactions of one background task.

    `size`: how many items the next transaction of the task processes, from `least` to `most`. The
    task calls `done` after each transaction. `others`: whether anybody else has used the writer
    since the previous call of `done`. `seconds`: how long the last transaction took, whoever it
    was for.
    """

    def __init__(self, store: Store, *, least: int, most: int) -> None:
        self.size = least
        self.others = True
        self.seconds = 0.0
        self._least, self._most = least, most
        self._target = SHORT
        self._commands = 0
        store.listeners.committed.append(self._note)

    def done(self, size: int = 0, *, commands: int = 1) -> None:
        """Computes the next size from the last transaction.

        `size`: the items that it processed. `commands`: the commands of the task in it.
        """
        others, self._commands = self._commands - commands, 0
        self.others = others > 0
        self._target = SHORT if self.others else min(LONG, GROWTH * self._target)
        if size and self.seconds:
            fitting = int(size * self._target / self.seconds)
            least = max(self._least, others // TURNS)
            self.size = min(self._most, max(least, fitting))

    def _note(self, notice: Notice) -> None:
        self._commands += notice.tally.commands
        self.seconds = notice.tally.seconds
