"""What a commit changed for those who deliver, in this process and in the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from ...domain.lease import server_of

MOST_IN_MESSAGE = 40
"""The most streams or providers in a message, because a notification has at most 8,000 bytes."""


@dataclass(frozen=True, slots=True)
class Committed:
    """`woken`: for each provider at which a lane became ready, the age of the oldest.

    For each stream: `freed` is the decrease of the number of its leased requests, negative if more
    were leased; `ran_out` counts requests of leases that ran out; `heard` contains streams whose
    adapter sent something; `stopped` contains streams that want nothing more. `settled`: the
    actions that are settled now.
    """

    woken: dict[str, int] = field(default_factory=dict)
    freed: Counter[str] = field(default_factory=Counter)
    ran_out: Counter[str] = field(default_factory=Counter)
    heard: set[str] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)

    def wake(self, provider: str, age: int) -> None:
        self.woken[provider] = min(age, self.woken.get(provider, age))

    def messages(self, server: str, *, woken: Mapping[str, int]) -> Iterator[str]:
        """The messages for the other processes: changes of their streams, and providers with ready
        lanes.
        """
        facts: dict[str, _Stream] = {}
        for stream in {*self.freed, *self.ran_out, *self.heard, *self.stopped}:
            if stream and server_of(stream) != server:
                fact = (
                    self.freed[stream],
                    self.ran_out[stream],
                    stream in self.heard,
                    stream in self.stopped,
                )
                if any(fact):
                    facts[stream] = fact
        streams, providers = iter(facts.items()), iter(woken.items())
        while few := dict(islice(streams, MOST_IN_MESSAGE)):
            yield _encode(_Message(server, {}, few))
        while some := dict(islice(providers, MOST_IN_MESSAGE)):
            yield _encode(_Message(server, some, {}))


_Stream = tuple[int, int, bool, bool]


class _Message(msgspec.Struct, frozen=True, array_like=True):
    server: str
    woken: dict[str, int]
    streams: dict[str, _Stream]


def told(message: str, *, to: str) -> Committed | None:
    """What another process than `to` has committed."""
    found = msgspec.json.decode(message, type=_Message)
    if found.server == to:
        return None
    return Committed(
        woken=found.woken,
        freed=Counter({stream: fact[0] for stream, fact in found.streams.items()}),
        ran_out=Counter({stream: fact[1] for stream, fact in found.streams.items()}),
        heard={stream for stream, fact in found.streams.items() if fact[2]},
        stopped={stream for stream, fact in found.streams.items() if fact[3]},
    )


def _encode(message: _Message) -> str:
    return msgspec.json.encode(message).decode()
