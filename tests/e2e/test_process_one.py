"""Tests a server that is process 1, as in a container."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from subprocess import PIPE

import pytest

from support.forking import PROGRAM

NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child=KILL")


def test_process_one_ends_at_sigterm_while_it_waits_for_its_database() -> None:
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a namespace of processes")
    command = [*NAMESPACE, *PROGRAM, "serve", "--listen=127.0.0.1:0"]
    command += ["--database=postgresql://u@127.0.0.1:1/x"]
    with subprocess.Popen(command, stderr=PIPE, text=True) as parent:
        assert parent.stderr is not None
        assert "database_not_reached" in parent.stderr.readline()
        (first,) = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        os.kill(int(first), signal.SIGTERM)
        assert "Error" not in parent.stderr.read(), "the server gave up by itself"
    assert parent.returncode == 128 + signal.SIGTERM
