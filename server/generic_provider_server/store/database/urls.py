"""Hides the passwords in database URLs. A database URL may be shown only in the form that `hidden`
returns.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

MASK = "***"
_POSTGRES = re.compile(r"postgres(ql)?://")
_HOST = re.compile(r"(\[.*\]|[^:]*)(:\d*)?")
_PARAMETER = re.compile(r"[?&;]([^?&;=]*)=")


def hidden(url: str) -> str:
    """Returns the URL without any text that may belong to a password.

    A password that contains an unescaped @, / or ? makes the URL wrong, but must be hidden too. So
    the result hides all text between the first colon and the last @, and all text after a password
    parameter. If the text is no URL of a database, the result is only the first word of the text.
    """
    if url.startswith("sqlite:"):
        return url
    scheme = _POSTGRES.match(url)
    if not scheme:
        word = re.split(r"[:=@?;\s]", url)[0]
        return word + (MASK if word != url else "")
    place, password = _cut(url[scheme.end() :])
    if "@" in password:
        return scheme[0] + MASK
    user, at, place = place.rpartition("@")
    user, colon, _ = user.partition(":")
    shown = scheme[0] + user + (colon and f":{MASK}") + at
    if not all(_HOST.fullmatch(each) for each in re.split("[/?]", place)[0].split(",")):
        return shown + MASK  # the text in the place of the host is no host, so it may be a password
    return shown + place + (password and MASK)


def _cut(rest: str) -> tuple[str, str]:
    """Returns two parts of the URL: everything up to the name of the first parameter with a
    password, and the rest, which begins with that password.
    """
    for parameter in _PARAMETER.finditer(rest):
        if "pass" in unquote(parameter[1]).lower():
            return rest[: parameter.end()], rest[parameter.end() :]
    return rest, ""
