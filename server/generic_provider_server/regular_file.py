"""Keeps programs from reading what is no file: to read a FIFO takes for ever."""

from __future__ import annotations

import errno
from pathlib import Path


def check_regular(file: Path) -> None:
    """Raises OSError if there is something else than a regular file. Nothing is right too."""
    if file.exists() and not file.is_file():
        raise OSError(errno.EINVAL, "is no regular file", str(file))
