"""Where to begin to look for the oldest that is ready.

While any old snapshot is open PostgreSQL keeps dead entries in its indexes, and those of what was
handed over lie before those of what is ready. So a claim begins where the last one did, unless
something older was told of; from time to time it looks at everything.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

EVERYTHING_SECONDS = 1.0
SHARE = 20
"""Looking at everything takes at most so small a part of the time."""

Lane = tuple[str, int]


class Oldest:
    """Told by any thread, asked by the writer's."""

    def __init__(self) -> None:
        self._told: deque[Mapping[str, int]] = deque()
        self._starts: dict[Lane, int] = {}
        self._everything_at: dict[Lane, float] = {}

    def tell(self, woken: Mapping[str, int]) -> None:
        """By provider, the age of the oldest that became ready."""
        if woken:
            self._told.append(woken)

    @contextmanager
    def look(self, provider: str, bulk: int) -> Iterator[Look]:
        lane = provider, bulk
        self._take_told()
        began = time.monotonic()
        everything = began >= self._everything_at.get(lane, 0.0)
        look = Look(0 if everything else self._starts.get(lane, 0))
        yield look
        self._starts[lane] = look.found if look.found is not None else look.start
        if everything:
            took = time.monotonic() - began
            self._everything_at[lane] = began + max(EVERYTHING_SECONDS, SHARE * took)

    def _take_told(self) -> None:
        while self._told:
            woken = self._told.popleft()
            for lane, start in self._starts.items():
                self._starts[lane] = min(start, woken.get(lane[0], start))


class Look:
    """`found`: the age of the first that was found at `start` or later."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.found: int | None = None
