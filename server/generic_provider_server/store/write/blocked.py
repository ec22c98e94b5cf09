"""Keeps the commands that wait for a lock of another session, so that all other commands need not
wait. Decides how long a group waits for such a lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .command import Asked
from .next_group import MOST_IN_GROUP, size_of

LEAST_FIRST = 0.3
LEAST_AGAIN = 0.005
LEAST_PAUSE = 0.05
LONGEST_ROUND = 0.2
"""When a round of attempts to run blocked commands has taken this number of seconds, the writer
begins no further attempt, and runs the next group first.
"""
DUTY_SHARE = 0.2
"""The command of a duty waits at most for this fraction of the time for which other commands may
wait. The pause between two rounds of attempts is at most this fraction of the time too.
"""
SUSPECT_SECONDS = 60.0
"""The rows that a blocked command names count as locked until a command that names them has run,
but at most for this number of seconds, even after the blocked command was given up.
"""

Name = tuple[str, object]


class LockWaits:
    """Decides how long a group waits for a lock.

    The waits follow the usual duration of a group, because another process usually releases its
    locks within this duration. Otherwise the holder is usually a session that hangs or is idle, and
    a longer wait would only delay all other commands. Each group that does not get its locks makes
    the next waits longer, until a group gets its locks: perhaps the transactions of other processes
    take longer than the transactions of this process.

    `longest`: no wait is longer than this number of seconds. A group that changes the configuration
    of a provider always waits up to `longest` seconds, because every other group locks the rows of
    the providers.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._usual = 0.0
        self._failed = 0

    def first(self, group: Iterable[Asked[Any]]) -> float:
        """Returns the seconds for which a new group waits for each lock."""
        if any(asked.needs.set_up for asked in group):
            return self._longest
        return min(max(LEAST_FIRST, 4 * self._usual) * 2.0**self._failed, self._longest)

    @property
    def again(self) -> float:
        """The seconds for which a group of commands that may be blocked waits for each lock."""
        return min(max(LEAST_AGAIN, self._usual) * 4.0**self._failed, self._longest)

    def got(self, seconds: float) -> None:
        """Records that a group got its locks, and that its transaction took `seconds`. The usual
        duration rises at once, but falls slowly: if waits are too short, calls are refused; if
        waits are too long, calls are delayed, and only while a lock is not released.
        """
        self._usual = max(seconds, self._usual + (seconds - self._usual) / 10)
        self._failed = 0

    def failed(self) -> None:
        """Records that a group did not get a lock in time."""
        # after 10 failures every wait is `longest` seconds; more could overflow the exponent
        self._failed = min(self._failed + 1, 10)


class Blocked:
    """The commands that wait for a lock, in the order in which they began to wait, and the rows
    that they name: subscriptions, items, request ids and requests.

    The database does not say which row is locked. So a command that names the same row as a waiting
    command waits too. `seconds`: how long a command may wait after it was queued.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[Asked[Any], None] = {}
        self._suspects: dict[Name, float] = {}
        self._next_at = 0.0
        self._next = 0
        self._most = 1

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Asked[Any]]:
        return iter(self._waiting)

    def add(self, command: Asked[Any]) -> None:
        command.blocked = True
        self._waiting.setdefault(command)
        self._suspect(command)

    def pass_on(self, group: Iterable[Asked[Any]]) -> list[Asked[Any]]:
        """Returns the commands of the group for which no named row counts as locked. Adds the other
        commands of the group to the waiting commands.
        """
        free: list[Asked[Any]] = []
        for command in group:
            if self._suspects and not self._suspects.keys().isdisjoint(names_of(command)):
                self.add(command)
            else:
                free.append(command)
        return free

    def pause(self) -> float | None:
        """Returns the seconds until the next attempt, or until a command is given up; None if no
        command waits.
        """
        if not self._waiting:
            return None
        given_up_at = min(self._given_up_at(each) for each in self._waiting)
        return max(0.0, min(self._next_at, given_up_at) - time.monotonic())

    def give_up(self) -> list[Asked[Any]]:
        """Gives up the commands that have waited for too long, and returns them."""
        now = time.monotonic()
        expired = [each for each in self._waiting if self._given_up_at(each) <= now]
        for each in expired:
            del self._waiting[each]
        self._suspects = {name: until for name, until in self._suspects.items() if until > now}
        return expired

    def attempts(self) -> Iterator[list[Asked[Any]]]:
        """Yields groups of waiting commands, in the order in which they began to wait. A command is
        left out if an earlier command that still waits names the same row. But a command of an
        adapter and a command of another caller do not wait for each other: nobody relies on their
        order, and the answers of one call name many subscriptions, so actions on all these
        subscriptions would wait.

        The caller runs each group, and calls `add` for each command that is still blocked. The
        first group of a round, and the group after a group in which a command is still blocked, is
        a single command. After any other group, the next group has twice as many commands, because
        the end of one lock often lets all waiting commands run. A group is at most as large as the
        other groups of the writer.

        If LONGEST_ROUND is over before all commands were tried, the next call continues the round
        with the first command that was not tried, in a group of the size that would have been next.
        The pause after a round is four times as long as its unsuccessful attempts, so these take at
        most about a fifth of the time, unless the pause has its greatest length.
        """
        began = start = time.monotonic()
        if began < self._next_at:
            return
        before, in_vain = set[tuple[bool, Name]](), 0.0
        free = self._free(before)
        while start - began <= LONGEST_ROUND and (group := _taken(free, self._most)):
            for command in group:
                command.blocked = False
            yield group
            done, ended = self._settle(group, before), time.monotonic()
            self._most = min(2 * self._most, MOST_IN_GROUP) if done else 1
            in_vain += 0 if done else ended - start
            start = ended
        if (left := next(free, None)) is None:
            self._next, self._most = 0, 1
        else:
            self._next = list(self._waiting).index(left)
        pause = min(max(LEAST_PAUSE, 4 * in_vain), self._seconds * DUTY_SHARE)
        self._next_at = time.monotonic() + pause

    def _free(self, before: set[tuple[bool, Name]]) -> Iterator[Asked[Any]]:
        """Yields the waiting commands that name no row in `before`, beginning with the first
        command that the last call of `attempts` did not try. Adds the rows of all commands that are
        left out to `before`.
        """
        for n, command in enumerate(list(self._waiting)):
            places = _places_of(command)
            if n >= self._next and before.isdisjoint(places):
                yield command
            else:
                before.update(places)

    def _settle(self, group: Sequence[Asked[Any]], before: set[tuple[bool, Name]]) -> bool:
        """Removes the commands that have run from the waiting commands. Tells whether all commands
        of the group have run.
        """
        done = [each for each in group if not each.blocked]
        for command in done:
            del self._waiting[command]
            for name in names_of(command):
                self._suspects.pop(name, None)
        if done:
            for each in self._waiting:
                self._suspect(each)
        before.update(*[_places_of(each) for each in group if each.blocked])
        return len(done) == len(group)

    def _given_up_at(self, command: Asked[Any]) -> float:
        """Returns the time at which the command is given up. This time comes sooner for the command
        of a duty, because the duty makes the command again, and other commands wait for it.
        """
        return command.asked_at + self._seconds * (DUTY_SHARE if command.needs.duty else 1)

    def _suspect(self, command: Asked[Any]) -> None:
        until = time.monotonic() + SUSPECT_SECONDS
        self._suspects.update(dict.fromkeys(names_of(command), until))


def names_of(command: Asked[Any]) -> set[Name]:
    """Returns the rows that the command names. If the command names no row, returns the kind of the
    command.
    """
    needs = command.needs
    names: set[Name] = {("subscription", each) for each in needs.subscriptions}
    names |= {("item", each) for each in needs.goods}
    names |= {("request id", each) for each in needs.request_ids}
    names |= {("request", each) for each in needs.requests}
    return names or {("kind", command.kind)}


def _places_of(command: Asked[Any]) -> set[tuple[bool, Name]]:
    """Returns the named rows, each with `for_adapter` of the command. Commands with the same pair
    run in their order.
    """
    return {(command.needs.for_adapter, name) for name in names_of(command)}


def _taken(free: Iterator[Asked[Any]], most: int) -> list[Asked[Any]]:
    """Takes at most `most` commands, and fewer if these commands together already have the size
    MOST_IN_GROUP.
    """
    taken: list[Asked[Any]] = []
    size = 0
    while len(taken) < most and size < MOST_IN_GROUP and (command := next(free, None)):
        taken.append(command)
        size += size_of(command.needs)
    return taken
