"""Collects the figures that tests count or measure, for the summary at the end of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Figure = Callable[[str, int | str], None]
"""Records a figure under a name. Numbers with the same name are added up, texts are listed."""


def lines(figures: Iterable[tuple[str, int | str]]) -> list[str]:
    totals: dict[str, int] = {}
    texts: list[str] = []
    for name, value in figures:
        if isinstance(value, int):
            totals[name] = totals.get(name, 0) + value
        else:
            texts.append(f"{name}: {value}")
    return [f"{name}: {total:,}" for name, total in totals.items()] + texts
