"""Defines the rules for adapters, and the verdicts on them."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, Literal, NamedTuple

Word = Literal["kept", "broken", "not seen"]
MOST_TOLD = 4
NOT_SEEN: Final[Word] = "not seen"
RULES: Final = {
    1: "keep one stream open, reconnect with jitter",
    2: "send keepalive pings, accept messages of 2 MiB",
    3: "apply a subscription's requests one after the other",
    4: "after a refusal, drop the other requests of the lease",
    5: "be idempotent",
    6: "never start a request twice, use the newest token",
    7: "extend leases at a third of their duration",
    8: "repeat a lost answer, never change it",
    9: "continue after every ResponseCode",
    10: "while the platform is down, keep no lease and no stream",
    11: "after drain, open a new stream, answer the old leases",
    12: "answer an unknown type RETRY_LATER, UNKNOWN_TYPE",
    13: "release an old lease, begin none of its requests",
}


class Broken(Exception):
    """The adapter broke a rule, so the scenario cannot continue."""

    def __init__(self, rule: int, what: str) -> None:
        super().__init__(what)
        self.rule = rule


class Gone(Broken):
    """The adapter has no stream any more, so no further scenario can run."""


class Untested(Exception):
    """The adapter refused a request that the scenario needs, so the rule cannot be tested."""

    def __init__(self, rule: int, why: str) -> None:
        super().__init__(why)
        self.rule = rule


class RuleVerdict(NamedTuple):
    rule: int
    asks: str
    word: Word
    seen: str


class Findings:
    """Collects the observations about all rules.

    One violation of a rule is enough for the verdict that the adapter breaks the rule. Without a
    violation, one proof is enough for the verdict that the adapter keeps the rule.

    `complete`: False if a scenario could not continue, because the adapter refused a request.
    """

    def __init__(self) -> None:
        self.complete = True
        self._found: defaultdict[tuple[int, Word], list[str]] = defaultdict(list)

    def kept(self, rule: int, what: str) -> None:
        self._found[rule, "kept"].append(what)

    def broken(self, rule: int, what: str) -> None:
        self._found[rule, "broken"].append(what)

    def not_seen(self, rule: int, why: str) -> None:
        self._found[rule, "not seen"].append(why)

    def untested(self, rule: int, why: str) -> None:
        self.not_seen(rule, why)
        self.complete = False

    def ended_early(self, why: str) -> None:
        """Names the reason at all rules about which nothing was observed."""
        seen = {rule for rule, _ in self._found}
        for rule in RULES:
            if rule not in seen:
                self.not_seen(rule, why)

    def verdicts(self) -> list[RuleVerdict]:
        return [self._verdict(rule, asks) for rule, asks in RULES.items()]

    def _verdict(self, rule: int, asks: str) -> RuleVerdict:
        words: tuple[Word, ...] = ("broken", "kept")
        word: Word = next((word for word in words if (rule, word) in self._found), NOT_SEEN)
        told = [*dict.fromkeys(self._found[rule, word])]
        if word == "kept":
            told += [f"not seen: {why}" for why in self._found[rule, NOT_SEEN]]
        if len(told) > MOST_TOLD:
            told[MOST_TOLD:] = [f"and {len(told) - MOST_TOLD} more"]
        return RuleVerdict(rule, asks, word, "; ".join(told))
