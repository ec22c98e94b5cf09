"""Decides where the tests have their folders."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - every folder in it gets a name of its own
ENOUGH = 2 * 1024**3


def use_memory() -> None:
    """Puts the folders of the tests into memory, unless TMPDIR names a place or memory is short.

    In memory a commit takes much less time, because nothing must be written to a disk.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    there = os.statvfs(MEMORY)
    if there.f_bavail * there.f_frsize > ENOUGH and not there.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # so that `tempfile` reads TMPDIR again
