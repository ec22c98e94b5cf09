"""Defines the options that say how to connect to a server. Each has an environment variable."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
import grpc

from generic_provider import Client

R = TypeVar("R")
PREFIX = "GENERIC_PROVIDER_"
IN = "connection_"
"""The names of the parameters begin with this, because commands have parameters of their own, like
`key`.
"""
DEFAULT = "localhost:50051"
FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


class Connection(NamedTuple):
    server: str
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False

    @property
    def with_files(self) -> bool:
        return any((self.ca, self.cert, self.key))

    @property
    def secure(self) -> bool:
        return Client(self.server, tls=self.tls()).uses_tls

    def tls(self) -> grpc.ChannelCredentials | bool | None:
        """Returns the argument `tls` of a client."""
        if not self.with_files:
            return False if self.insecure else None
        return grpc.ssl_channel_credentials(
            *(file.read_bytes() if file else None for file in (self.ca, self.key, self.cert))
        )

    def context(self) -> ssl.SSLContext:
        """Returns the same settings for the module ssl.

        Raises SSLError or ValueError if a file is wrong.
        """
        context = ssl.create_default_context(cafile=self.ca)
        context.set_alpn_protocols(["h2"])
        if self.cert and self.key:
            context.load_cert_chain(self.cert, self.key, password=_no_password)
        return context

    def environment(self) -> dict[str, str]:
        """Returns the variables with which another process connects in the same way."""
        given = {name: value for name, value in self._asdict().items() if value}
        return {f"{PREFIX}{name.upper()}": str(value) for name, value in given.items()}


def connection_options(
    *, default: str | None = DEFAULT
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Adds the options.

    The command gets a `connection`. If there is no default for --server, the address in it may be
    empty.
    """

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(command)
        def run(*args: object, **kwargs: object) -> R:
            given: dict[str, Any] = {name: kwargs.pop(IN + name) for name in Connection._fields}
            return command(*args, connection=_checked(Connection(**given)), **kwargs)

        decorated: Callable[..., R] = run
        for option in _options(default):
            decorated = option(decorated)
        return decorated

    return decorate


def _options(default: str | None) -> list[Callable[[Callable[..., R]], Callable[..., R]]]:
    server = click.option(
        "--server",
        f"{IN}server",
        callback=_address,
        default=default or "",
        show_default=bool(default),
        envvar=f"{PREFIX}SERVER" if default else None,
        metavar="HOST:PORT",
        help=f"The server to connect to.  [{PREFIX}SERVER]" if default else "A running server.",
    )
    return [
        click.option(
            "--insecure",
            f"{IN}insecure",
            is_flag=True,
            help="Connect to another machine without TLS.",
        ),
        _file("key", "The private key of --cert (PEM)."),
        _file("cert", "Your client certificate (PEM); it needs --key."),
        _file("ca", "The CA of the server's certificate (PEM). Default: those of this machine."),
        server,
    ]


def _file(name: str, words: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    variable = PREFIX + name.upper()
    return click.option(
        f"--{name}",
        f"{IN}{name}",
        type=FILE,
        envvar=variable,
        metavar="FILE",
        help=f"{words}  [{variable}]",
    )


def _address(_: click.Context, __: click.Parameter, value: str) -> str:
    try:
        Client(value or DEFAULT)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong)) from None
    return value


def _checked(connection: Connection) -> Connection:
    if bool(connection.cert) != bool(connection.key):
        raise click.UsageError("--cert and --key go together: give both or neither")
    if connection.insecure and connection.with_files:
        raise click.UsageError("--insecure does not go together with --ca, --cert or --key")
    try:
        if connection.with_files:
            connection.context()
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            raise click.UsageError(
                f"--key {connection.key} does not belong to --cert {connection.cert}"
            ) from None
        files = "--ca, --cert or --key" if connection.cert else "--ca"
        raise click.UsageError(f"{files} is not a PEM file that can be used: {error}") from None
    return connection


def _no_password() -> str:
    raise ValueError("the key is encrypted")
