"""Decides which commands are in the next group, so that neither adapters nor the CRM wait
for ever.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from .command import Asked
from .loaded import Needs

MOST_IN_GROUP = 400
"""The greatest size of a group, unless a single command in the group is very large. The size of a
command is the number of subscriptions that the command names, but at least `Needs.size`.
"""
SHARE = MOST_IN_GROUP // 4
"""Each group has room of this size for commands for which no adapter waits, even while adapters are
active.
"""
SEARCH = MOST_IN_GROUP // 20
"""The size of a command of an adapter that searches for subscriptions, for example of a claim. A
claim can find hundreds of subscriptions, but mostly finds few.
"""


class CommandQueue:
    """A queue of the commands for which an adapter waits, and a queue of all other commands.

    Each group begins with the commands of adapters, so adapters do not wait for the queue of the
    CRM. While other commands wait, the commands of adapters fill at most half of a group, so the
    CRM does not wait long for adapters.
    """

    def __init__(self) -> None:
        self._adapters: deque[Asked[Any]] = deque()
        self._others: deque[Asked[Any]] = deque()
        self._adapters_work = False

    def __len__(self) -> int:
        return len(self._adapters) + len(self._others)

    def add(self, asked: Asked[Any]) -> None:
        (self._adapters if asked.needs.for_adapter else self._others).append(asked)

    def next_group(self) -> list[Asked[Any]]:
        """Returns the commands of the next group.

        While adapters are active, all other commands in the group together have at most the size of
        the commands of adapters, or the size `SHARE` if that is greater. With this limit, actions
        do not create requests faster than adapters answer requests. Adapters count as active if
        this group or the previous group has a command of an adapter, because a round trip of an
        adapter takes two groups.
        """
        group, size = _taken(self._adapters, MOST_IN_GROUP // 2 if self._others else MOST_IN_GROUP)
        worked, self._adapters_work = self._adapters_work, bool(group)
        most = SHARE if worked or group else MOST_IN_GROUP
        return group + _taken(self._others, max(most, size))[0]


def _taken(waiting: deque[Asked[Any]], most: int) -> tuple[list[Asked[Any]], int]:
    """Takes commands from the front of the queue up to the size `most`, but at least one command.
    Returns the commands and the sum of their sizes.
    """
    taken: list[Asked[Any]] = []
    size = 0
    while waiting:
        more = size_of(waiting[0].needs)
        if taken and size + more > most:
            break
        taken.append(waiting.popleft())
        size += more
    return taken, size


def size_of(needs: Needs) -> int:
    searches = needs.searches and needs.for_adapter
    return SEARCH if searches else max(needs.size, len(needs.subscriptions))
