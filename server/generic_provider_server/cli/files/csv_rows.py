"""Reads one row of CSV from each line, and removes changes that spreadsheets make to cells."""

from __future__ import annotations

import csv
import re

DELIMITERS = ",;\t"
QUOTED = re.compile(r'"[^"]*"?')
FORMULA = re.compile(r'="(.*)"', re.DOTALL)
ROUNDED = re.compile(r"[+-]?\d([.,]\d+)?E[+-]?\d{2,}")
LARGEST_CELL = 1024 * 1024
csv.field_size_limit(LARGEST_CELL)


def delimiter_of(heading: str) -> str:
    """Returns the most frequent delimiter in the heading."""
    return max(DELIMITERS, key=QUOTED.sub("", heading).count)


def cells_of(line: str, delimiter: str) -> list[str]:
    """Returns the cells of a line. Raises ValueError with the reason if the line is not a row of
    CSV.
    """
    try:
        rows = [*csv.reader([line], delimiter=delimiter, strict=True)]
    except csv.Error as error:
        reason = str(error)
        if reason == "unexpected end of data":
            reason = "a quotation mark opens a cell that does not end on the same line"
        raise ValueError(f"not CSV: {reason}") from None
    return [_cell(text.strip()) for text in rows[0]] if rows else []


def _cell(text: str) -> str:
    if formula := FORMULA.fullmatch(text):
        return formula[1]
    if ROUNDED.fullmatch(text):
        raise ValueError(
            f"{text!r} is a number that a spreadsheet has rounded: give the column the format Text "
            "before you fill it, and save the file again"
        )
    return text
