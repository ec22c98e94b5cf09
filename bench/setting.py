"""The subscriptions of the measurements, and what is done to them."""

from __future__ import annotations

from collections.abc import Iterator

from generic_provider.v1.subscription_service_pb2 import PerformActionRequest
from support.filling import change, number

SUBSCRIPTIONS = 20_000
"""That a load changes in turn."""
BATCH = 100


def changes(*, first: int, count: int = SUBSCRIPTIONS) -> Iterator[PerformActionRequest]:
    """For ever: each adds NEWS to, or takes it from, the next subscription."""
    while True:
        for turn in range(2):
            for n in range(first, first + count):
                yield change(turn, number(n))
