"""Decides where a claim begins to scan the ready lanes, and whether the claim needs to scan at all.
A claim is a command that searches for ready lanes and hands their requests over.

While an old snapshot is open, PostgreSQL keeps dead entries in its indexes. The dead entries belong
to lanes that were handed over, and precede the entries of ready lanes. So a claim scans only lanes
that became ready at or after a certain instant: the instant since which the first lane of the last
claim was ready, or an earlier instant if a commit has since stored a lane that is ready since then.
From time to time a claim scans the whole index.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from .full_scan import FullScan

FULL_SCAN_SECONDS = 1.0

Lanes = tuple[str, int]
"""Identifies the live or the bulk lanes of a provider: the code of the provider, and 0 for live
lanes or 1 for bulk lanes.
"""


class ScanStarts:
    """Keeps the instants from which claims scan the live and the bulk lanes of each provider, and
    the providers without a ready lane.

    Any thread records lanes that became ready; only the writer's thread scans.
    """

    def __init__(self) -> None:
        self._empty: set[str] = set()
        self._noted: deque[Mapping[str, int]] = deque()
        self._starts: dict[Lanes, int] = {}
        self._full_scans: defaultdict[Lanes, FullScan] = defaultdict(
            partial(FullScan, FULL_SCAN_SECONDS)
        )

    def note(self, ready: Mapping[str, int]) -> None:
        """Records new ready lanes. `ready`: for each provider, the instant since which the oldest
        of its new ready lanes is ready.
        """
        if ready:
            self._empty -= ready.keys()
            self._noted.append(ready)

    def note_empty(self, provider: str) -> None:
        """Records that the running transaction has handed over all ready lanes of a provider."""
        self._empty.add(provider)

    def is_empty(self, provider: str) -> bool:
        """Tells whether the provider has no ready lane, as far as this process knows."""
        return provider in self._empty

    def forget(self) -> None:
        """Forgets which providers had no ready lane."""
        self._empty.clear()

    @contextmanager
    def scan(self, provider: str, bulk: int) -> Iterator[Scan]:
        lanes = provider, bulk
        self._apply_noted()
        with self._full_scans[lanes].turn() as everything:
            scan = Scan(0 if everything else self._starts.get(lanes, 0))
            yield scan
            self._starts[lanes] = scan.start if scan.found is None else scan.found

    def _apply_noted(self) -> None:
        while self._noted:
            ready = self._noted.popleft()
            for lanes, start in self._starts.items():
                self._starts[lanes] = min(start, ready.get(lanes[0], start))


class Scan:
    """One scan of ready lanes. The scan finds only lanes that have been ready since the instant
    `start` or a later instant.

    `found`: the instant since which the first found lane is ready; None if the scan found no lane.
    """

    def __init__(self, start: int) -> None:
        self.start = start
        self.found: int | None = None
