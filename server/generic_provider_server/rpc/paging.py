"""Divides lists into pages.

A page token is valid only for the list and the filters for which it was created. A page always fits
into one message.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from google.protobuf.message import Message

from ..domain.lease import signed, verified
from .checks import Checks

DEFAULT, MOST = 100, 1_000
MOST_BYTES = 2 * 1024 * 1024 - 64 * 1024


class Listing(Protocol):
    """A request for a page of a list."""

    page_size: int
    page_token: str


Position = TypeVar("Position", int, str)
Shown = TypeVar("Shown", bound=Message)


@dataclass(frozen=True, slots=True)
class Page(Generic[Position]):
    """A page of at most `size` items after the position `after`. `filters`: a digest of the filters
    of the list. `key` signs the token of the next page.
    """

    size: int
    after: Position
    filters: bytes
    key: bytes

    def cut(
        self,
        shown: Iterable[tuple[Position, Shown]],
        *,
        then: Position | None = None,
        beside: int = 0,
    ) -> tuple[list[Shown], str]:
        """Returns the items that fit into the page, and the token of the next page.

        `shown`: the next items of the list, at most `size` + 1. `then`: the position after which
        the list continues, if the list may have more items after the items in `shown`. `beside`:
        the size in bytes of the other parts of the message. The token is empty if all items fit and
        `then` is None.
        """
        page: list[Shown] = []
        last, size = self.after, beside
        for position, message in shown:
            size += message.ByteSize() + 8
            if len(page) == self.size or (page and size > MOST_BYTES):
                return page, self._token(last)
            page.append(message)
            last = position
        return page, "" if then is None else self._token(then)

    def _token(self, after: Position) -> str:
        return signed(msgspec.msgpack.encode((self.filters, after)), self.key)


def page_of(checks: Checks, request: Listing, *, start: Position, key: bytes) -> Page[Position]:
    """Returns the page that `page_size` and `page_token` of the request describe.

    `start` is the position before the first item of the list.
    """
    size, token = request.page_size, request.page_token
    if size < 0:
        checks.wrong("page_size", "is negative")
    filters = _filters(request)
    after = _after(token, filters, start, key)
    if after is None:
        checks.wrong("page_token", "is not a token of this list with these filters")
    return Page(min(size or DEFAULT, MOST), start if after is None else after, filters, key)


def first_page(shown: Iterable[Shown], *, beside: int = 0) -> list[Shown]:
    """Returns as many of the first items as fit into one message. `beside`: the size in bytes of
    the other parts of the message.
    """
    page, _ = Page(size=sys.maxsize, after=0, filters=b"", key=b"").cut(
        enumerate(shown), beside=beside
    )
    return page


def _after(token: str, filters: bytes, start: Position, key: bytes) -> Position | None:
    """Returns the position after which the page begins, or None if the token belongs to another
    list or to other filters.
    """
    if not token:
        return start
    body = verified(token, key)
    try:
        given, after = msgspec.msgpack.decode(body or b"", type=tuple[bytes, Any])
    except msgspec.MsgspecError:  # for example a lease token, which is signed with the same key
        return None
    return after if given == filters and type(after) is type(start) else None


def _filters(request: Any) -> bytes:
    filters = type(request)()
    filters.CopyFrom(request)
    filters.ClearField("page_size")
    filters.ClearField("page_token")
    kind = request.DESCRIPTOR.name.encode()[:16]
    body = filters.SerializeToString(deterministic=True)
    return blake2b(body, digest_size=8, person=kind).digest()
