"""Writes the file of callers."""

from __future__ import annotations

from pathlib import Path

from generic_provider_server.callers import Caller, changed_callers, new_token


def allow(file: Path, name: str, *roles: str, certificate: str = "") -> str:
    """Adds a caller, and returns its token."""
    token, digest = new_token()
    certificates = (certificate,) if certificate else ()
    with changed_callers(file) as callers:
        callers[name] = Caller(roles=roles, tokens=(digest,), certificates=certificates)
    return token


def forbid(file: Path, *names: str) -> None:
    with changed_callers(file) as callers:
        for name in names:
            del callers[name]
