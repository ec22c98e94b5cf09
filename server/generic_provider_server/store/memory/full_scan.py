"""When something costly is done again: seldom, and the more so the longer it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 20
"""It takes at most 1/20 of the time."""


class FullScan:
    """Says when everything is to be looked through again, `seconds` after the last time or later.

    In between, those who scan look only at what they know to be new.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due_at = 0.0

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Gives whether this turn, the block, is a full scan; the block's time counts."""
        began = time.monotonic()
        due = began >= self._due_at
        yield due
        if due:
            took = time.monotonic() - began
            self._due_at = began + max(self._seconds, SHARE * took)
