"""Hides the passwords in database URLs. Every place that shows a URL uses `hidden`."""

from __future__ import annotations

import re
from urllib.parse import unquote

MASK = "***"
_PARAMETER = re.compile(r"[?&]([^?&=]*)=")


def hidden(url: str) -> str:
    """Returns the URL without anything that may belong to a password, however the password is
    written.

    A password that contains @, / or ? is wrong in a URL, but must not be shown either. So
    everything between the first colon and the last @ is hidden, and everything behind a password
    parameter.
    """
    if url.startswith("sqlite:"):
        return url
    start = url.find("://") + len("://") if "://" in url else 0
    scheme, rest = url[:start], url[start:]
    place, password = _cut(rest)
    if "@" in password:
        return scheme + MASK
    user, at, place = place.rpartition("@")
    user, colon, _ = user.partition(":")
    return scheme + user + (colon and f":{MASK}") + at + place + (password and MASK)


def _cut(rest: str) -> tuple[str, str]:
    """Cuts the URL behind the name of its first parameter that is a password."""
    for parameter in _PARAMETER.finditer(rest):
        if "password" in unquote(parameter[1]).lower():
            return rest[: parameter.end()], rest[parameter.end() :]
    return rest, ""
