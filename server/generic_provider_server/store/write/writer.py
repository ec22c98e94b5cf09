"""Does the group commit: the commands that arrive during a commit are the next group.

One thread writes. The thread loads the rows for a group with a few statements, runs the commands in
memory, writes the changes in bulk, and commits once. The callers get their results after the
commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from peewee import OperationalError

from ...domain.refusals import Reason, Refused, unavailable
from ..database.engine import (
    DATABASE_ERRORS,
    Engine,
    InDoubt,
    Locked,
    Overtaken,
    StoreDamaged,
    StoreFailed,
    StoreLost,
)
from ..memory.memory import Memory
from ..memory.set_aside import Unprocessable
from ..notices.listeners import Listeners
from ..notices.notice import Notice
from ..notices.throttle import PAUSE_SECONDS
from ..waits import Waits
from .blocked import Blocked, LockWaits, Name, names_of
from .command import Asked, Audit, Awaited, Command, Result
from .group import GroupCommit
from .next_group import CommandQueue

RETRY_SECONDS = 1.0
"""The seconds between two attempts to reach a lost store again."""
IDLE_SECONDS = 5.0
"""The seconds without a command after which the writer frees unused disk space."""
MOST_ATTEMPTS = 10
"""If other processes have changed the rows of a group first in this number of attempts, the
commands of the group run one by one.
"""

MOST_LOGGED = 10
"""The greatest number of subscriptions that one line of the log names."""
PARTING_SECONDS = 0.5
"""The longest time, in seconds, for which the writer searches for the commands of a group that need
a lock of another session.
"""

log = structlog.get_logger()


class Writer:
    """Runs commands on a thread of its own, and notifies the listeners of each commit."""

    def __init__(
        self,
        engine: Engine,
        memory: Memory,
        *,
        loop: asyncio.AbstractEventLoop,
        listeners: Listeners,
        waits: Waits,
    ) -> None:
        self._engine = engine
        self._memory = memory
        self._loop = loop
        self._listeners = listeners
        self._asked = CommandQueue()
        self._groups = GroupCommit(engine, memory, self._asked, listeners)
        self._throttle = self._groups.throttle
        self._blocked = Blocked(waits.blocked)
        self._lock_waits = LockWaits(waits.lock)
        self._notices: list[Notice] = []
        self._wanted = threading.Condition()
        self._stopping = False
        self._lost = False
        self._tidy = True
        self._failed = False
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Runs the queued commands, ends the thread, and waits for its end."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify()
        self._thread.join()

    def check(self) -> None:
        """Raises StoreFailed if the thread has failed, and the errors of `Engine.check`."""
        if self._failed:
            raise StoreFailed("the thread that writes to the database has failed; see the log")
        self._engine.check()

    def ask(
        self, commands: Sequence[Command[Result]], *, audit: Audit | None = None
    ) -> list[Asked[Result]]:
        """Queues the commands. `Asked.awaited.future` is done when all these commands have run."""
        awaited, now = Awaited(self._loop.create_future(), len(commands)), time.monotonic()
        asked = [Asked(each, each.needs(), awaited, now, audit) for each in commands]
        with self._wanted:
            if self._stopping:
                raise Refused(Reason.DRAINING, "this server process is shutting down")
            for each in asked:
                self._asked.add(each)
            self._wanted.notify()
        return asked

    def _work(self) -> None:
        asked: list[Asked[Any]] | None = []
        try:
            while (asked := self._next_group()) is not None:
                self._do(asked)
        except Exception:
            log.exception("writer_failed")
            self._fail_all(asked or ())
        self._engine.close()

    def _do(self, asked: Sequence[Asked[Any]]) -> None:
        group = self._blocked.pass_on(asked)
        if group or self._throttle.unsent or self._lost:
            self._tidy = False
            self._run_group(group, lock_wait=self._lock_waits.first(group))
            self._answer_soon(group)
        elif not self._blocked:
            self._tidy_up()
        if self._blocked.pause() == 0:
            self._try_blocked()

    def _fail_all(self, running: Sequence[Asked[Any]]) -> None:
        """Gives every command an error, because the thread ends. `running`: the group that was
        running; some of its commands may have been committed.
        """
        with self._wanted:
            self._failed = self._stopping = True
            left = [*running, *self._blocked]
            while self._asked:
                left += self._asked.next_group()
        self._refuse(dict.fromkeys(left))

    def _refuse(self, commands: Iterable[Asked[Any]]) -> None:
        for each in commands:
            each.blocked, each.error = False, unavailable("written")
        self._answer_soon(commands)

    def _answer_soon(self, group: Iterable[Asked[Any]]) -> None:
        done = [asked for asked in group if not asked.blocked]
        notices, self._notices = self._notices, []
        self._loop.call_soon_threadsafe(self._answer, done, notices)

    def _next_group(self) -> list[Asked[Any]] | None:
        """Waits for the next group. Returns None if the writer stops.

        The group is empty if no command is queued, and the writer has another task: to send
        notifications to other processes, to try blocked commands, to reconnect to a lost database,
        or to free unused disk space.
        """
        with self._wanted:
            if self._throttle.unsent:
                wait: float | None = PAUSE_SECONDS
            elif self._blocked:
                wait = self._blocked.pause()
            elif self._lost:
                wait = RETRY_SECONDS
            else:
                wait = None if self._tidy else IDLE_SECONDS
            self._wanted.wait_for(lambda: self._asked or self._ends(), wait)
            return None if self._ends() else self._asked.next_group()

    def _tidy_up(self) -> None:
        try:
            self._tidy = self._engine.tidy()
        except DATABASE_ERRORS as error:
            log.warning("not_tidied", error=str(error))
            if isinstance(error, StoreDamaged):
                self._loop.call_soon_threadsafe(self._listeners.notify_damaged, error)

    def _ends(self) -> bool:
        return self._stopping and not self._asked and not self._blocked

    def _try_blocked(self) -> None:
        """Runs the blocked commands in groups, with short waits for locks."""
        for group in self._blocked.attempts():
            self._run_group(group, lock_wait=self._lock_waits.again)
            self._answer_soon(group)
        if expired := self._blocked.give_up():
            named = set[str]().union(*[asked.needs.subscriptions for asked in expired])
            facts = {"commands": len(expired), "kinds": sorted({asked.kind for asked in expired})}
            log.warning("locks_not_given", **facts, subscriptions=sorted(named)[:MOST_LOGGED])
            self._refuse(expired)

    def _run_group(
        self, group: Sequence[Asked[Any]], *, lock_wait: float, until: float | None = None
    ) -> None:
        """Runs the group as one transaction.

        If another process has changed the same rows first, the group runs again and reads the
        changed rows. If MOST_ATTEMPTS attempts have failed, the commands run one by one. Commands
        that need a lock of another session are added to the blocked commands.
        """
        for attempt in range(1, MOST_ATTEMPTS + 1):
            try:
                self._notices.append(self._commit(group, lock_wait=lock_wait))
            except StoreLost as lost:
                self._lose(group, lost)
            except Locked:
                self._memory.forget()
                if until is None:  # the failure of the whole group was counted before
                    self._lock_waits.failed()
                self._part(group, until=until or time.monotonic() + PARTING_SECONDS)
            except Exception as error:  # noqa: BLE001 - the callers get the error
                self._memory.forget()
                may_succeed = isinstance(error, Overtaken) or self._set_aside(group, error)
                if may_succeed and attempt < MOST_ATTEMPTS:
                    continue
                if len(group) > 1:
                    log.warning("group_failed", size=len(group), error=repr(error))
                    self._run_one_by_one(group, lock_wait=lock_wait, until=until)
                else:
                    self._fail(group, error)
            return

    def _run_one_by_one(
        self, group: Sequence[Asked[Any]], *, lock_wait: float, until: float | None
    ) -> None:
        """Runs each command in a transaction of its own. If a command is blocked, later commands
        that name a row of this command are blocked too, so that they do not run before this
        command.
        """
        rows = set[Name]()
        for asked in group:
            if rows.isdisjoint(names_of(asked)):
                self._run_group([asked], lock_wait=lock_wait, until=until)
            else:
                self._blocked.add(asked)
            if asked.blocked:
                rows |= names_of(asked)

    def _part(self, group: Sequence[Asked[Any]], *, until: float) -> None:
        """Halves the group repeatedly, to find the commands that need a lock of another session,
        and runs the other commands.

        After the time `until`, all remaining commands count as blocked.
        """
        half = len(group) // 2
        for part in (group[:half], group[half:]):
            if len(group) == 1 or time.monotonic() > until:
                for asked in part:
                    self._blocked.add(asked)
            elif free := self._blocked.pass_on(part):
                self._run_group(free, lock_wait=self._lock_waits.again, until=until)

    def _set_aside(self, group: Sequence[Asked[Any]], error: Exception) -> bool:
        """If the group is a single command of a duty that could not process a subscription, sets
        the subscription aside. Returns whether the command may then succeed if it runs again: a
        command that searches for subscriptions leaves this subscription out.
        """
        if isinstance(error, Unprocessable) and len(group) == 1 and (duty := group[0].needs.duty):
            self._groups.set_aside(error.subscription, duty, error.__cause__ or error)
            return group[0].needs.searches
        return False

    def _fail(self, group: Sequence[Asked[Any]], error: Exception) -> None:
        if isinstance(error, Overtaken):
            log.warning("overtaken_too_often", attempts=MOST_ATTEMPTS)
            error = unavailable("written")
        elif isinstance(error, StoreDamaged):
            self._loop.call_soon_threadsafe(self._listeners.notify_damaged, error)
            error = unavailable("written")
        elif isinstance(error, OperationalError | sqlite3.OperationalError):
            log.error("store_unavailable", exc_info=error)
            error = unavailable("written")
        elif not group:
            log.error("others_not_told", exc_info=error)
            self._throttle.forget()
        for asked in group:
            asked.error = error

    def _lose(self, group: Sequence[Asked[Any]], lost: StoreLost) -> None:
        """Gives every command of the group an error.

        The commands are not run again, because nobody knows whether the group was committed.
        """
        self._memory.forget()
        self._memory.scan_starts.begin_anew()
        self._throttle.forget()
        for asked in group:
            asked.error = unavailable("written")
        if not self._lost:
            log.error("store_lost", error=str(lost))
            self._lost = True
            self._loop.call_soon_threadsafe(self._listeners.notify_lost)
        elif isinstance(lost, InDoubt):  # streams that are newer than the loss may have leases
            self._loop.call_soon_threadsafe(self._listeners.notify_missed)

    def _commit(self, group: Sequence[Asked[Any]], *, lock_wait: float) -> Notice:
        began = time.perf_counter()
        notice = self._groups.commit(group, lock_wait=lock_wait, probe=self._lost)
        seconds = time.perf_counter() - began
        notice.tally.commands, notice.tally.seconds = len(group), seconds
        of_callers = [each for each in group if each.audit and not each.needs.for_adapter]
        notice.tally.of_callers = len(of_callers)
        if group:
            self._lock_waits.got(seconds)
        if self._lost:
            log.info("store_found")
            self._lost = False
            self._loop.call_soon_threadsafe(self._listeners.notify_found)
        return notice

    def _answer(self, group: Sequence[Asked[Any]], notices: list[Notice]) -> None:
        for notice in notices:
            self._listeners.notify_committed(notice)
        for asked in group:
            asked.awaited.count_down()
