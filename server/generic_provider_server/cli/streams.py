"""Prepares standard input, output and error for use, even if they are closed or have an encoding
other than UTF-8.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from ..desk.output import say


def prepare_streams() -> None:
    """Opens standard streams that are closed. If a stream has an encoding other than UTF-8, a
    character that the encoding does not have is written as an escape sequence.
    """
    # Otherwise a database file could get the descriptor of a standard stream, to which other code
    # writes.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:  # the stream was closed
        sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = _writable(sys.stdout, 1)
    sys.stderr = _writable(sys.stderr, 2)


def _writable(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:  # the stream was closed
        return os.fdopen(number, "w", closefd=False)
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="backslashreplace")
    return stream


@contextmanager
def output_written() -> Iterator[None]:
    """Raises OSError at the end of the `with` block if standard output could not be written
    completely.
    """
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            # When Python exits, it tries again to write the rest of the output, and would print a
            # traceback.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise


def refuse_undecoded(arguments: Iterable[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = argument.encode(errors="backslashreplace").decode()
            say(f"Error: the argument {shown!r} is not text in UTF-8", err=True)
            sys.exit(2)
