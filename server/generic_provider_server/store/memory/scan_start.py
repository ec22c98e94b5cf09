"""Where a claim begins to scan the lanes that are ready.

While any old snapshot is open, PostgreSQL keeps dead entries in its indexes, and the entries of
what was handed over lie before those of what is ready. So a claim begins where the last one found
something, unless a commit made an older lane ready; from time to time it scans all of them.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from .full_scan import FullScan

FULL_SCAN_SECONDS = 1.0

Queue = tuple[str, int]
"""A provider, and which of its queues: 0 for live requests, 1 for bulk."""


class ScanStarts:
    """Any thread records what became ready; only the writer's thread scans."""

    def __init__(self) -> None:
        self._noted: deque[Mapping[str, int]] = deque()
        self._starts: dict[Queue, int] = {}
        self._full_scans: defaultdict[Queue, FullScan] = defaultdict(
            partial(FullScan, FULL_SCAN_SECONDS)
        )

    def note(self, ready: Mapping[str, int]) -> None:
        """Records `ready`: for each provider, since when its oldest newly ready lane has been
        ready.
        """
        if ready:
            self._noted.append(ready)

    @contextmanager
    def scan(self, provider: str, bulk: int) -> Iterator[Scan]:
        queue = provider, bulk
        self._take_noted()
        with self._full_scans[queue].turn() as everything:
            scan = Scan(0 if everything else self._starts.get(queue, 0))
            yield scan
            self._starts[queue] = scan.start if scan.found is None else scan.found

    def _take_noted(self) -> None:
        while self._noted:
            ready = self._noted.popleft()
            for queue, start in self._starts.items():
                self._starts[queue] = min(start, ready.get(queue[0], start))


class Scan:
    """`start`: the instant at which to begin.

    `found`: since when the first lane found has been ready.
    """

    def __init__(self, start: int) -> None:
        self.start = start
        self.found: int | None = None
