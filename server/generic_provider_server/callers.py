"""Reads and writes the file of callers: a TOML table for each caller, by name."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from .rpc.access import Known, Proof, Role, digest_of, known

PLAIN_ROLES = tuple(str(role) for role in Role if role is not Role.ADAPTER)
ROLES = (*PLAIN_ROLES, "adapter:PROVIDER")
MOST = 64
TOKEN_BYTES = 32
HEADING = "# The callers of Generic Provider: `generic-provider caller` writes this file.\n"
_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")


class WrongCallers(OSError):
    """Says what is wrong in the file of callers. The message contains no secret."""


class Caller(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A caller of the file.

    Raises ValueError if a field is wrong. `tokens`: the SHA-256 of each token, in hexadecimal
    digits. `certificates`: common names.
    """

    roles: tuple[str, ...]
    tokens: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for role in self.roles:
            if not _is_role(role):
                raise ValueError(f"{role!r} is not a role: {', '.join(ROLES)}")
        for token in self.tokens:
            if not _DIGEST.fullmatch(token):  # it may be a token, so it is not shown
                raise ValueError("an entry of tokens is not a SHA-256 in 64 hexadecimal digits")
        for name in self.certificates:
            if not _is_text(name):
                raise ValueError(f"{name!r} is not the common name of a certificate")


def _is_role(role: str) -> bool:
    kind, _, provider = role.partition(":")
    return role in PLAIN_ROLES or (kind == Role.ADAPTER and _is_text(provider))


def _is_text(text: str) -> bool:
    return 0 < len(text) <= MOST and text.isprintable() and text == text.strip()


def new_token() -> tuple[str, str]:
    """Returns a new token, and its digest in the form of the file."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return token, digest_of(token).hex()


def read_callers(file: Path) -> dict[str, Caller]:
    """Raises WrongCallers."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise WrongCallers(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise WrongCallers(f"{file}: {error}") from None
    callers = {}
    for name, table in tables.items():
        try:
            callers[checked_name(name)] = msgspec.convert(table, Caller)
        except ValueError as error:
            raise WrongCallers(f"{file}: caller {name!r}: {error}") from None
    return callers


def checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a name has at most 64 letters, digits and characters of . _ @ -")
    return name


def known_callers(file: Path) -> Mapping[Proof, Known]:
    """Maps each credential to its caller. Raises WrongCallers."""
    found: dict[Proof, Known] = {}
    for name, caller in read_callers(file).items():
        who = known(name, frozenset(caller.roles))
        proofs: list[Proof] = [*map(bytes.fromhex, caller.tokens), *caller.certificates]
        for proof in proofs:
            if proof in found:
                what = "token" if isinstance(proof, bytes) else "certificate"
                raise WrongCallers(f"{file}: {found[proof].name} and {name} have the same {what}")
            found[proof] = who
    return found


@contextmanager
def changed_callers(file: Path) -> Iterator[dict[str, Caller]]:
    """Yields the callers.

    At the end of the block, writes them back, unless the block has failed. A reader never sees a
    half written file, and changes at the same time do not overwrite each other. Raises
    WrongCallers, and OSError if the file cannot be written.
    """
    file = file.resolve()
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        callers = read_callers(file) if file.exists() else {}
        yield callers
        _write(file, "".join([HEADING, *(_table(*each) for each in sorted(callers.items()))]))
        os.fsync(folder)
    finally:
        os.close(folder)


def _table(name: str, caller: Caller) -> str:
    lists = ((key, value) for key, value in msgspec.structs.asdict(caller).items() if value)
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in lists)
    return f"\n[{json.dumps(name)}]\n{''.join(lines)}"


def _write(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.part")  # the lock keeps other processes away
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        if file.exists() and os.geteuid() == 0:  # the service's user must read it
            os.fchown(written.fileno(), file.stat().st_uid, file.stat().st_gid)
        written.write(text.encode())
        written.flush()
        os.fsync(written.fileno())
    part.replace(file)
