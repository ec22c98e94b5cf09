"""Makes a table of the measured figures, and compares them with the aims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from .aims import number, reached
from .figures import FIGURES
from .loads import Round

Measured = Mapping[str, Sequence[Round]]


def table(measured: Measured) -> Iterator[str]:
    yield "| figure | | median | min to max | aim |"
    yield "|---|---|---|---|---|"
    for name, rounds in measured.items():
        shown = f"{name} {FIGURES[name].title}"
        for what in rounds[0]:
            values = [each[what] for each in rounds]
            spread = f"{number(min(values))} to {number(max(values))}" if len(values) > 1 else ""
            aim = _against(FIGURES[name].aims.get(what), median(values))
            yield f"| {shown} | {what} | {number(median(values))} | {spread} | {aim} |"
            shown = name


def _against(aim: str | None, value: float) -> str:
    if aim is None:
        return ""
    return f"{aim}: {'reached' if reached(aim, value) >= 1 else 'not reached'}"
