"""Shows the progress of a command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn


class LinesBar:
    """A progress bar over the lines of a file, on standard error if that is a terminal."""

    def __init__(self, file: Path) -> None:
        self._bar = Progress(
            BarColumn(None),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        with file.open("rb") as source:
            self._task = self._bar.add_task("", total=sum(1 for _ in source))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def reached(self, line: int) -> None:
        self._bar.update(self._task, completed=line)
