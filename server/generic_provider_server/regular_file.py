"""Refuses paths that are not regular files, because reading a FIFO would block for ever."""

from __future__ import annotations

import errno
from pathlib import Path


def check_regular(file: Path) -> None:
    """Raises OSError if the path exists and is not a regular file."""
    if file.exists() and not file.is_file():
        raise OSError(errno.EINVAL, "is no regular file", str(file))
