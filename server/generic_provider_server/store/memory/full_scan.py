"""Decides when a costly scan runs: the longer it takes, the less often."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 20
"""The largest share of the time that full scans may take."""


class FullScan:
    """Tells when to scan everything: at least `seconds` after the last time.

    In between, those who scan read only what they know to be new.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due_at = 0.0

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Yields whether this turn, the block, is a full scan, and measures how long the block
        takes.
        """
        began = time.monotonic()
        due = began >= self._due_at
        yield due
        if due:
            took = time.monotonic() - began
            self._due_at = began + max(self._seconds, SHARE * took)
