"""Decides how many pieces of background work (rows or subscriptions) one transaction processes."""

from __future__ import annotations

from ..store.notices.notice import Notice
from ..store.store import Store

SHORT = 0.003
"""The target duration of one transaction, in seconds, while other commands use the writer."""
GROWTH = 1.5
TURNS = 4
"""A task may process at least one piece for every TURNS other commands, so that the task always
makes progress.
"""


class TransactionSize:
    """The size of the transactions of one background task.

    `size`: how many pieces of work (rows or subscriptions) the next transaction of the task
    processes, from `least` to `most`. The task calls `done` after each transaction. `others`:
    whether other commands have used the writer since the previous call of `done`. `seconds`: the
    duration of the last transaction, which may also have run other commands. `longest`: while
    no other commands use the writer, the transactions grow until they take this number of seconds.
    """

    def __init__(self, store: Store, *, least: int, most: int, longest: float) -> None:
        self.size = least
        self.others = True
        self.seconds = 0.0
        self._least, self._most, self._longest = least, most, longest
        self._target = SHORT
        self._commands = 0
        store.listeners.committed.append(self._note)

    def done(self, size: int = 0, *, commands: int = 1) -> None:
        """Computes the next size.

        `size`: the number of pieces of work that the last transaction processed. `commands`: the
        number of the task's commands in that transaction.
        """
        others, self._commands = self._commands - commands, 0
        self.others = others > 0
        self._target = SHORT if self.others else min(self._longest, GROWTH * self._target)
        if size and self.seconds:
            fitting = int(size * self._target / self.seconds)
            least = max(self._least, others // TURNS)
            self.size = min(self._most, max(least, fitting))

    def _note(self, notice: Notice) -> None:
        self._commands += notice.tally.commands
        self.seconds = notice.tally.seconds
