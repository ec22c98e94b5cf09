"""Draws the figures of measurements: `make pictures FILES="FILE.json …"`.

`--json` of the measurements writes the files. If several files have a figure, the last file counts.
Only this program needs matplotlib, so this program has an environment of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import matplotlib as mpl  # type: ignore[import-not-found]
from matplotlib import pyplot as plt

from .aims import is_least, number, reached, share_of

OURS, OTHERS, MISSED = "#2f6f9f", "#b0b7bd", "#c8753d"
WIDTH, ROW, FRAME = 9.0, 0.28, 0.8
"""The width, the height of a bar, and the height of a title with an axis, in inches."""
MOST = 4.0
"""Bars that are longer than this many times the aim are cut; the number beside a bar is its whole
value.
"""

Measured = Mapping[str, Sequence[Mapping[str, float]]]
Aims = Mapping[str, Mapping[str, str]]


class Bar(NamedTuple):
    """`values`: what the rounds measured. `shown`: the text at the right edge."""

    label: str
    values: Sequence[float]
    shown: str
    colour: str = OURS


class Panel(NamedTuple):
    """Horizontal bars with a common axis. `line`: the value at which a line crosses the bars."""

    title: str
    bars: Sequence[Bar]
    axis: str
    line: float | None = None
    most: float | None = None


def against_aims(measured: Measured, aims: Aims) -> Iterator[Panel]:
    """Yields a panel for the figures that must reach a least value, and a panel for the figures
    that must not exceed a greatest value.
    """
    for least, title in (
        (True, "At least: the bar must reach the line"),
        (False, "At most: the bar must end before the line"),
    ):
        bars = [
            _against(f"{name}: {what}", [each[what] for each in rounds], aim)
            for name, rounds in measured.items()
            for what, aim in aims[name].items()
            if is_least(aim) is least and what in rounds[0]
        ]
        yield Panel(title, bars, "measured ÷ aim", line=1.0, most=MOST)


def _against(label: str, values: Sequence[float], aim: str) -> Bar:
    middle = median(values)
    colour = OURS if reached(aim, middle) >= 1 else MISSED
    shares = [share_of(aim, value) for value in values]
    return Bar(label, shares, f"{number(middle)} (aim {aim})", colour)


def beside_others(measured: Measured) -> Iterator[Panel]:
    """Yields panels that compare a cycle of the service with the same work in other programs."""
    cycles = [
        ("P2", "µs of the server a cycle", "the server, P2", OURS),
        ("P2", "µs of the floor program a cycle", "the same work without a server", OTHERS),
    ]
    yield _panel(measured, "Processor time of the server for a cycle, SQLite", "µs", cycles)
    relays = [
        ("P3r", "µs of all processes", "here, the CRM reads the answers", OURS),
        ("P3r", "µs of all processes, answers not read", "here, it does not read them", OURS),
        ("P3n", "µs of all processes a naive cycle", "naive service (P3n)", OTHERS),
    ]
    for broker in ("RabbitMQ", "NATS"):
        for way in ("one by one", "in batches"):
            key = f"µs of all processes, {broker}" + (f", {way}" if way == "one by one" else "")
            relays.append(("P3r", key, f"relay over {broker}, {way}", OTHERS))
    title = "Processor time of all processes for a cycle, SQLite"
    yield _panel(measured, title, "µs", relays)
    services = [
        ("P3n-PG", "µs of all processes a cycle", "here", OURS),
        ("P3n-PG", "µs of all processes a naive cycle", "naive service", OTHERS),
    ]
    title = "Processor time of all processes for a cycle, PostgreSQL"
    yield _panel(measured, title, "µs", services)
    jobs = [
        ("P3", "cycles/s", "cycles here", OURS),
        ("P3", "pgqueuer jobs/s", "no-op jobs of pgqueuer", OTHERS),
        ("P3", "procrastinate jobs/s", "no-op jobs of procrastinate", OTHERS),
    ]
    yield _panel(measured, "Cycles here and jobs there, PostgreSQL", "a second", jobs)


def empty_and_large(measured: Measured) -> Iterator[Panel]:
    for name, database in (("P5", "SQLite"), ("P5-PG", "PostgreSQL")):
        states = [
            (name, "cycles/s, empty", "only the subscriptions of the load", OTHERS),
            (name, "cycles/s", "1,000,000 subscriptions, 2,000,000 requests", OURS),
        ]
        yield _panel(
            measured,
            f"Cycles with an empty and with a large database, {database}",
            "a second",
            states,
        )


def _panel(
    measured: Measured, title: str, axis: str, wanted: Sequence[tuple[str, str, str, str]]
) -> Panel:
    """Returns a panel of those figures that were measured."""
    bars = []
    for name, what, label, colour in wanted:
        values = [each[what] for each in measured.get(name, ()) if what in each]
        if values:
            bars.append(Bar(label, values, number(median(values)), colour))
    return Panel(title, bars, axis)


def draw(panels: Sequence[Panel], *, note: str, file: Path) -> None:
    """Draws the panels below each other."""
    bars = [len(panel.bars) for panel in panels]
    figure, axes = plt.subplots(
        len(panels),
        figsize=(WIDTH, FRAME * len(panels) + ROW * sum(bars)),
        height_ratios=bars,
        squeeze=False,
        layout="constrained",
    )
    for panel, place in zip(panels, axes.flat, strict=True):
        _draw(panel, place)
    figure.supxlabel(note, fontsize=7, color="#777", x=0.01, ha="left", wrap=True)
    figure.savefig(file, metadata={"Date": None})


def _draw(panel: Panel, axes: Any) -> None:
    """Draws the bars from the top. A thin line shows the range from the least to the greatest
    value.
    """
    rows = range(len(panel.bars))
    middles = [median(bar.values) for bar in panel.bars]
    axes.barh(rows, middles, height=0.62, color=[bar.colour for bar in panel.bars])
    ends = [(min(bar.values), max(bar.values)) for bar in panel.bars]
    axes.hlines(rows, *zip(*ends, strict=True), color="#222", linewidth=1)
    axes.set_yticks(rows, [bar.label for bar in panel.bars])
    axes.set_ylim(len(panel.bars) - 0.5, -0.5)
    longest = max(high for _, high in ends)
    axes.set_xlim(0, min(longest, panel.most or longest) * 1.02)
    for row, bar in enumerate(panel.bars):
        axes.text(1.02, row, bar.shown, transform=axes.get_yaxis_transform(), va="center")
    if panel.line is not None:
        axes.axvline(panel.line, color="#222", linestyle="--", linewidth=1)
    axes.set_title(panel.title, loc="left", fontweight="bold")
    axes.set_xlabel(panel.axis)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _read(files: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Returns the rounds and the aims of the figures, and the machines."""
    measured: dict[str, Any] = {}
    aims: dict[str, Any] = {}
    machines: dict[str, None] = {}
    for file in files:
        facts = json.loads(Path(file).read_text())
        measured |= facts["rounds"]
        aims |= facts["aims"]
        machines[facts["machine"].partition(", ")[0]] = None
    in_order = sorted(measured, key=lambda name: (name[0] != "P", name))
    return {name: measured[name] for name in in_order}, aims, "; ".join(machines)


def main(folder: str, *files: str) -> None:
    mpl.use("svg")
    mpl.rcParams.update({"font.size": 9, "svg.hashsalt": "bench", "savefig.facecolor": "white"})
    measured, aims, note = _read(files)
    pictures = {
        "aims": against_aims(measured, aims),
        "peers": beside_others(measured),
        "large": empty_and_large(measured),
    }
    for name, panels in pictures.items():
        if filled := [panel for panel in panels if panel.bars]:
            draw(filled, note=note, file=Path(folder) / f"{name}.svg")


if __name__ == "__main__":
    main(*sys.argv[1:])
