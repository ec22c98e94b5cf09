"""Numbers of subscriptions, actions and requests: never given twice, gaps are allowed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

COUNTERS = ("subscription", "action", "request")
FEW, MANY = 32, 4_096
"""Numbers reserved at once, where they have to be reserved."""

SECONDS = 1.0
"""For which a process keeps what it has reserved: by that much may those of two be out of order."""


class Block(NamedTuple):
    """Numbers after `last` up to `end`."""

    last: int
    end: int = sys.maxsize


class Numbers:
    """What a transaction may give; `source` has more where they have to be reserved."""

    def __init__(self, blocks: dict[str, Block], source: Reserved | None = None) -> None:
        self.blocks = blocks
        self._source = source

    def next(self, name: str) -> int:
        """The number that is given next; some more follow it without a gap."""
        block = self.blocks[name]
        if self._source and block.end - block.last < FEW:
            more = self._source.reserve(name)
            follows = more.last == block.end
            self.blocks[name] = Block(block.last if follows else more.last, more.end)
        return self.blocks[name].last + 1

    def give(self, name: str, count: int = 1) -> bool:
        """Gives so many, from `next` on; False if too few were left in a row, and then the next
        block has enough."""
        block = self.blocks[name]
        self.blocks[name] = Block(block.last + count, block.end)
        enough = block.last + count <= block.end
        if self._source and not enough:
            self._source.need(name, count)
        return enough


class Reserved:
    """What a process has reserved of numbers that it shares with others.

    `take(name, count)` gives the block of so many new ones; `give_back(name, block)` returns what
    is left of one, unless others have reserved since.
    """

    def __init__(
        self, take: Callable[[str, int], Block], give_back: Callable[[str, Block], None]
    ) -> None:
        self._take = take
        self._give_back = give_back
        self._blocks = dict.fromkeys(COUNTERS, Block(0, 0))
        self._sizes = dict.fromkeys(COUNTERS, FEW)
        self._since = dict.fromkeys(COUNTERS, 0.0)

    def numbers(self) -> Numbers:
        """For a transaction; what it has given counts once it is kept."""
        self.return_old(before=time.monotonic() - SECONDS)
        return Numbers(dict(self._blocks), self)

    def keep(self, numbers: Numbers) -> None:
        self._blocks = numbers.blocks

    def need(self, name: str, count: int) -> None:
        """So many in a row: what is left is too little."""
        self._sizes[name] = max(self._sizes[name], count + FEW)
        self._blocks[name] = Block(0, 0)

    def return_old(self, *, before: float = sys.float_info.max) -> None:
        for name, block in self._blocks.items():
            if block.last < block.end and self._since[name] < before:
                self._give_back(name, block)
                self._blocks[name] = Block(0, 0)

    def reserve(self, name: str) -> Block:
        """The more, the sooner the last block was used up."""
        now, size = time.monotonic(), self._sizes[name]
        used_up_soon = now < self._since[name] + SECONDS
        self._sizes[name] = min(2 * size, MANY) if used_up_soon else max(size // 2, FEW)
        self._since[name] = now
        return self._take(name, size)
