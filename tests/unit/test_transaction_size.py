"""Tests the size of the transactions of background tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from generic_provider_server.services.transaction_size import TransactionSize
from generic_provider_server.store.notices.listeners import Listeners
from generic_provider_server.store.notices.notice import Notice

SECONDS_OF_ONE = 0.001


@pytest.mark.parametrize(
    ("others", "sizes"),
    [
        ([0] * 8, [10, 10, 10, 15, 22, 34, 40, 40]),
        ([0] * 6 + [1], [10, 10, 10, 15, 22, 34, 10]),
        ([100, 400, 3], [25, 100, 10]),
        ([10_000], [400]),
    ],
    ids=["alone", "until somebody comes", "beside many", "beside very many"],
)
def test_a_task_does_more_at_once_alone_and_keeps_its_share_beside_others(
    others: list[int], sizes: list[int]
) -> None:
    store: Any = SimpleNamespace(listeners=Listeners())
    transactions = TransactionSize(store, least=10, most=400, longest=0.04)
    seen = []
    for commands in others:
        notice = Notice()
        notice.tally.commands = 1 + commands
        notice.tally.seconds = transactions.size * SECONDS_OF_ONE
        store.listeners.notify_committed(notice)
        transactions.done(transactions.size)
        seen.append(transactions.size)

    assert seen == sizes
