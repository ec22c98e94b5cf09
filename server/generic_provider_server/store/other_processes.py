"""Measures for how long other processes have written no sign of life."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping

from .waits import Waits


class Others:
    """The last changes of the signs of life of other processes.

    The age of a change is measured with the monotonic clock of this process. The age includes only
    time in which this process has read the signs regularly. After a pause in which this process
    read no signs, the silence of every other process counts from 0 again. `signs`: the signs of
    life at the last reading.
    """

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._lock = threading.Lock()
        self.signs: Mapping[str, int] = {}
        self._changed: dict[str, float] = {}
        self._seen_at = -math.inf

    def observe(self, signs: Mapping[str, int], *, at: float) -> None:
        """Records the signs of life of all processes. `at`: the time at which the signs of life
        were read.
        """
        with self._lock:
            if at - self._seen_at > self._waits.fresh:
                self._changed = dict.fromkeys(self._changed, at)
            for server, sign in signs.items():
                if self.signs.get(server) != sign:
                    self._changed[server] = at
            self.signs, self._seen_at = signs, at

    def silent_for(self, server: str, *, at: float) -> float:
        """Returns the seconds since the server's last sign of life.

        If this process has never read a sign of life of the server, the seconds count from the
        first call of this function for that server.
        """
        return self.last_of(server, at=at)[1]

    def last_of(self, server: str, *, at: float) -> tuple[int | None, float]:
        """Returns the server's last sign of life, and for how many seconds the server has been
        silent.

        The seconds are 0 if this process has not read the signs of life recently.
        """
        with self._lock:
            silent = max(0.0, self._seen_at - self._changed.setdefault(server, at))
            is_known = at - self._seen_at <= self._waits.fresh
            return self.signs.get(server), silent if is_known else 0.0

    def gone(self, *, at: float) -> dict[str, int]:
        """Returns the servers that have been silent for `Waits.patience` or longer, each with its
        last sign of life.
        """
        return {
            server: sign
            for server, sign in self.signs.items()
            if self.silent_for(server, at=at) >= self._waits.patience
        }
