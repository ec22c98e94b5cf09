"""Defines the subscriptions of the measurements, and how they are changed."""

from __future__ import annotations

from collections.abc import Iterator

from generic_provider.v1.subscription_service_pb2 import PerformActionRequest
from support.filling import change, number

SUBSCRIPTIONS = 20_000
"""A load changes this many subscriptions in turn."""
BATCH = 100


def changes(*, first: int, count: int = SUBSCRIPTIONS) -> Iterator[PerformActionRequest]:
    """Yields actions without end: in turn, they add NEWS to every subscription, and remove NEWS
    from every subscription.
    """
    while True:
        for turn in range(2):
            for n in range(first, first + count):
                yield change(turn, number(n))
