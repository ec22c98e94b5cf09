"""Group commit: what was asked while the last commit was under way goes into the next one.

One thread writes. Each group is loaded with a few statements, its commands run in order in memory,
the changes are written in bulk and committed once; only then does anybody get an answer.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast

import structlog
from peewee import Database, OperationalError

from ..domain.catalogue import Catalogue
from ..domain.records import ProviderRecord
from ..domain.refusals import Reason, Refused
from ..domain.values import Instant
from .loading import Needs
from .recent import Recent
from .work import Work

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

MOST_IN_GROUP = 400

log = structlog.get_logger()


class Command(Protocol[Result_co]):
    """One change."""

    def needs(self) -> Needs | None:
        """None: it looks into the tables itself, so it runs when the others are written."""

    def run(self, work: Work) -> Result_co: ...


@dataclass(slots=True)
class _Asked(Generic[Result]):
    command: Command[Result]
    future: asyncio.Future[Result]
    result: Result | None = None
    error: BaseException | None = None


@dataclass(slots=True)
class Known:
    """What the writer keeps between transactions."""

    providers: dict[str, ProviderRecord]
    catalogues: dict[str, Catalogue]
    counters: dict[str, int]
    clock: Callable[[], int] = time.time_ns
    recent: Recent = field(default_factory=Recent)
    last: Instant = Instant(0)

    def now(self) -> Instant:
        return Instant(self.clock() // 1_000)

    def tick(self) -> Instant:
        """The time of a transaction; it never stands still and never goes back."""
        self.last = Instant(max(self.now(), self.last + 1))
        return self.last


@dataclass(frozen=True, slots=True)
class Committed:
    """What a group changed for those who deliver; see Changes."""

    woken: set[str] = field(default_factory=set)
    freed: Mapping[str, int] = field(default_factory=dict)
    ran_out: Mapping[str, int] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)


class Writer:
    """`on_commit` is called on the loop, before those who asked go on."""

    def __init__(
        self,
        database: Database,
        known: Known,
        *,
        loop: asyncio.AbstractEventLoop,
        on_commit: Callable[[Committed], None],
    ) -> None:
        self._database = database
        self._known = known
        self._loop = loop
        self._on_commit = on_commit
        self._asked: deque[_Asked[Any]] = deque()
        self._wanted = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Finishes what was asked, then ends the thread."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify()
        await asyncio.to_thread(self._thread.join)

    def ask(self, command: Command[Result]) -> asyncio.Future[Result]:
        """Has the command done, behind those that were asked for before."""
        future: asyncio.Future[Result] = self._loop.create_future()
        with self._wanted:
            if self._stopping:
                raise Refused(Reason.DRAINING, "this server process is shutting down")
            self._asked.append(_Asked(command, future))
            self._wanted.notify()
        return future

    def _work(self) -> None:
        while group := self._next_group():
            committed = self._run_group(group)
            self._loop.call_soon_threadsafe(self._answer, group, committed)
        self._database.close()

    def _next_group(self) -> list[_Asked[Any]]:
        with self._wanted:
            self._wanted.wait_for(lambda: self._asked or self._stopping)
            size = min(len(self._asked), MOST_IN_GROUP)
            return [self._asked.popleft() for _ in range(size)]

    def _run_group(self, group: Sequence[_Asked[Any]]) -> list[Committed]:
        """Runs the group as one transaction or, if that fails, its commands one by one."""
        try:
            return [self._commit(group)]
        except Exception as error:
            self._known.recent.forget()
            if len(group) > 1:
                log.warning("group_failed", size=len(group), error=repr(error))
                return [committed for asked in group for committed in self._run_group([asked])]
            if isinstance(error, OperationalError | sqlite3.OperationalError):
                log.exception("store_unavailable")
                error = Refused(Reason.STORE_UNAVAILABLE, "the store cannot be written just now")
            group[0].error = error
            return []

    def _commit(self, group: Sequence[_Asked[Any]]) -> Committed:
        known = self._known
        with self._database.atomic("IMMEDIATE"):
            work = Work(
                cast(Any, self._database).cursor(),
                now=known.tick(),
                providers=known.providers,
                catalogues=known.catalogues,
                counters=known.counters,
                recent=known.recent,
            )
            needs = [asked.command.needs() for asked in group]
            work.load([need for need in needs if need is not None])
            for asked, need in zip(group, needs, strict=True):
                if need is not None:
                    self._run(asked, work)
            work.flush()
            for asked, need in zip(group, needs, strict=True):
                if need is None:
                    self._run(asked, work)
                    work.flush()
        work.keep_recent()
        known.counters = work.counters
        known.catalogues = work.catalogues
        known.providers = work.providers
        return Committed(work.woken, work.freed, work.ran_out, work.settled)

    def _run(self, asked: _Asked[Any], work: Work) -> None:
        asked.error = None
        try:
            asked.result = asked.command.run(work)
        except Refused as refused:
            asked.error = refused

    def _answer(self, group: Sequence[_Asked[Any]], committed: list[Committed]) -> None:
        for change in committed:
            self._on_commit(change)
        for asked in group:
            if asked.future.done():
                continue
            if asked.error is not None:
                asked.future.set_exception(asked.error)
            else:
                asked.future.set_result(asked.result)
