"""Counts the outcomes of the lines of a batch."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import click

from generic_provider import ActionState, Client, SubscriptionAction

from ..desk.actions import error, state
from ..desk.output import say
from .failures import REFUSED, written_to
from .files.action_lines import Line
from .waiting import ONLY_THE_WAITING, settled_action

REJECTED = (ActionState.REJECTED, ActionState.PARTLY_REJECTED)


class RefusedLines:
    """Counts refused lines, and writes them to a file. If no line was refused, the file is removed
    at the end.

    If `written` is false, no file is written, and the file of an earlier command does not change.
    """

    def __init__(self, file: Path, *, written: bool) -> None:
        pipe = str(file) == "-" or str(file.parent) in ("/dev", "/dev/fd")
        self.file = Path("stdin.refused") if pipe else file.with_name(f"{file.name}.refused")
        self.count = 0
        if written and _is_source(file, of=self.file):
            raise click.ClickException(
                f"{self.file} is the file for refused lines, which would overwrite the lines of "
                f"{file}: rename it; nothing was done"
            )
        try:
            self._lines = self.file.open("wb") if written else None
        except OSError as failed:
            raise click.ClickException(
                f"{self.file}, the file for refused lines, cannot be written: {failed.strerror}; "
                "nothing was done"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lines is None:
            return
        with written_to(self.file):
            self._lines.close()
        if not self.count:
            self.file.unlink(missing_ok=True)

    def add(self, line: Line, reason: str, *, heading: Callable[[], bytes]) -> None:
        say(*f"line {line.number}: {reason}".split("\n"), err=True)
        if self._lines is not None:
            with written_to(self.file):
                self._lines.write((b"" if self.count else heading()) + line.source + b"\n")
        self.count += 1


def _is_source(given: Path, *, of: Path) -> bool:
    """Tells whether the lines are read from the file `of`. `given`: the file of the lines; `-` is
    standard input.
    """
    try:
        source = os.fstat(sys.stdin.fileno()) if str(given) == "-" else given.stat()
        return os.path.samestat(source, of.stat())
    except OSError:  # for example, there is no file `of`
        return False


class Outcome:
    """Counts the actions of the lines that were not refused."""

    def __init__(self, *, validate_only: bool) -> None:
        self._actions: list[tuple[int, SubscriptionAction]] = []
        self._new = self._scheduled = 0
        self._before: Counter[str] = Counter()
        self._after: Counter[str] = Counter()
        self.validate_only = validate_only
        self.is_waiting = self._said_waiting = False
        self.reached = 0
        """The number of the last line that is counted."""

    def add(self, line: int, action: SubscriptionAction, *, repeated: bool) -> None:
        self._actions.append((line, action))
        if repeated:
            self._before[state(action)] += 1
        else:
            self._new += 1
            self._scheduled += action.state == ActionState.SCHEDULED

    @property
    def any(self) -> bool:
        return bool(self._actions)

    def wait(self, client: Client) -> Iterator[SubscriptionAction]:
        """Yields every action when it is settled, and prints the rejected actions."""
        self.is_waiting = True
        for line, action in self._actions:
            settled = settled_action(client, action, on_long_wait=self._say_waiting)
            self._after[state(settled)] += 1
            if settled.state in REJECTED:
                say(f"line {line}: {rejection(settled)}", err=True)
            yield settled

    def _say_waiting(self) -> None:
        if not self._said_waiting:
            say(f"waiting until all actions are settled; {ONLY_THE_WAITING}", err=True)
        self._said_waiting = True

    def summary(self, refused: RefusedLines) -> str:
        would = "would be " if self.validate_only else ""
        done = f"{self._new} {would}done"
        if self._scheduled:
            done += f" ({self._scheduled} scheduled)"
        if self._before:
            states = next(iter(self._before)) if len(self._before) == 1 else _counts(self._before)
            done = f"{self._new} new, {self._before.total()} done before ({states})"
        said = f"{done}, {refused.count} {would}refused"
        if refused.count and not self.validate_only:
            said += f", see {refused.file}"
        return f"{said}; {_counts(self._after)}" if self._after else said

    def exit_code(self, refused: RefusedLines) -> int:
        rejected = any(self._after[ActionState.name_of(each)] for each in REJECTED)
        return REFUSED if refused.count or rejected else 0


def rejection(action: SubscriptionAction) -> str:
    return f"{action.id} {state(action)}: {error(action)}"


def _counts(states: Counter[str]) -> str:
    return ", ".join([f"{count} {name}" for name, count in sorted(states.items())])
