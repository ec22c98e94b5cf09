"""Divides the parts that a stream sends into messages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Part = TypeVar("Part")

MOST_BYTES = 1024 * 1024
"""The greatest size of a batch in bytes, if it has more than one part."""


def batches(
    parts: Iterable[Part], *, size_of: Callable[[Part], int], most: int = sys.maxsize
) -> Iterator[list[Part]]:
    """Yields the parts in batches of at most `most` parts and MOST_BYTES bytes. `size_of` returns
    the size of a part in bytes.
    """
    batch: list[Part] = []
    size = 0
    for part in parts:
        more = size_of(part)
        if batch and (len(batch) == most or size + more > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(part)
        size += more
    if batch:
        yield batch
