"""Reads and writes the file of callers. The file contains a TOML table for each caller; the name of
the table is the name of the caller.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from .regular_file import check_regular
from .rpc.access import KnownCaller, Proof, Role, digest_of, known

PLAIN_ROLES = tuple(str(role) for role in Role if role is not Role.ADAPTER)
ROLES = (*PLAIN_ROLES, "adapter:PROVIDER")
MOST = 64
TOKEN_BYTES = 32
HEADING = "# The callers of Generic Provider: `generic-provider caller` writes this file.\n"
LOCK_SECONDS = 10.0
"""The longest wait, in seconds, for the lock of the folder."""
_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SECRET = re.compile(r"[\w-]{32,}", re.ASCII)
_SEVERAL = re.compile(r"[*?,;|]")


class WrongCallers(OSError):
    """The file of callers is wrong. The message names the error, and contains no secret."""


class Caller(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A caller in the file of callers.

    Raises ValueError if a field is wrong. `tokens`: the SHA-256 of each token, in hexadecimal
    digits. `certificates`: the common names of the caller's client certificates.
    """

    roles: tuple[str, ...]
    tokens: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for role in self.roles:
            if not _is_role(role):
                raise ValueError(f"{role!r} is not a role; the roles: {', '.join(ROLES)}")
        for token in self.tokens:
            # A person may have written a token instead of its SHA-256, so the message does not
            # contain the text.
            if not _DIGEST.fullmatch(token):
                raise ValueError("an entry of tokens is not a SHA-256 in 64 hexadecimal digits")
        for name in self.certificates:
            if not _is_text(name):
                raise ValueError(f"{name!r} is not the common name of a certificate")


def _is_role(role: str) -> bool:
    kind, _, provider = role.partition(":")
    return role in PLAIN_ROLES or (kind == Role.ADAPTER and _is_provider(provider))


def _is_provider(code: str) -> bool:
    """Tells whether the text can be the code of one provider. A pattern or a list of codes is not
    allowed, because the role is for exactly one provider.
    """
    return _is_text(code) and not _SEVERAL.search(code)


def _is_text(text: str) -> bool:
    return 0 < len(text) <= MOST and text.isprintable() and text == text.strip()


def new_token() -> tuple[str, str]:
    """Returns a new token, and its digest in hexadecimal, as the file of callers contains it."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return token, digest_of(token).hex()


def read_callers(file: Path) -> dict[str, Caller]:
    """Returns the callers in the file, by name. Raises WrongCallers if the file is wrong."""
    try:
        check_regular(file)
        tables = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise WrongCallers(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise WrongCallers(f"{file}: {_without_secrets(error)}") from None
    callers = {}
    for name, table in tables.items():
        try:
            callers[checked_name(name)] = msgspec.convert(table, Caller)
        except ValueError as error:
            wrong = _without_secrets(f"caller {name!r}: {error}")
            raise WrongCallers(f"{file}: {wrong}") from None
    return callers


def _without_secrets(error: object) -> str:
    """Returns the text without words that may be tokens, because a person may have written a token
    in the wrong place.
    """
    return _SECRET.sub("…", str(error))


def checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a name consists of at most 64 letters, digits and the characters . _ @ -")
    return name


def known_callers(file: Path) -> Mapping[Proof, KnownCaller]:
    """Returns the caller of each credential in the file. Raises WrongCallers if the file is wrong.

    A file without callers is wrong, because an editor or a full disk may have emptied the file. A
    file that the command `caller remove` has left without callers is accepted.
    """
    callers = read_callers(file)
    if not callers and file.read_bytes() != HEADING.encode():
        why = "names no caller, so every call would be refused; add one with `caller add`"
        raise WrongCallers(f"{file}: {why}")
    found: dict[Proof, KnownCaller] = {}
    for name, caller in callers.items():
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
    """Yields the callers as a dictionary, which the `with` block may change.

    At the end of the block, writes the dictionary back to the file, unless the block has failed. A
    reader never finds an incomplete file, and simultaneous changes do not overwrite each other.
    Raises WrongCallers if the file is wrong or cannot be written, or if another program has locked
    the folder of the file. Raises OSError if the folder cannot be opened.
    """
    try:
        file = file.resolve()
    except RuntimeError:
        raise WrongCallers(f"{file}: is a loop of symbolic links") from None
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        _lock(folder, file)
        callers = read_callers(file) if file.exists() else {}
        yield callers
        text = "".join([HEADING, *(_table(*each) for each in sorted(callers.items()))])
        try:
            _write(file, text)
            os.fsync(folder)
        # The command line would report an OSError without a file name as an error of the output of
        # the command.
        except OSError as error:
            raise WrongCallers(f"{file} cannot be written: {error.strerror}") from None
    finally:
        os.close(folder)


def _lock(folder: int, file: Path) -> None:
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                said = f"{file} is not changed: another program has locked the folder {file.parent}"
                raise WrongCallers(said) from None
            time.sleep(0.05)
        else:
            return


def _table(name: str, caller: Caller) -> str:
    lists = ((key, value) for key, value in msgspec.structs.asdict(caller).items() if value)
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in lists)
    return f"\n[{json.dumps(name)}]\n{''.join(lines)}"


def _write(file: Path, text: str) -> None:
    # the name of the new file can be fixed, because only one process at a time has the lock
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)
    try:
        _write_part(part, file, text)
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _write_part(part: Path, file: Path, text: str) -> None:
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        if file.exists() and os.geteuid() == 0:  # the service's user must be able to read the file
            os.fchown(written.fileno(), file.stat().st_uid, file.stat().st_gid)
        written.write(text.encode())
        written.flush()
        os.fsync(written.fileno())
