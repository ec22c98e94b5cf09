"""Formats tables without cutting a cell off, even in a narrow terminal.

If a table is too wide, cells of the columns in FOLDING are broken between words, and continue on
further lines. If the table is still too wide, the columns of the heading and of each row are spread
over several lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len

GAP, INDENT = "  ", "  "
MOST_FOLDS = 8
FOLDING = frozenset(
    {"about", "CRM: items", "description", "difference", "error", "platform: items", "platforms"}
    | {"asks", "reason", "requests", "seen", "services", "value", "why"}
)
"""The columns whose cells may continue on further lines: columns with texts and lists.

Other columns contain keys, which a person copies.
"""


def heading_and_rows(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None
) -> tuple[list[str], list[str]]:
    """Returns the lines of the heading, and the lines of all rows. If `width` is None, a line may
    have any length.

    If the table is too wide, columns without any text are left out.
    """
    table = [columns, *rows]
    widest = _widest(table)
    lines = [[*range(len(columns))]]
    if width is not None and _needed(widest) > width:
        filled = [n for n in lines[0] if not rows or any(row[n] for row in rows)]
        table = [[row[n] for n in filled] for row in table]
        widest, least = _widest(table), _least(table)
        if _needed(least) <= width:
            widest, lines = _narrowed(widest, least, width=width), [[*range(len(filled))]]
        else:
            foldable = [column in FOLDING for column in table[0]]
            lines = _split(widest, least, foldable=foldable, width=width)
    written = [[*_row(row, widest, lines)] for row in table]
    return written[0], [line for row in written[1:] for line in row]


def _widest(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, cells)) for cells in zip(*table, strict=True)]


def _least(table: Sequence[Sequence[str]]) -> list[int]:
    """Returns the smallest widths: the longest word of a column that folds, the longest cell of any
    other column.
    """
    return [
        max(cell_len(part) for cell in cells for part in _parts(cell, column=cells[0]))
        for cells in zip(*table, strict=True)
    ]


def _parts(cell: str, *, column: str) -> list[str]:
    return cell.split(" ") if column in FOLDING else [cell]


def _needed(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _narrowed(widest: Sequence[int], least: Sequence[int], *, width: int) -> list[int]:
    """Reduces the width of the widest column again and again, until the row fits."""
    widths = [*widest]
    while _needed(widths) > width:
        _, narrowing = max((w, n) for n, w in enumerate(widths) if w > least[n])
        widths[narrowing] -= 1
    return widths


def _split(
    widths: list[int], least: Sequence[int], *, foldable: Sequence[bool], width: int
) -> list[list[int]]:
    """Divides the columns of a row among several lines, and returns the columns of each line.

    A column that does not fit beside the preceding columns begins a new line. But a foldable column
    is made narrower and stays beside the preceding columns, if its cells then need at most about
    MOST_FOLDS lines. The function changes `widths`.
    """
    lines: list[list[int]] = [[0]]
    for column in range(1, len(widths)):
        indent = len(INDENT) if len(lines) > 1 else 0
        room = width - indent - len(GAP) - _needed([widths[n] for n in lines[-1]])
        if foldable[column] and room >= max(least[column], widths[column] / MOST_FOLDS):
            widths[column] = min(widths[column], room)
        if widths[column] <= room:
            lines[-1].append(column)
        else:
            lines.append([column])
            if foldable[column]:
                widths[column] = min(widths[column], max(least[column], width - len(INDENT)))
    return lines


def _row(
    cells: Sequence[str], widths: Sequence[int], lines: Sequence[Sequence[int]]
) -> Iterator[str]:
    texts = [[*folded(cell, width)] for cell, width in zip(cells, widths, strict=True)]
    for n, line in enumerate(lines):
        for parts in zip_longest(*[texts[column] for column in line], fillvalue=""):
            padded = [
                part + " " * (widths[column] - cell_len(part))
                for column, part in zip(line, parts, strict=True)
            ]
            text = GAP.join(padded).rstrip()
            if text or not n:
                yield INDENT * bool(n) + text


def folded(cell: str, width: int) -> Iterator[str]:
    """Divides the text between words into lines of at most `width`. A longer word gets a line for
    itself.
    """
    line, *words = cell.split(" ") if cell_len(cell) > width else [cell]
    for word in words:
        if cell_len(f"{line} {word}") <= width:
            line += f" {word}"
        else:
            yield line
            line = word
    yield line
