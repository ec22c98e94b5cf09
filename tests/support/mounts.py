"""Mounts file systems for tests. To mount a file system, the user must be root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[Path]:
    """Mounts a file system while the `with` block runs. Skips the test if this user may not mount.
    `options`: the arguments of `mount` before the path of the folder.
    """
    place.mkdir()
    command = ["mount", *options, str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount")
    try:
        yield place
    finally:
        command = ["umount", "--lazy", str(place)]
        subprocess.run(command, check=True)
