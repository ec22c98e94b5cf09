"""Shows the progress of a command on standard error, if that is a terminal."""

from __future__ import annotations

import sys
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from .files.text import Text


def progress(amount: ProgressColumn | None = None) -> Progress:
    """Returns progress bars with their descriptions. `amount` is the column that shows how much is
    done.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(None),
        amount or MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


class LinesBar:
    """Shows a progress bar over the lines of a text."""

    def __init__(self, text: Text) -> None:
        self._bar = progress()
        self._task = self._bar.add_task("", total=text.length)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def reached(self, line: int) -> None:
        self._bar.update(self._task, completed=line)
