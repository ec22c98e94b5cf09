"""The rules for adapters, and what was found about each."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, Literal, NamedTuple

Word = Literal["kept", "broken", "not seen"]
MOST_TOLD = 4
NOT_SEEN: Final[Word] = "not seen"
RULES: Final = {
    1: "one stream for ever, reconnect with jitter",
    2: "keepalive, messages of up to 2 MiB",
    3: "one after the other within a subscription",
    4: "drop the rest after REJECTED or RETRY_LATER",
    5: "be idempotent",
    6: "never start twice, answer with the newest token",
    7: "extend leases at a third of their duration",
    8: "repeat a lost answer, never another one",
    9: "live with every ResponseCode",
    10: "platform down: release, close, come back",
    11: "drain: a new stream at once, old answers still come",
    12: "unknown type: RETRY_LATER with UNKNOWN_TYPE",
}


class Broken(Exception):
    """A rule was broken in a way that leaves nothing more to be seen of the scenario."""

    def __init__(self, rule: int, what: str) -> None:
        super().__init__(what)
        self.rule = rule


class Gone(Broken):
    """There is no stream any more, so nothing more can be played."""


class Verdict(NamedTuple):
    rule: int
    asks: str
    word: Word
    seen: str


class Findings:
    """A rule that was broken once is broken; it takes one sight to be kept."""

    def __init__(self) -> None:
        self._found: defaultdict[tuple[int, Word], list[str]] = defaultdict(list)

    def kept(self, rule: int, what: str) -> None:
        self._found[rule, "kept"].append(what)

    def broken(self, rule: int, what: str) -> None:
        self._found[rule, "broken"].append(what)

    def not_seen(self, rule: int, why: str) -> None:
        self._found[rule, "not seen"].append(why)

    def verdicts(self) -> list[Verdict]:
        return [self._verdict(rule, asks) for rule, asks in RULES.items()]

    def _verdict(self, rule: int, asks: str) -> Verdict:
        words: tuple[Word, ...] = ("broken", "kept")
        word: Word = next((word for word in words if (rule, word) in self._found), NOT_SEEN)
        told = [*dict.fromkeys(self._found[rule, word])]
        if word == "kept":
            told += [f"not seen: {why}" for why in self._found[rule, NOT_SEEN]]
        if len(told) > MOST_TOLD:
            told[MOST_TOLD:] = [f"and {len(told) - MOST_TOLD} more"]
        return Verdict(rule, asks, word, "; ".join(told))
