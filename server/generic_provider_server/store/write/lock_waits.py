"""Decides how long a group waits for a lock of another session."""

from __future__ import annotations

LEAST_FIRST = 0.3
LEAST_AGAIN = 0.005


class LockWaits:
    """The waits follow the usual duration of a group, because another process usually releases its
    locks within this duration. If a lock is not released in time, its holder is usually a session
    that hangs or is idle, and a longer wait would only delay all other commands. After each group
    that does not get its locks, the next waits are longer, until a group gets its locks: perhaps
    the transactions of other processes take longer than the transactions of this process.

    `longest`: no wait is longer than this number of seconds. A group that changes the configuration
    of a provider always waits up to `longest` seconds, because every other group locks the rows of
    the providers.
    """

    def __init__(self, longest: float) -> None:
        self.longest = longest
        self._usual = 0.0
        self._failed = 0

    @property
    def first(self) -> float:
        """The seconds for which a new group waits for each lock."""
        return min(max(LEAST_FIRST, 4 * self._usual) * 2.0**self._failed, self.longest)

    @property
    def again(self) -> float:
        """The seconds for which a group waits for each lock if it contains commands that may be
        blocked.
        """
        return min(max(LEAST_AGAIN, self._usual) * 4.0**self._failed, self.longest)

    def got(self, seconds: float) -> None:
        """Records that a group got its locks, and that its transaction took `seconds`."""
        self._usual += (seconds - self._usual) / 10
        self._failed = 0

    def failed(self) -> None:
        """Records that a group did not get a lock in time."""
        # after 10 failures every wait is `longest` seconds; without this limit, the exponent could
        # overflow
        self._failed = min(self._failed + 1, 10)
