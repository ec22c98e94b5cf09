"""Reads files again after a change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from ..regular_file import check_regular
from .own_threads import OwnThreads
from .periodic_step import Loop

CHECK_SECONDS, SETTLED_SECONDS = 4.0, 1.0
"""A changed file is read only after it has stayed the same for SETTLED_SECONDS, because a program
may still be writing the file.
"""

log = structlog.get_logger()


class Rereading(Loop):
    """Calls `read` at once, and again whenever the contents of the files have changed.

    Raises OSError if the first call of `read` raises OSError. If a later call raises OSError, the
    error is logged, and the earlier contents stay in force.
    """

    def __init__(self, name: str, files: Sequence[Path], read: Callable[[], None]) -> None:
        super().__init__(name, self._check, seconds=CHECK_SECONDS)
        self._files = files
        self._read = read
        self._threads = OwnThreads(most=1)  # a file on a network disk may hang
        self._seen = self._contents()
        read()

    async def _check(self) -> None:
        # contents are compared instead of file times, because a file on a network disk has the time
        # of another machine
        contents = await self._threads.run(self._contents)
        if contents == self._seen:
            return
        await asyncio.sleep(min(SETTLED_SECONDS, self._seconds))
        if contents != await self._threads.run(self._contents):
            return
        self._seen = contents
        if fault := self._fault():
            log.error("not_read_again", what=self._name, error=fault)
        else:
            log.info("read_again", what=self._name)

    def _fault(self) -> str:
        try:
            for file in self._files:
                check_regular(file)
        except OSError as error:
            return f"{error.filename}: {error.strerror}"
        try:
            self._read()
        except OSError as error:
            return str(error)
        return ""

    def _contents(self) -> list[bytes | str]:
        return [_content(file) for file in self._files]


def _content(file: Path) -> bytes | str:
    """Returns the contents of the file, or the reason why the file cannot be read. A new reason
    counts as a change of the contents.
    """
    try:
        check_regular(file)
        return file.read_bytes()
    except OSError as error:
        return str(error)
