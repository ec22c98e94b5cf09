"""Runs the command `generic-provider` on a pseudo-terminal of a given width."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios

from support.forking import Forked
from support.processes import Server


def on_terminal(
    *arguments: str, server: Server | None = None, columns: int = 80, **environment: str
) -> tuple[int, str]:
    """Runs the command until it ends. Returns the exit code of the command, and what the terminal
    showed.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    inherited = {name: text for name, text in os.environ.items() if name != "COLUMNS"}
    address = server.address if server else "127.0.0.1:1"
    process = Forked(
        *arguments,
        out=theirs,
        err=theirs,
        environment={
            **inherited,
            "TERM": "dumb",
            "GENERIC_PROVIDER_SERVER": address,
            **environment,
        },
    )
    os.close(theirs)
    shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return process.wait(), shown.decode(errors="replace").replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the command has ended, and closed its side of the terminal
        return b""
