"""Does the group commit: the commands that arrive during a commit make up the next group.

One thread writes. It loads each group with a few statements, runs its commands in order in memory,
writes the changes in bulk and commits once. Only then are the callers answered.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import structlog
from peewee import OperationalError

from ...domain.refusals import Reason, Refused, unavailable
from ..database import statements as sql
from ..database.engine import DATABASE_ERRORS, Engine, Overtaken, StoreDamaged, StoreLost
from ..memory.memory import Memory
from ..memory.providers import Providers
from ..memory.set_aside import Unprocessable
from ..notices.listeners import Listeners
from ..notices.notice import Notice
from ..notices.throttle import PAUSE_SECONDS, Throttle
from .loaded import Needs
from .queue import Queue
from .transaction import Transaction

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

RETRY_SECONDS = 1.0
"""The seconds between two attempts to reach a lost store again."""
IDLE_SECONDS = 5.0
"""After this many seconds without a command, the database is tidied up."""
MOST_ATTEMPTS = 10
"""While other processes are faster, a group is run at most this often, and then each of its
commands.
"""

log = structlog.get_logger()


class Command(Protocol[Result_co]):
    """A change that runs on the writer's thread.

    `needs` says what to load, `run` makes the change.
    """

    def needs(self) -> Needs: ...

    def run(self, transaction: Transaction) -> Result_co: ...


@dataclass(slots=True)
class _Asked(Generic[Result]):
    command: Command[Result]
    needs: Needs
    future: asyncio.Future[Result]
    result: Result | None = None
    error: BaseException | None = None


class Writer:
    """Runs commands on a thread of its own.

    The listeners of the commits are called on the event loop.
    """

    def __init__(
        self,
        engine: Engine,
        memory: Memory,
        *,
        server: str,
        loop: asyncio.AbstractEventLoop,
        listeners: Listeners,
    ) -> None:
        self._engine = engine
        self._memory = memory
        self._loop = loop
        self._listeners = listeners
        self._server = server
        self._throttle = Throttle(server)
        self._asked: Queue[_Asked[Any]] = Queue()
        self._wanted = threading.Condition()
        self._stopping = False
        self._lost = False
        self._tidy = True
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Finishes what was queued, then ends the thread."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify()
        await asyncio.to_thread(self._thread.join)

    def check(self) -> None:
        """Raises StoreGone if the database file was removed or replaced."""
        self._engine.check()

    def ask(self, command: Command[Result]) -> asyncio.Future[Result]:
        """Queues the command behind the commands of its kind that were queued before."""
        future: asyncio.Future[Result] = self._loop.create_future()
        asked = _Asked(command, command.needs(), future)
        with self._wanted:
            if self._stopping:
                raise Refused(Reason.DRAINING, "this server process is shutting down")
            self._asked.add(asked)
            self._wanted.notify()
        return future

    def _work(self) -> None:
        while (group := self._next_group()) is not None:
            if group or self._throttle.unsent or self._lost:
                self._tidy = False
                notices = self._run_group(group)
                self._loop.call_soon_threadsafe(self._answer, group, notices)
            else:
                self._tidy_up()
        self._engine.close()

    def _next_group(self) -> list[_Asked[Any]] | None:
        """Waits for the next group. Returns None if the writer stops.

        The group is empty if no command is queued, but notifications for other processes are due, a
        lost store may be reached again, or no command was queued for a while.
        """
        with self._wanted:
            if self._throttle.unsent:
                wait: float | None = PAUSE_SECONDS
            elif self._lost:
                wait = RETRY_SECONDS
            else:
                wait = None if self._tidy else IDLE_SECONDS
            self._wanted.wait_for(lambda: self._asked or self._stopping, wait)
            if self._stopping and not self._asked:
                return None
            return self._asked.next_group()

    def _tidy_up(self) -> None:
        try:
            self._tidy = self._engine.tidy()
        except DATABASE_ERRORS as error:
            log.warning("not_tidied", error=str(error))

    def _run_group(self, group: Sequence[_Asked[Any]], *, attempt: int = 1) -> list[Notice]:
        """Runs the group as one transaction.

        If another process was faster, it runs the group again. If that does not help, it runs the
        commands one by one.
        """
        try:
            return [self._commit(group)]
        except StoreLost as lost:
            self._lose(group, lost)
            return []
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            self._memory.subscriptions.forget()
            if self._is_worth_another_attempt(group, error) and attempt < MOST_ATTEMPTS:
                return self._run_group(group, attempt=attempt + 1)
            if len(group) > 1:
                log.warning("group_failed", size=len(group), error=repr(error))
                return [notice for asked in group for notice in self._run_group([asked])]
            self._fail(group, error)
            return []

    def _is_worth_another_attempt(self, group: Sequence[_Asked[Any]], error: Exception) -> bool:
        """Tells whether the group may succeed if it runs again.

        If a single command could not process a subscription, that subscription is set aside. A
        command that searches for its subscriptions then finds the others.
        """
        if not isinstance(error, Unprocessable) or len(group) != 1:
            return isinstance(error, Overtaken)
        needs = group[0].needs
        if needs.duty:
            self._set_aside(error.subscription, needs.duty, error.__cause__ or error)
        return needs.searches and bool(needs.duty)

    def _fail(self, group: Sequence[_Asked[Any]], error: Exception) -> None:
        if isinstance(error, Overtaken):
            log.warning("overtaken_too_often", attempts=MOST_ATTEMPTS)
            error = unavailable("written")
        elif isinstance(error, StoreDamaged):
            self._loop.call_soon_threadsafe(self._listeners.tell_damaged, error)
            error = unavailable("written")
        elif isinstance(error, OperationalError | sqlite3.OperationalError):
            log.error("store_unavailable", exc_info=error)
            error = unavailable("written")
        elif not group:
            log.error("others_not_told", exc_info=error)
            self._throttle.forget()
        for asked in group:
            asked.error = error

    def _lose(self, group: Sequence[_Asked[Any]], lost: StoreLost) -> None:
        """Fails the whole group.

        Nothing is run again, because nobody knows whether it was committed.
        """
        self._memory.subscriptions.forget()
        self._throttle.forget()
        for asked in group:
            asked.error = unavailable("written")
        if not self._lost:
            log.error("store_lost", error=str(lost))
            self._lost = True
            self._loop.call_soon_threadsafe(self._listeners.tell_lost)

    def _commit(self, group: Sequence[_Asked[Any]]) -> Notice:
        memory, needs = self._memory, [asked.needs for asked in group]
        with self._engine.transaction() as (tables, numbers):
            if self._engine.shared:
                set_up = any(need.set_up for need in needs)
                etags = sql.ETAGS_ALONE if set_up else sql.ETAGS
                memory.providers = memory.providers.as_stored(tables.select, etags)
            former = memory.providers
            transaction = Transaction(
                tables, numbers, memory=memory, shared=self._engine.shared, server=self._server
            )
            transaction.load(needs)
            for asked, need in zip(group, needs, strict=True):
                if not need.searches:
                    self._run(asked, need, transaction)
            transaction.flush()
            for asked, need in zip(group, needs, strict=True):
                if need.searches:
                    self._run(asked, need, transaction)
                    transaction.flush()
            transaction.finish()
            if self._lost:
                tables.run(sql.PROBE, ())
            if self._engine.shared:
                tables.tell(self._throttle.messages(transaction.notice))
        self._throttle.sent()
        memory.scan_starts.note(transaction.notice.ready)
        self._listeners.tell_at_once(transaction.notice)
        transaction.keep_recent()
        if transaction.providers is not former.records:
            memory.providers = Providers(transaction.providers, transaction.catalogues)
        if self._lost:
            log.info("store_found")
            self._lost = False
            self._loop.call_soon_threadsafe(self._listeners.tell_found)
        return transaction.notice

    def _run(self, asked: _Asked[Any], needs: Needs, transaction: Transaction) -> None:
        """Runs a command.

        Raises Unprocessable if the command of a duty fails at one of its subscriptions.
        """
        asked.error = None
        transaction.begin(needs)
        try:
            asked.result = asked.command.run(transaction)
            if needs.duty:
                self._memory.set_asides.remove(transaction.processed, needs.duty)
        except Refused as refused:
            asked.error = refused
            if needs.duty and transaction.processed:
                self._set_aside(transaction.processed[-1], needs.duty, refused)
        except DATABASE_ERRORS:
            raise
        except Exception as error:
            if needs.duty and transaction.processed:
                raise Unprocessable(transaction.processed[-1]) from error
            raise

    def _set_aside(self, subscription: str, duty: str, error: BaseException) -> None:
        memory = self._memory
        entry = memory.set_asides.add(subscription, duty, repr(error), now=memory.now())
        facts = {"subscription": subscription, "duty": duty, "failures": entry.failures}
        log.error("subscription_set_aside", **facts, exc_info=error)

    def _answer(self, group: Sequence[_Asked[Any]], notices: list[Notice]) -> None:
        for notice in notices:
            self._listeners.tell_committed(notice)
        for asked in group:
            if asked.future.done():
                continue
            if asked.error is not None:
                asked.future.set_exception(asked.error)
            else:
                asked.future.set_result(asked.result)
