"""Tells whether the last sign of life of this process is so fresh that leases may be given."""

from __future__ import annotations

import math
import time


class Life:
    """The last sign of life that this process has written. Any thread may use this object.

    On SQLite a process writes no sign of life, and counts as alive at any time.
    """

    def __init__(self) -> None:
        self._until = math.inf

    def lasts(self, until: float) -> None:
        """Records that the process counts as alive until this time of the monotonic clock."""
        self._until = until

    def is_fresh(self) -> bool:
        return time.monotonic() < self._until
