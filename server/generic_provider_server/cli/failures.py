"""Prints errors on standard error, and defines the exit codes."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import click
import grpc

from generic_provider import DeadlineExceeded, ProvisioningError, ServerUnavailable

from ..desk.output import say, say_folded

REFUSED, NOT_REACHED = 1, 3
OF_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EBADF, errno.EIO)
"""The system errors that mean that a terminal was closed, or that the disk for the output
is full.
"""


class NotReached(click.ClickException):
    exit_code = NOT_REACHED


@contextmanager
def failures_printed() -> Iterator[None]:
    """Prints an expected exception of the `with` block as a message, and exits with the exit code
    of this exception. Faults of the program are not caught.
    """
    try:
        yield
    except ProvisioningError as error:
        say_folded(*f"Error: {words_of(error)}".split("\n"), err=True)
        unreached = isinstance(error, ServerUnavailable | DeadlineExceeded)
        sys.exit(NOT_REACHED if unreached else REFUSED)
    except click.ClickException as error:
        text = StringIO()
        _hinted(error).show(text)
        say_folded(*text.getvalue().expandtabs(2).rstrip("\n").split("\n"), err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        say("Aborted!", err=True)
        sys.exit(REFUSED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(REFUSED)
    except OSError as error:
        say_folded(f"Error: {cause(error)}", err=True)
        sys.exit(REFUSED)


def _hinted(error: click.ClickException) -> click.ClickException:
    """Returns a clear error for an option that was given before its command. Returns any other
    error as it is.
    """
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return error
    if not _is_known(error.option_name, error.ctx.command, error.ctx):
        return error
    return click.UsageError(f"give the option {error.option_name} after the command", error.ctx)


def _is_known(option: str, command: click.Command, context: click.Context) -> bool:
    """Tells whether the command has the option. A group has the option if a command in the group
    has it.
    """
    if any(option in each.opts for each in command.params):
        return True
    if not isinstance(command, click.Group):
        return False
    found = (command.get_command(context, name) for name in command.list_commands(context))
    return any(_is_known(option, each, context) for each in found if each)


@contextmanager
def written_to(file: Path) -> Iterator[None]:
    """Adds the name of the file to an OSError of the `with` block, because Python does not name the
    file that a write has failed to change.
    """
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(file)
        raise


def cause(error: OSError) -> str:
    """Returns a text for people: the name of the file, if there is one, and what is wrong."""
    if error.filename is None and error.errno in OF_OUTPUT:
        return f"standard output cannot be written: {error.strerror}"
    file = f"{error.filename}: " if error.filename else ""
    return f"{file}{error.strerror}" if error.strerror else str(error)


def words_of(error: ProvisioningError) -> str:
    if isinstance(error, ServerUnavailable) and not error.reason:
        return (
            f"the server was not reached ({error.message}); check that it runs, and check --server"
        )
    if isinstance(error, DeadlineExceeded) and not error.reason:
        return "the server did not answer in time: try again, or give it more time with --timeout"
    if error.code is grpc.StatusCode.UNIMPLEMENTED and not error.reason:
        return (
            "the server does not know this call: it may be older than this command, or not be a "
            "server of Generic Provider"
        )
    wrong = [f"\n  {each.field}: {each.description}" for each in error.violations]
    reason = f" [{error.reason}]" if error.reason else ""
    return ("the input is wrong" if wrong else error.message) + reason + "".join(wrong)
