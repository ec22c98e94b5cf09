"""Notifies other processes of ready lanes at most once in 20 ms for each provider."""

from __future__ import annotations

import time
from collections.abc import Iterator

from .notice import Committed

WAKE_SECONDS = 0.02


class Wakes:
    """`untold`: for each provider of which the others are still to be notified, the age of the
    oldest lane.
    """

    def __init__(self, server: str) -> None:
        self.untold: dict[str, int] = {}
        self._server = server
        self._told_at: dict[str, float] = {}
        self._telling: set[str] = set()

    def messages(self, committed: Committed) -> Iterator[str]:
        """The messages to send now, with this commit."""
        for provider, age in committed.woken.items():
            self.untold[provider] = min(age, self.untold.get(provider, age))
        then = time.monotonic() - WAKE_SECONDS
        self._telling = {each for each in self.untold if self._told_at.get(each, 0.0) <= then}
        telling = {provider: self.untold[provider] for provider in self._telling}
        return committed.messages(self._server, woken=telling)

    def forget(self) -> None:
        """Drops what was not sent. The other processes poll a little later anyway."""
        self.untold.clear()

    def were_told(self) -> None:
        """Called when the commit was successful."""
        now = time.monotonic()
        for provider in self._telling:
            self._told_at[provider] = now
            self.untold.pop(provider, None)
        self._telling = set()
