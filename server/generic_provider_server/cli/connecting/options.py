"""Defines the options for the connection to a server. Each option has an environment variable."""

from __future__ import annotations

import dataclasses
import functools
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from generic_provider import Client

from .connection import PREFIX, Connection
from .profiles import FILE, checked_token, profile_for

R = TypeVar("R")
IN = "connection_"
"""The prefix of the parameter names of these options. With the prefix, these names differ from the
names of a command's own parameters, like `key`.
"""
DEFAULT = "localhost:50051"
PEM = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


def connection_options(
    *, default: str | None = DEFAULT
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Adds the options for the connection to a command.

    The command gets the argument `connection`. `default`: the address of the server if neither an
    option, an environment variable nor a profile gives an address. If `default` is None, only the
    option --server gives the address; without the option, the address is empty.
    """

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(command)
        def run(*args: object, **kwargs: object) -> R:
            given = {name: kwargs.pop(name) for name in [*kwargs] if name.startswith(IN)}
            return command(*args, connection=_connection(given, default=default), **kwargs)

        decorated: Callable[..., R] = run
        for option in _options(default):
            decorated = option(decorated)
        return decorated

    return decorate


def _connection(options: dict[str, Any], *, default: str | None) -> Connection:
    named = {name.removeprefix(IN): value for name, value in options.items() if value}
    name = named.pop("profile", None)
    given = Connection(**named)
    source = click.get_current_context().get_parameter_source(f"{IN}insecure")
    if source is not ParameterSource.COMMANDLINE and given.files:
        given = dataclasses.replace(given, insecure=False)
    if given.insecure and given.files:
        raise click.UsageError("--insecure does not go together with --ca, --cert or --key")
    profile = profile_for(given.server, name=name)
    if default is None:
        profile = dataclasses.replace(profile, server="")
    filled = given.filled_from(profile)
    _check(filled)
    return dataclasses.replace(filled, server=filled.server or default or "")


def _server(default: str | None) -> Callable[[Callable[..., R]], Callable[..., R]]:
    words = f"The server to connect to.  [{PREFIX}SERVER; default: {default}]"
    return click.option(
        "--server",
        f"{IN}server",
        callback=_address,
        envvar=f"{PREFIX}SERVER" if default else None,
        metavar="HOST:PORT",
        help=words if default else "The address of a running server.",
    )


def _options(default: str | None) -> list[Callable[[Callable[..., R]], Callable[..., R]]]:
    insecure = click.option(
        "--insecure",
        f"{IN}insecure",
        is_flag=True,
        envvar=f"{PREFIX}INSECURE",
        help=f"Connect to another machine without TLS.  [{PREFIX}INSECURE]",
    )
    return [
        _option("profile", metavar="NAME", words=f"The profile to use: a table of ~/{FILE}."),
        insecure,
        _option(
            "token",
            callback=_token,
            metavar="TEXT",
            words="Your token. Every user of this machine can see the command line: use the "
            "environment variable, or token_file in a profile.",
        ),
        _option("key", type=PEM, metavar="FILE", words="The private key of --cert (PEM)."),
        _option(
            "cert",
            type=PEM,
            metavar="FILE",
            words="Your client certificate (PEM); it needs --key.",
        ),
        _option(
            "ca",
            type=PEM,
            metavar="FILE",
            words="The CA of the server's certificate (PEM). Default: the CAs of this machine.",
        ),
        _server(default),
    ]


def _option(
    name: str, *, words: str, **settings: Any
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    variable = PREFIX + name.upper()
    words = f"{words}  [{variable}]"
    return click.option(f"--{name}", IN + name, envvar=variable, help=words, **settings)


def _address(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        Client(value or DEFAULT)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong)) from None
    return value


def _token(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        return checked_token(value) if value else None
    except ValueError as wrong:
        raise click.BadParameter(str(wrong)) from None


def _check(connection: Connection) -> None:
    if bool(connection.cert) != bool(connection.key):
        raise click.UsageError("--cert and --key go together: give both or neither")
    try:
        if connection.files:
            connection.context()
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            raise click.UsageError(
                f"--key {connection.key} does not belong to --cert {connection.cert}"
            ) from None
        files = "--ca, --cert or --key" if connection.cert else "--ca"
        raise click.UsageError(f"{files} is not a PEM file that can be used: {error}") from None
