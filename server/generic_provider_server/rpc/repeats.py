"""What a call asks for, so that a repeat of it is known."""

from __future__ import annotations

from hashlib import blake2b
from typing import Protocol


class Identified(Protocol):
    """A request that makes something, once for each `request_id`."""

    request_id: str

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes: ...


def contents_of(request: Identified) -> bytes:
    """Everything that was asked but the `request_id`."""
    request_id, request.request_id = request.request_id, ""
    contents = request.SerializeToString(deterministic=True)
    request.request_id = request_id
    return contents


def digest(contents: bytes, *, of: str) -> bytes:
    """Tells calls apart: by what they ask, and by the first 16 characters of the RPC's name."""
    return blake2b(contents, digest_size=16, person=of.encode()[:16]).digest()
