"""Runs processes of the program that are forked from a process that has already imported the
program.

Each process can be killed and frozen, and needs only a fraction of the CPU time of an interpreter
that imports everything. A test of the start itself must run PROGRAM.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import StringIO
from multiprocessing import get_context
from multiprocessing.connection import Connection
from signal import SIGINT, SIGKILL, Signals, default_int_handler, signal
from subprocess import PIPE, Popen, TimeoutExpired
from typing import IO

PROGRAM = (sys.executable, "-m", "generic_provider_server")
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "generic_provider_server.app",
        "generic_provider_server.cli.adapter",
        "generic_provider_server.cli.serve",
        "uvloop",
    ]
)


class Forked:
    """A running process of the program, with an interface like `subprocess.Popen`.

    `out` and `err` are file descriptors, or PIPE: then the test can read them.
    """

    def __init__(
        self,
        *arguments: str,
        out: int = PIPE,
        err: int = PIPE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        variables = dict(os.environ if environment is None else environment)
        (self.out, theirs), (self.err, their_errors) = _output(out), _output(err)
        given = arguments, variables, theirs, their_errors
        self._process = CONTEXT.Process(target=_become, args=given)
        self._process.start()
        theirs.close()
        their_errors.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def runs(self) -> bool:
        return self._process.is_alive()

    def send(self, what: Signals) -> None:
        if self.runs():
            with suppress(ProcessLookupError):
                os.kill(self.pid, what)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end of the process. Returns the exit code, or minus the signal that has
        killed the process. After the timeout, kills the process and raises TimeoutExpired.
        """
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            self.send(SIGKILL)
            raise TimeoutExpired("generic-provider", timeout or 0)
        self.out.close()
        self.err.close()
        return code


class Started:
    """A process with the interface of `Forked`, but with an interpreter of its own. So PYTHONPATH
    in its environment can select other code, for example the code of the previous release.
    """

    def __init__(
        self,
        *arguments: str,
        out: int = PIPE,
        err: int = PIPE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._process = Popen(
            [*PROGRAM, *arguments], stdout=out, stderr=err, text=True, env=environment
        )
        self.out: IO[str] = self._process.stdout or StringIO()
        self.err: IO[str] = self._process.stderr or StringIO()
        self.pid = self._process.pid

    def send(self, what: Signals) -> None:
        self._process.send_signal(what)

    def wait(self, timeout: float | None = None) -> int:
        code = self._process.wait(timeout)
        self.out.close()
        self.err.close()
        return code


def _output(wanted: int) -> tuple[IO[str], Connection]:
    """Returns the readable end of a pipe, and the connection for the new process."""
    if wanted != PIPE:
        return StringIO(), Connection(os.dup(wanted), readable=False)
    ours, theirs = os.pipe()
    return os.fdopen(ours), Connection(theirs, readable=False)


def _become(
    arguments: Sequence[str], environment: Mapping[str, str], out: Connection, err: Connection
) -> None:
    # without this handler, programs would ignore SIGINT if the tests run in the background
    signal(SIGINT, default_int_handler)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    os.environ.clear()
    os.environ.update(environment)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    sys.argv = ["generic-provider", *arguments]
    from generic_provider_server.__main__ import main  # noqa: PLC0415 - only in the new process

    main()
