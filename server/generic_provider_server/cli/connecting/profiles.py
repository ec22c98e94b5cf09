"""Reads the settings file of the commands that connect to a server. Each table of the file is a
profile.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from generic_provider import Client

from .connection import Connection

FILE = Path(".config", "generic-provider.toml")
"""The path of the settings file in the home folder."""
USUAL = "default"
PATHS = ("ca", "cert", "key", "token_file")
KEYS = ("server", *PATHS, "insecure")
TOKEN = re.compile(r"[\w.~+/-]+=*", re.ASCII)


def profile_for(server: str, *, name: str | None) -> Connection:
    """Returns the connection that the profile describes.

    If `name` is None, uses the profile `default`; if there is no profile `default`, or this profile
    is for another server than `server`, returns a connection without settings. Raises UsageError if
    there is no profile `name`, or if the settings file is wrong.
    """
    file, chosen = _home() / FILE, name or USUAL
    profiles = _profiles(file, needed=name)
    if chosen not in profiles:
        if name is None:
            return Connection()
        known = ", ".join(profiles) or "none"
        raise click.UsageError(f"{file} has no profile {name}; its profiles: {known}")
    try:
        profile = _checked(profiles[chosen])
        if name is None and server and profile.get("server", server) != server:
            return Connection()
        return _connection(profile, folder=file.parent)
    except ValueError as wrong:
        raise click.UsageError(f"{file}, profile {chosen}: {wrong}") from None


def checked_token(text: str) -> str:
    """Returns the token. Raises ValueError if no server accepts such a token; the error message
    does not contain the token.
    """
    if not TOKEN.fullmatch(text):
        raise ValueError("a token consists of letters, digits and the characters . ~ + / - _ =")
    return text


def _home() -> Path:
    """Returns the home folder; / if the user has none, for example in a container with another
    user than that of its image.
    """
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def _profiles(file: Path, *, needed: str | None) -> dict[str, Any]:
    try:
        profiles = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):  # system users may have /dev/null as home
        if needed is None:
            return {}
        raise click.UsageError(f"the profile {needed} is not found: there is no {file}") from None
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{file}: {error}") from None
    for key, value in profiles.items():
        if not isinstance(value, Mapping):
            table = f"a profile is a table: write its keys below a line like [{USUAL}]"
            raise click.UsageError(f"{file}, {key}: {table}")
    return profiles


def _checked(profile: Mapping[str, Any]) -> Mapping[str, Any]:
    for key, value in profile.items():
        _check(key, value)
    return profile


def _connection(profile: Mapping[str, Any], *, folder: Path) -> Connection:
    try:
        paths = {key: folder / Path(profile[key]).expanduser() for key in PATHS if key in profile}
    except RuntimeError as error:
        raise ValueError(f"a path begins with ~: {error}") from None
    for key, path in paths.items():
        try:
            path.read_bytes()
        except OSError as error:
            raise ValueError(f"{key}: {path}: {error.strerror}") from None
    token = paths.pop("token_file", None)
    return Connection(
        server=profile.get("server", ""),
        insecure=profile.get("insecure", False),
        token=_token(token) if token else "",
        **paths,
    )


def _check(key: str, value: object) -> None:
    if key not in KEYS:
        near = [each for each in KEYS if key.startswith(each)]  # cacert means ca, and not cert
        near = near or difflib.get_close_matches(key, KEYS, n=1)
        raise ValueError(f"{key} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
    if not isinstance(value, bool if key == "insecure" else str):
        wanted = "true or false" if key == "insecure" else "a text"
        raise ValueError(f"{key} must be {wanted}")
    if key == "server":
        Client(str(value))


def _token(file: Path) -> str:
    try:
        return checked_token(file.read_text(encoding="utf-8").strip())
    except ValueError as wrong:  # the original error may quote the token in the file
        cause = wrong if not isinstance(wrong, UnicodeError) else "the file is not text"
        raise ValueError(f"token_file: {file}: {cause}") from None
