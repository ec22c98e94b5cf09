"""`generic-provider caller` writes the file of callers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import click
from msgspec.structs import replace

from ..callers import ROLES, Caller, changed_callers, checked_name, new_token, read_callers
from ..desk.output import json_line, say, show_table
from ..options import DESCRIBED

F = TypeVar("F", bound=Callable[..., object])
SETTING = DESCRIBED["callers"]
SHOWN = 8
"""The number of digits in the id of a token. The id is the beginning of the token's digest."""


class _File(click.Path):
    def get_missing_message(self, *_: object, **__: object) -> str:
        return f"Give it, or set the environment variable {SETTING.variable}."


def file_option(command: F) -> F:
    return click.option(
        SETTING.option,
        "file",
        type=_File(dir_okay=False, path_type=Path),
        required=True,
        envvar=SETTING.variable,
        metavar="FILE",
        help=f"The file of callers, which the server reads.  [{SETTING.variable}]",
    )(command)


@click.group()
def caller() -> None:
    """Add, remove and list the callers of the server.

    The commands use the file that `generic-provider serve --callers` reads. Running servers read a
    changed file again within 5 seconds.
    """


@caller.command()
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    metavar="ROLE",
    help=f"One of {', '.join(ROLES)}. May be given several times.",
)
@click.option(
    "--certificate",
    "certificates",
    multiple=True,
    metavar="COMMON-NAME",
    help="The common name in a client certificate, instead of a token. May be given several times.",
)
@click.option(
    "--change-roles",
    is_flag=True,
    help="Change the roles of a caller, for all its tokens and certificates.",
)
@file_option
def add(
    *,
    name: str,
    roles: tuple[str, ...],
    certificates: tuple[str, ...],
    change_roles: bool,
    file: Path,
) -> None:
    """Add a caller, and print its new token. With --certificate, the caller gets no token.

    The token is printed only once: the file contains only its digest. If the caller exists already,
    its other tokens and certificates stay valid.
    """
    token, digest = new_token()
    try:
        checked_name(name)
        tokens = () if certificates else (digest,)
        added = Caller(roles=roles, tokens=tokens, certificates=certificates)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with changed_callers(file) as callers:
        _check_free(callers, name, certificates)
        former = callers.get(name, added)
        same = set(former.roles) == set(roles)
        change = f"{name}: {', '.join(former.roles)} → {', '.join(roles)}"
        if not (same or change_roles):
            raise click.ClickException(
                f"{change} would change the roles of all tokens and certificates of {name}; "
                "confirm this change with --change-roles"
            )
        callers[name] = replace(
            added,
            tokens=_union(former.tokens, tokens),
            certificates=_union(former.certificates, certificates),
        )
        say(f"{name}: {', '.join(roles)}" if same else change, err=True)
        # The token is printed before the file is written, so that the file never contains a token
        # that nobody knows.
        if tokens:
            say("Keep this token; it is not shown again:", err=True)
            say(token)


def _check_free(callers: Mapping[str, Caller], name: str, certificates: tuple[str, ...]) -> None:
    """Raises ClickException if another caller has one of the certificates, because a server refuses
    a file in which two callers have the same certificate.
    """
    for other, held in callers.items():
        common = [each for each in certificates if each in held.certificates]
        if common and other != name:
            said = f"{other} has the certificate {common[0]!r} already; nothing was added"
            raise click.ClickException(said)


@caller.command()
@click.argument("name")
@click.option("--token", "digest", help="Remove only the token with this id, as `list` shows it.")
@click.option("--certificate", help="Remove only the certificate with this common name.")
@file_option
def remove(*, name: str, digest: str | None, certificate: str | None, file: Path) -> None:
    """Remove a caller, or one of its credentials.

    Running servers end the streams of the caller within 10 seconds.
    """
    with changed_callers(file) as callers:
        former = callers.pop(name, None)
        if former is None:
            raise click.ClickException(f"there is no caller {name!r} in {file}")
        ids = tuple(each[:SHOWN] for each in former.tokens)
        for what, given, held in (
            ("token", digest, ids),
            ("certificate", certificate, former.certificates),
        ):
            if given is not None and given not in held:
                raise click.ClickException(f"{name} has no {what} {given!r}; nothing was removed")
        if digest is not None or certificate is not None:
            callers[name] = _without(former, digest, certificate)
    parts = ", ".join(filter(None, (digest, certificate)))
    say(f"{name}: {parts} removed" if parts else f"{name} removed")


def _without(caller: Caller, digest: str | None, certificate: str | None) -> Caller:
    return replace(
        caller,
        tokens=tuple(each for each in caller.tokens if each[:SHOWN] != digest),
        certificates=tuple(each for each in caller.certificates if each != certificate),
    )


@caller.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@file_option
def show(*, as_json: bool, file: Path) -> None:
    """Show the callers, with the ids of their tokens."""
    columns = "caller", "roles", "tokens", "certificates"
    rows = [
        (name, [*each.roles], [token[:SHOWN] for token in each.tokens], [*each.certificates])
        for name, each in sorted(read_callers(file).items())
    ]
    if as_json:
        say(*[json_line(dict(zip(columns, row, strict=True))) for row in rows])
    else:
        show_table(columns, [(name, *map(", ".join, lists)) for name, *lists in rows])
        if not rows:
            say("nothing found", err=True)


def _union(*lists: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for part in lists for each in part))
