"""Folds long lines between words. A command line gets a line of its own, and is never folded, so
that a person can copy it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len

from .tables import folded

COMMAND = re.compile(
    r"""(generic-provider(?:[ ](?:[\w@%+=:,./-]+|'[^']*'(?:"'"'[^']*')*))+)""", re.VERBOSE
)
"""Matches a command line as `command_lines` writes it."""
NAME = re.compile(r"\s*(?:\S+ ){0,2}\S+ {2,}")
"""Matches the name at the beginning of a line, for example `  last error  `."""
WIDEST_NAME = 24


def folded_lines(line: str, width: int) -> Iterator[str]:
    """Yields the line in pieces of at most this width. A piece is wider only if it consists of a
    single long word or a command line. All pieces after the first are indented: to the text after
    the name, or, if the line has no name, by two blanks more than the line.
    """
    if cell_len(line) <= width:
        yield line
        return
    blanks = len(line) - len(line.lstrip())
    name = NAME.match(line)
    named = name.end() if name and name.end() <= WIDEST_NAME else 0
    start, indent = (named, named) if named else (blanks, blanks + 2)
    first, *others = [*_parts(line[start:], max(1, width - indent))] or [""]
    yield line[:start] + first
    yield from (" " * indent + other for other in others)


def _parts(text: str, width: int) -> Iterator[str]:
    for n, part in enumerate(COMMAND.split(text)):
        if n % 2:
            yield part
        elif words := (part.removeprefix(";") if n else part).strip():
            yield from folded(words, width)
