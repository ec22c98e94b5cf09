"""Tests where claims begin to scan, and which providers count as providers without a ready lane."""

from __future__ import annotations

import weakref
from types import SimpleNamespace

import pytest

from generic_provider_server.store.memory.scan_start import ScanStarts


class Ready(dict[str, int]):
    """A dictionary that weak references can refer to."""


def scanned(starts: ScanStarts, *, found: int | None = None) -> int:
    """Scans the live lanes of SAT, and returns the start of the scan."""
    with starts.scan("SAT", 0) as scan:
        scan.found = found
    return scan.start


def test_what_became_ready_is_not_kept_one_by_one_while_no_claim_scans() -> None:
    starts, ready = ScanStarts(), Ready(SAT=1)
    kept = weakref.ref(ready)
    starts.note(ready)
    del ready

    assert kept() is None


def test_a_scan_begins_at_the_oldest_lane_of_all_notes() -> None:
    starts = ScanStarts()
    scanned(starts, found=100)
    starts.keep()
    for since in (70, 50, 60):
        starts.note({"SAT": since})

    assert scanned(starts) == 50


def test_scans_of_a_failed_transaction_move_no_start() -> None:
    starts = ScanStarts()
    scanned(starts, found=10)
    starts.keep()
    assert scanned(starts, found=20) == 10
    assert scanned(starts, found=30) == 20
    starts.forget()

    assert scanned(starts) == 10


def test_a_scan_of_the_whole_index_that_finds_no_lane_moves_no_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([0.0, 0.0, 10.0, 10.0, 10.5])
    clock = SimpleNamespace(monotonic=lambda: next(times))
    monkeypatch.setattr("generic_provider_server.store.memory.full_scan.time", clock)
    starts = ScanStarts()
    scanned(starts, found=100)

    assert scanned(starts) == 0
    assert scanned(starts) == 100


def test_a_provider_is_empty_only_after_the_commit() -> None:
    starts = ScanStarts()
    starts.note_empty("SAT")
    assert not starts.is_empty("SAT")
    starts.forget()
    starts.keep()
    assert not starts.is_empty("SAT")

    starts.note_empty("SAT")
    starts.keep()
    assert starts.is_empty("SAT")


def test_a_lane_that_becomes_ready_after_the_scan_leaves_no_provider_empty() -> None:
    starts = ScanStarts()
    scanned(starts)
    starts.note({"SAT": 5})
    starts.note_empty("SAT")
    starts.keep()

    assert not starts.is_empty("SAT")
