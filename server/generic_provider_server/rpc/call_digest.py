"""Computes the digest of a call's contents, so that a repeated call is recognised."""

from __future__ import annotations

from hashlib import blake2b
from typing import Protocol


class Identified(Protocol):
    """A message with a `request_id`: a repeated call with the same `request_id` changes nothing."""

    request_id: str

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes: ...


def contents_of(request: Identified) -> bytes:
    """Returns the encoded message of the call without the `request_id`."""
    request_id, request.request_id = request.request_id, ""
    contents = request.SerializeToString(deterministic=True)
    request.request_id = request_id
    return contents


def digest(contents: bytes, *, of: str) -> bytes:
    """Returns a digest, of 16 bytes, of the contents and the name of the RPC. The first 16
    characters of the name are enough to distinguish the RPCs.
    """
    return blake2b(contents, digest_size=16, person=of.encode()[:16]).digest()
