"""Escapes characters that could control a terminal, in texts of other programs and persons."""

from __future__ import annotations

import json
from unicodedata import category

SHOWN = frozenset("\u200c\u200d")
"""Format characters that need no escape: words of some languages contain these characters, and
these characters do not change other text.
"""


def visible(text: str) -> str:
    """Returns the text on one line, with escapes like `\\u001b` instead of control characters.

    A JSON text without line breaks remains valid and keeps its meaning.
    """
    if text.isprintable():
        return text
    return "".join([_escaped(each) if _controls(each) else each for each in text])


def _controls(character: str) -> bool:
    """Tells whether the character controls the terminal, or the order in which other characters are
    shown.
    """
    return category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in SHOWN


def _escaped(character: str) -> str:
    text = json.dumps(character)[1:-1]
    return text if text.startswith("\\") else f"\\u{ord(character):04x}"
