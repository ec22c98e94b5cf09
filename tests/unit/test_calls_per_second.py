"""Tests how long background work pauses while calls change something."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from generic_provider_server.services import calls_per_second
from generic_provider_server.services.calls_per_second import CallsPerSecond
from generic_provider_server.store.notices.listeners import Listeners
from generic_provider_server.store.notices.notice import Notice


@pytest.mark.parametrize(("calls", "pauses"), [(0, 0.0), (10, 0.25), (150, 3.75), (1_000, 4.0)])
def test_the_pauses_are_longer_while_there_are_more_calls(
    monkeypatch: pytest.MonkeyPatch, calls: int, pauses: float
) -> None:
    now = [100.0]
    monkeypatch.setattr(calls_per_second, "time", SimpleNamespace(monotonic=lambda: now[0]))
    store: Any = SimpleNamespace(listeners=Listeners())
    counted = CallsPerSecond(store)
    for _ in range(calls):
        notice = Notice()
        notice.tally.of_callers = 1
        notice.tally.commands = 5
        store.listeners.notify_committed(notice)

    assert counted.pauses() == pauses
    now[0] += 1.5  # the last full second
    assert counted.pauses() == pauses
    now[0] += 1.0
    assert counted.pauses() == 0
