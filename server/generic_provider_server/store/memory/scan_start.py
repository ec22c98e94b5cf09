"""Decides where a claim begins to scan the ready lanes, and whether the claim needs to scan at all.
A claim is a command that searches for ready lanes and hands their requests over.

While an old snapshot is open, PostgreSQL keeps dead entries in its indexes. The dead entries belong
to lanes that were handed over, and precede the entries of ready lanes. So a claim scans only lanes
that became ready at or after a certain instant: the instant since which the first lane of the last
claim was ready, or an earlier instant if a commit has since stored a lane that is ready since then.
From time to time a claim scans the whole index.
"""

from __future__ import annotations

import threading
from collections import defaultdict
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

    Any thread records lanes that became ready; only the writer's thread calls the other functions,
    except `is_empty`. What a transaction records counts only after `keep`. `_noted`: the lanes that
    became ready since the last scan, each with the time since which the oldest of them is ready.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._empty: set[str] = set()
        self._emptied: set[str] = set()
        self._noted: dict[Lanes, int] = {}
        self._starts: dict[Lanes, int] = {}
        self._moved: dict[Lanes, int] = {}
        self._full_scans: defaultdict[Lanes, FullScan] = defaultdict(
            partial(FullScan, FULL_SCAN_SECONDS)
        )

    def note(self, ready: Mapping[str, int]) -> None:
        """Records new ready lanes. `ready`: for each provider, the instant since which the oldest
        of its new ready lanes is ready.
        """
        with self._lock:
            self._empty.difference_update(ready)
            for provider, since in ready.items():
                for lanes in _lanes_of(provider):
                    self._noted[lanes] = min(since, self._noted.get(lanes, since))

    def note_empty(self, provider: str) -> None:
        """Records that the running transaction has handed over all ready lanes of a provider."""
        self._emptied.add(provider)

    def is_empty(self, provider: str) -> bool:
        """Tells whether the provider has no ready lane, as far as this process knows."""
        return provider in self._empty

    def keep(self) -> None:
        """Keeps what the running transaction has recorded, because it was committed."""
        self._starts.update(self._moved)
        with self._lock:
            # a lane that became ready since the scan is not among those that were handed over
            noted = self._noted.keys()
            self._empty.update(p for p in self._emptied if noted.isdisjoint(_lanes_of(p)))
        self._drop()

    def forget(self) -> None:
        """Forgets what the running transaction has recorded, because it has failed. Also forgets
        which providers had no ready lane.
        """
        with self._lock:
            self._empty.clear()
        self._drop()

    def begin_anew(self) -> None:
        """Lets the next scans find all lanes, because nobody knows which lanes became ready."""
        self.forget()
        self._starts.clear()

    def _drop(self) -> None:
        self._moved.clear()
        self._emptied.clear()

    @contextmanager
    def scan(self, provider: str, bulk: int) -> Iterator[Scan]:
        lanes = provider, bulk
        self._apply_noted(lanes)
        start = self._moved.get(lanes, self._starts.get(lanes, 0))
        with self._full_scans[lanes].turn() as everything:
            scan = Scan(0 if everything else start)
            yield scan
            self._moved[lanes] = start if scan.found is None else scan.found

    def _apply_noted(self, lanes: Lanes) -> None:
        with self._lock:
            noted = self._noted.pop(lanes, None)
        for starts in (self._starts, self._moved):
            if noted is not None and lanes in starts:
                starts[lanes] = min(starts[lanes], noted)


def _lanes_of(provider: str) -> tuple[Lanes, Lanes]:
    return (provider, 0), (provider, 1)


class Scan:
    """One scan of ready lanes. The scan finds only lanes that have been ready since the instant
    `start` or a later instant.

    `found`: the instant since which the first found lane is ready; None if the scan found no lane.
    """

    def __init__(self, start: int) -> None:
        self.start = start
        self.found: int | None = None
