"""Defines the notice of a commit, which the listeners of this process and of other
processes get.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from ...domain.audit import AuditEntry
from ...domain.lease import server_of
from .tally import Tally, counting

MOST_IN_MESSAGE = 25
"""The greatest number of streams or providers in one message, because a notification of PostgreSQL
has less than 8,000 bytes, and the code of a provider may have 256 bytes.
"""


class Notice(msgspec.Struct, frozen=True):
    """The facts about a commit that listeners need.

    `ready`: the providers at which a lane became ready, each with the time since which the oldest
    of these lanes has been ready. `freed`: for each stream, by how much the number of its leased
    requests decreased; negative if the number increased. `ran_out`: for each stream, the number of
    requests on leases that ran out. `heard`: the streams whose adapter sent something. `stopped`:
    the streams that must get no more requests. `settled`: the actions that the commit settled.
    `audited`: the new entries of the audit trail. `tally`: the counts for the metrics.
    `handed_over`: for each stream of this process, the leases that the transaction gave to the
    stream. In a notice from another process, `settled`, `audited`, `tally` and `handed_over` are
    empty.
    """

    ready: dict[str, int] = msgspec.field(default_factory=dict)
    freed: dict[str, int] = msgspec.field(default_factory=counting)
    ran_out: dict[str, int] = msgspec.field(default_factory=counting)
    heard: set[str] = msgspec.field(default_factory=set)
    stopped: set[str] = msgspec.field(default_factory=set)
    settled: set[int] = msgspec.field(default_factory=set)
    audited: list[AuditEntry] = msgspec.field(default_factory=list)
    tally: Tally = msgspec.field(default_factory=Tally)
    handed_over: defaultdict[str, list[Any]] = msgspec.field(
        default_factory=lambda: defaultdict(list)
    )

    def add_ready(self, provider: str, since: int) -> None:
        self.ready[provider] = min(since, self.ready.get(provider, since))

    def messages(self, server: str, *, ready: Mapping[str, int]) -> Iterator[str]:
        """Yields the messages for the other processes. The messages contain the changes of streams
        that belong to other processes than `server`. The messages also contain the providers in
        the parameter `ready`, each with the time since which the provider's oldest ready lane has
        been ready.

        The parameter `ready` comes from the throttle. The parameter leaves out providers of the
        field `ready` that must wait, and contains providers of earlier commits that had to wait.
        """
        facts: dict[str, _Facts] = {}
        for stream in {*self.freed, *self.ran_out, *self.heard, *self.stopped}:
            if stream and server_of(stream) != server:
                fact = (
                    self.freed.get(stream, 0),
                    self.ran_out.get(stream, 0),
                    stream in self.heard,
                    stream in self.stopped,
                )
                if any(fact):
                    facts[stream] = fact
        streams, providers = iter(facts.items()), iter(ready.items())
        while few := dict(islice(streams, MOST_IN_MESSAGE)):
            yield _encode(_Message(server, {}, few))
        while some := dict(islice(providers, MOST_IN_MESSAGE)):
            yield _encode(_Message(server, some, {}))


_Facts = tuple[int, int, bool, bool]
"""The values of one stream in a notice: `freed`, `ran_out`, `heard` and `stopped`."""


class _Message(msgspec.Struct, frozen=True, array_like=True):
    server: str
    ready: dict[str, int]
    streams: dict[str, _Facts]


def notice_in(message: str, *, server: str) -> Notice | None:
    """Returns the notice in a message of another process, or None if `server` itself sent the
    message.
    """
    found = msgspec.json.decode(message, type=_Message)
    if found.server == server:
        return None
    return Notice(
        ready=found.ready,
        freed={stream: fact[0] for stream, fact in found.streams.items()},
        ran_out={stream: fact[1] for stream, fact in found.streams.items()},
        heard={stream for stream, fact in found.streams.items() if fact[2]},
        stopped={stream for stream, fact in found.streams.items() if fact[3]},
    )


def _encode(message: _Message) -> str:
    return msgspec.json.encode(message).decode()
