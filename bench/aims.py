"""Says how much of an aim was reached. This module needs only the standard library, because
`bench.pictures` imports it in another environment.
"""

from __future__ import annotations


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def reached(aim: str, value: float) -> float:
    """Returns the share of the aim that was reached; 1 and more means that the aim is reached."""
    share = share_of(aim, value)
    return share if is_least(aim) else 1 / share


def share_of(aim: str, value: float) -> float:
    """Returns the value divided by the number in the aim."""
    return value / float(aim.split()[1])


def is_least(aim: str) -> bool:
    return aim.startswith("≥")
