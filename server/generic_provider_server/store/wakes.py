"""Waking the other processes: at most once in 20 ms for each provider."""

from __future__ import annotations

import time
from collections.abc import Iterator

from .committed import Committed

WAKE_SECONDS = 0.02


class Wakes:
    """`untold`: providers whose wake-up is still to be told."""

    def __init__(self, server: str) -> None:
        self.untold: set[str] = set()
        self._server = server
        self._told_at: dict[str, float] = {}
        self._telling: set[str] = set()

    def messages(self, committed: Committed) -> Iterator[str]:
        """What the others are to hear now of a commit."""
        self.untold |= committed.woken
        then = time.monotonic() - WAKE_SECONDS
        self._telling = {each for each in self.untold if self._told_at.get(each, 0.0) <= then}
        return committed.messages(self._server, woken=self._telling)

    def were_told(self) -> None:
        """The commit was successful."""
        now = time.monotonic()
        self._told_at.update(dict.fromkeys(self._telling, now))
        self.untold -= self._telling
        self._telling = set()
