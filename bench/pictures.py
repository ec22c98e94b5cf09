"""Draws the measured figures: `python -m bench.pictures FILE.json FOLDER` writes into
FOLDER/pictures.

`--json` of the measurements writes the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from statistics import median
from typing import NamedTuple

from .figures import FIGURES
from .results import Measured, number, reached

WIDTH, LABELS, BARS, ROW, TOP = 720, 290, 320, 26, 40
OURS, OTHERS = "#2f6f9f", "#b0b7bd"
STYLE = "font: 13px sans-serif"


class Bar(NamedTuple):
    label: str
    value: float
    shown: str
    ours: bool = True


def draw(title: str, bars: Sequence[Bar], *, line: float | None = None) -> str:
    """Draws horizontal bars. `line`: the value at which a line crosses the bars."""
    scale = BARS / max(*(bar.value for bar in bars), line or 0.0)
    height = TOP + ROW * len(bars) + 10
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" style="{STYLE}">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
            f'<text x="10" y="22" font-weight="bold">{escape(title)}</text>',
            *(_bar(bar, y=TOP + ROW * n, scale=scale) for n, bar in enumerate(bars)),
            *([] if line is None else [_line(LABELS + line * scale, bottom=height - 8)]),
            "</svg>\n",
        ]
    )


def _bar(bar: Bar, *, y: int, scale: float) -> str:
    length, colour = bar.value * scale, OURS if bar.ours else OTHERS
    return (
        f'<text x="{LABELS - 8}" y="{y + 16}" text-anchor="end">{escape(bar.label)}</text>'
        f'<rect x="{LABELS}" y="{y + 3}" width="{length:.1f}" height="18" fill="{colour}"/>'
        f'<text x="{LABELS + length + 6:.1f}" y="{y + 16}">{escape(bar.shown)}</text>'
    )


def _line(x: float, *, bottom: int) -> str:
    return (
        f'<line x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{bottom}" '
        'stroke="#333" stroke-dasharray="4 3"/>'
    )


def against_aims(measured: Measured) -> Iterator[Bar]:
    """Draws how much of each aim was reached, but at most 200 %."""
    for name, rounds in measured.items():
        for what, aim in FIGURES[name].aims.items():
            value = median(each[what] for each in rounds)
            shown = f"{number(value)} (aim {aim})"
            yield Bar(f"{name} {what}", min(reached(aim, value), 2.0), shown)


def side_by_side(measured: Measured, name: str, unit: str) -> Iterator[Bar]:
    """Draws the rates of the figure side by side."""
    rounds = measured[name]
    for what in rounds[0]:
        if unit in what:
            value = median(each[what] for each in rounds)
            yield Bar(what, value, number(value), ours=what.startswith("cycles"))


def main(source: str, folder: str) -> None:
    measured: Measured = json.loads(Path(source).read_text())["rounds"]
    pictures: dict[str, tuple[str, Iterator[Bar], float | None]] = {
        "aims": ("Measured against the aims (dashed line: reached)", against_aims(measured), 1.0)
    }
    if "P3" in measured:
        title = "A second on PostgreSQL, durable: cycles here, no-op jobs there"
        pictures["peers"] = (title, side_by_side(measured, "P3", "/s"), None)
    if "P5" in measured:
        title = "Cycles a second with an empty and with a large database (SQLite)"
        pictures["large"] = (title, side_by_side(measured, "P5", "/s"), None)
    place = Path(folder) / "pictures"
    place.mkdir(parents=True, exist_ok=True)
    for name, (title, bars, line) in pictures.items():
        (place / f"{name}.svg").write_text(draw(title, list(bars), line=line))


if __name__ == "__main__":
    main(*sys.argv[1:])
