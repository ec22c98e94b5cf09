"""Writes the audit entries of calls that changed nothing, and logs every written entry.

The entry of a change is written in the transaction of the change. This module collects the entries
of refused calls, and of calls that are counted together, and writes these entries twice a second.
Refused calls cannot cause an unlimited number of entries: after a few refused calls of a caller in
the same minute, one entry for each RPC and reason counts the further calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import blake2b

import structlog
from msgspec.structs import replace

from ..commands.audit import AddEntries
from ..domain.audit import AuditEntry
from ..domain.refusals import Reason, Refused
from ..domain.values import SECOND, Instant
from ..store.database.documents import encode
from ..store.store import Store
from .periodic_step import Loop

WRITE_SECONDS = 0.5
MINUTE = 60 * SECOND
MOST_ALONE = 10
"""In one minute, at most this number of refused calls of a caller have an entry of their own."""

MOST_CALLERS = 1_000
"""In one minute, the refused calls of at most this number of callers without a proven identity are
counted separately. Refused calls of a caller whose identity is proven are always counted
separately, even after many refused calls from other hosts. The file of callers limits the number of
callers whose identity is proven.
"""

MOST_WAITING = 10_000
UNAUTHENTICATED = 16
"""The number of the gRPC status code UNAUTHENTICATED."""

log = structlog.get_logger()


class Auditing:
    """Collects audit entries until they are written. `write_lines` writes committed entries to the
    log.
    """

    def __init__(self, store: Store, write_lines: Callable[[Iterable[AuditEntry]], None]) -> None:
        self._store = store
        self._waiting: dict[tuple[int, int], AuditEntry] = {}
        self._refused: Counter[str] = Counter()
        self._refused_proven: Counter[str] = Counter()
        self._minute = Instant(0)
        self._lost = 0
        self._loop = Loop("audit", self._write, seconds=WRITE_SECONDS)
        store.listeners.committed.append(lambda notice: write_lines(notice.audited))

    def start(self) -> None:
        self._loop.start()

    async def stop(self) -> None:
        """Writes the collected entries. Call this function after the last RPC has ended."""
        await self._loop.stop()
        with suppress(Refused):
            await self._write()

    def now(self) -> Instant:
        return self._store.now()

    def add(self, entry: AuditEntry) -> None:
        former = self._waiting.get(entry.key)
        if former is None and len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            return
        self._waiting[entry.key] = former.plus(entry) if former else entry

    def count(self, entry: AuditEntry) -> None:
        """Counts the call. The calls that one server process has counted within a minute have one
        entry together if they have the same method, caller, roles, host, provider and resource.
        """
        self._add_alike(_of_host(entry))

    def refuse(self, entry: AuditEntry) -> None:
        """Keeps the entry of a refused call until the next write. If the caller has had many
        refused calls in this minute, the call is only counted, in one entry with similar calls.
        """
        alike = _of_host(entry)
        count = self._counted(alike.caller, proven=bool(entry.roles))
        if 0 < count <= MOST_ALONE:
            self.add(entry)
            return
        alike = replace(alike, provider="", resource="")
        self._add_alike(alike if count else replace(alike, caller="", peer="", roles=()))

    def refuse_credentials(self, host: str) -> None:
        """Counts a call whose credentials were wrong."""
        name = host if self._counted(host, proven=False) else ""
        entry = AuditEntry(time=self.now(), call=0, method="", caller=name, peer=name, refused=1)
        wrong = Reason.UNAUTHENTICATED.value
        self._add_alike(replace(entry, code=UNAUTHENTICATED, reason=wrong))

    def _counted(self, name: str, *, proven: bool) -> int:
        """Counts a refused call. Returns the number of refused calls of this caller in this minute,
        or 0 if the calls of too many callers were refused.
        """
        minute = _minute_of(self.now())
        if minute != self._minute:
            self._minute = minute
            self._refused.clear()
            self._refused_proven.clear()
        counts = self._refused_proven if proven else self._refused
        if not proven and name not in counts and len(counts) >= MOST_CALLERS:
            return 0
        counts[name] += 1
        return counts[name]

    def _add_alike(self, entry: AuditEntry) -> None:
        time = _minute_of(entry.time)
        bare = replace(entry, time=time, call=0, performed_by="", subscription="", detail="")
        alike = encode(replace(bare, done=0, refused=0))
        digest = blake2b(alike + self._store.server.encode(), digest_size=8).digest()
        self.add(replace(bare, call=int.from_bytes(digest) >> 1))

    async def _write(self) -> None:
        """Writes the collected entries.

        If the store cannot be reached, the next attempt writes the entries. After a failed attempt
        a call may be counted twice, because nobody knows whether this attempt has committed the
        entry of the call.
        """
        waiting, self._waiting = self._waiting, {}
        if self._lost:
            log.error("audit_entries_lost", entries=self._lost)
            self._lost = 0
        if not waiting:
            return
        try:
            await self._store.do(AddEntries(entries=tuple(waiting.values())))
        except Refused:
            for entry in waiting.values():
                self.add(entry)
            raise


def _minute_of(time: Instant) -> Instant:
    return Instant(time - time % MINUTE)


def _of_host(entry: AuditEntry) -> AuditEntry:
    """Removes the port from the caller's address in the entry."""
    host = entry.peer.rpartition(":")[0]
    return replace(entry, caller=host if entry.caller == entry.peer else entry.caller, peer=host)
