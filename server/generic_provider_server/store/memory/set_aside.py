"""Sets aside the subscriptions that a duty could not process, so that no other subscription has to
wait for these subscriptions.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...domain.lease import back_off
from ...domain.values import SECOND, Instant, Value

DELIVERY = "delivery"
"""The name of the duty from which claims set subscriptions aside."""
MOST_KEPT = 1_000
FORGOTTEN_AFTER = 3_600 * SECOND
"""If this time has passed since the next attempt was due, and there was no attempt, the duty has no
work for the subscription any more, and the entry of the subscription is dropped.
"""


class Unprocessable(Exception):
    """A subscription cannot be processed. The cause of the exception says why."""

    def __init__(self, subscription: str) -> None:
        super().__init__(f"subscription {subscription} cannot be processed")
        self.subscription = subscription


class SetAside(Value, frozen=True, kw_only=True):
    """A subscription that a duty leaves out until the next attempt."""

    subscription: str
    duty: str
    error: str
    failures: int
    until: Instant


class SetAsides:
    """The subscriptions that this process has set aside. The writer's thread adds and removes
    entries; any thread reads the entries.

    The pause between two attempts grows from a second to five minutes.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], SetAside] = {}

    def add(self, subscription: str, duty: str, error: str, *, now: Instant) -> SetAside:
        """Sets the subscription aside until the next attempt."""
        former = self._entries.get((duty, subscription))
        failures = former.failures + 1 if former else 1
        entry = SetAside(
            subscription=subscription,
            duty=duty,
            error=error,
            failures=failures,
            until=Instant(now + back_off(failures + 1, jitter=1.0)),
        )
        kept = [each for each in self.entries(now=now) if each != former]
        kept = [*kept[-MOST_KEPT + 1 :], entry]
        self._entries = {(each.duty, each.subscription): each for each in kept}
        return entry

    def remove(self, subscriptions: Iterable[str], duty: str) -> None:
        """Removes the entries of subscriptions that were processed successfully."""
        if self._entries:
            done = {(duty, subscription) for subscription in subscriptions}
            self._entries = {key: e for key, e in self._entries.items() if key not in done}

    def entries(self, *, now: Instant) -> list[SetAside]:
        """Returns the entries of subscriptions that could not be processed at the last attempt."""
        entries = list(self._entries.values())
        return [entry for entry in entries if entry.until > now - FORGOTTEN_AFTER]

    def subscriptions(self, duty: str, *, now: Instant) -> frozenset[str]:
        """Returns the subscriptions that the duty must leave out now."""
        entries = self._entries.values()
        return frozenset([e.subscription for e in entries if e.duty == duty and e.until > now])
