"""Shows the progress of a command on standard error if standard error is a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from .files.text import Text

if TYPE_CHECKING:
    from rich.progress import Progress


def progress(*, of_bytes: bool = False) -> Progress:
    """Returns a display of progress bars on standard error. `of_bytes`: the bars count bytes."""
    from rich import progress as bars  # noqa: PLC0415 - most commands show no progress
    from rich.console import Console  # noqa: PLC0415

    return bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(None),
        bars.DownloadColumn() if of_bytes else bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
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
