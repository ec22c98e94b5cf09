"""Decides where a claim begins to scan the ready lanes, and whether the claim needs to scan at all.
A claim is a command that searches for ready lanes and hands their requests over.

While an old snapshot is open, PostgreSQL keeps dead entries in its indexes. In the index of ready
lanes, dead entries of lanes that were handed over precede the entries of ready lanes. To skip
these dead index entries, a claim scans only lanes that have been ready since the start instant or a
later instant. The start instant is the instant since which the first lane that the last claim found
had been ready. If a commit stores a lane that has been ready since an earlier instant, the earlier
instant becomes the start instant. From time to time a claim scans the whole index.
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
    """Keeps the start instants of the claims for the live and for the bulk lanes of each provider,
    and the providers without a ready lane.

    Any thread records lanes that became ready; only the writer's thread calls the other functions,
    except `is_empty`. The records of a transaction count only after `keep`. `_noted`: for the live
    and the bulk lanes of each provider, the instant since which the oldest lane that was recorded
    after the last scan has been ready.
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
        new ready lane is ready.
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
        """Keeps the records of the running transaction, because the transaction was committed."""
        self._starts.update(self._moved)
        with self._lock:
            # a lane that became ready after the scan was not handed over by this transaction
            noted = self._noted.keys()
            self._empty.update(p for p in self._emptied if noted.isdisjoint(_lanes_of(p)))
        self._drop()

    def forget(self) -> None:
        """Forgets the records of the running transaction, because the transaction has failed. Also
        forgets which providers had no ready lane.
        """
        with self._lock:
            self._empty.clear()
        self._drop()

    def begin_anew(self) -> None:
        """Lets the next scans find all ready lanes, because nobody knows which are new."""
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
