"""Tests how long groups wait for the locks of other sessions."""

from __future__ import annotations

from generic_provider_server.store.write.blocked import LockWaits


def test_waits_rise_at_once_and_fall_slowly_with_the_duration_of_groups() -> None:
    waits = LockWaits(longest=1.0)
    assert (waits.first([]), waits.again) == (0.3, 0.005)

    waits.got(0.1)
    assert (round(waits.first([]), 3), round(waits.again, 3)) == (0.4, 0.1)

    waits.got(3.0)
    assert (waits.first([]), waits.again) == (1.0, 1.0)

    waits.got(0.001)
    assert (waits.first([]), waits.again) == (1.0, 1.0)
    for _ in range(100):
        waits.got(0.001)
    assert (waits.first([]), waits.again) == (0.3, 0.005)


def test_waits_grow_while_no_group_gets_its_locks() -> None:
    waits = LockWaits(longest=1.0)
    for _ in range(4):
        waits.failed()
    assert (waits.first([]), waits.again) == (1.0, 1.0)

    waits.got(0.0)
    assert (waits.first([]), waits.again) == (0.3, 0.005)
