"""Defines the decorator `remote`, for commands that connect to a running server."""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec

import click

from generic_provider import Client, DeadlineExceeded, ProvisioningError, ServerUnavailable

from ..desk.output import Output
from .connecting.connection import Connection
from .connecting.options import connection_options
from .connecting.reaching import refuse_unreachable
from .failures import NotReached
from .field_options import naming_options
from .unknown_names import names_suggested
from .values import Seconds

P = ParamSpec("P")


class _Client(Client):
    """A client that does not repeat a call if the connection failed for a permanent reason."""

    def __init__(self, connection: Connection, *, timeout: timedelta) -> None:
        super().__init__(
            connection.server,
            token=connection.token,
            tls=connection.tls(),
            performed_by=_me(),
            timeout=timeout,
        )
        self._connection = connection

    def _prepare_retry(self) -> None:
        refuse_unreachable(self._connection, again=True)
        super()._prepare_retry()


def remote(command: Callable[Concatenate[Client, Output, P], None]) -> Callable[P, None]:
    """Adds options to a command: the options for the connection, --timeout, and --json. Passes a
    client and an output for results to the function of the command.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        connection: Any = kwargs.pop("connection")
        as_json = bool(kwargs.pop("as_json"))
        timeout = timedelta(seconds=float(str(kwargs.pop("timeout"))))
        try:
            with _Client(connection, timeout=timeout) as client, names_suggested(client):
                command(client, Output(as_json), *args, **kwargs)
        except ProvisioningError as error:
            if isinstance(error, ServerUnavailable | DeadlineExceeded) and not error.reason:
                refuse_unreachable(connection)
                if isinstance(error, ServerUnavailable):
                    raise NotReached(
                        f"{connection.server} was not reached: check that the server runs, and "
                        f"check --server ({error.message})"
                    ) from None
            raise naming_options(error, click.get_current_context().command) from None

    json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
    timeout = click.option(
        "--timeout",
        type=Seconds(),
        default=10,
        show_default=True,
        help="The seconds to wait for the server.",
    )
    return connection_options()(timeout(json(run)))


def _me() -> str:
    """Returns the name of the user. Replaces bytes that are not UTF-8, because calls cannot contain
    them.
    """
    try:
        return getpass.getuser().encode(errors="replace").decode()
    except (KeyError, OSError):
        return ""
