"""Decides when a costly scan runs: the longer the scan takes, the less often the scan runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 20
"""Full scans take at most the fraction 1/SHARE of the time."""


class FullScan:
    """Decides when a costly scan of all rows runs: at the earliest `seconds` after the last
    scan, and later if the last scan took long.

    Between two scans of all rows, the code that uses this class scans only some rows, or none.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due_at = 0.0

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Yields whether the `with` block must scan all rows, and measures the duration of the
        block.
        """
        began = time.monotonic()
        due = began >= self._due_at
        yield due
        if due:
            took = time.monotonic() - began
            self._due_at = began + max(self._seconds, SHARE * took)
