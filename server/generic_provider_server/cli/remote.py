"""Commands that connect to a running server."""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable
from datetime import timedelta
from typing import Concatenate, ParamSpec

import click

from generic_provider import Client

from ..desk.output import Output

P = ParamSpec("P")


def _address(_: click.Context, __: click.Parameter, value: str) -> str:
    try:
        Client(value)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong)) from None
    return value


server_option = click.option(
    "--server",
    callback=_address,
    default="localhost:50051",
    show_default=True,
    envvar="GENERIC_PROVIDER_SERVER",
    metavar="HOST:PORT",
    help="The server to connect to.  [GENERIC_PROVIDER_SERVER]",
)


def remote(command: Callable[Concatenate[Client, Output, P], None]) -> Callable[P, None]:
    """Adds --server, --timeout and --json. The command gets a client and an output for results."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        server, as_json = str(kwargs.pop("server")), bool(kwargs.pop("as_json"))
        timeout = timedelta(seconds=float(str(kwargs.pop("timeout"))))
        with Client(server, performed_by=_me(), timeout=timeout) as client:
            command(client, Output(as_json), *args, **kwargs)

    json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
    timeout = click.option(
        "--timeout",
        type=click.FloatRange(min=0.1),
        default=10,
        show_default=True,
        help="How many seconds to wait for the server.",
    )
    return server_option(timeout(json(run)))


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
