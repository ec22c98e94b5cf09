"""Notifies other processes of ready lanes at most once in 20 ms for each provider."""

from __future__ import annotations

import time
from collections.abc import Iterator

from .notice import Notice

PAUSE_SECONDS = 0.02


class Throttle:
    """Collects notifications about ready lanes until they may be sent.

    `unsent`: the providers of these lanes, each with the time since which the provider's oldest new
    ready lane is ready.
    """

    def __init__(self, server: str) -> None:
        self.unsent: dict[str, int] = {}
        self._server = server
        self._sent_at: dict[str, float] = {}
        self._sending: set[str] = set()

    def messages(self, notice: Notice) -> Iterator[str]:
        """Returns the messages that the current commit sends."""
        for provider, since in notice.ready.items():
            self.unsent[provider] = min(since, self.unsent.get(provider, since))
        then = time.monotonic() - PAUSE_SECONDS
        self._sending = {each for each in self.unsent if self._sent_at.get(each, 0.0) <= then}
        ready = {provider: self.unsent[provider] for provider in self._sending}
        return notice.messages(self._server, ready=ready)

    def sent(self) -> None:
        """Records that the commit has sent the messages."""
        now = time.monotonic()
        for provider in self._sending:
            self._sent_at[provider] = now
            self.unsent.pop(provider, None)
        self._sending = set()

    def forget(self) -> None:
        """Drops the messages that were not sent. The other processes find the ready lanes a little
        later, with their next regular query for ready lanes.
        """
        self.unsent.clear()
