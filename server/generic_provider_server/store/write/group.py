"""Runs a group of commands in one transaction."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any

import structlog

from ...domain.refusals import Refused
from ..database import statements as sql
from ..database.engine import DATABASE_ERRORS, Engine, InDoubt
from ..memory.memory import Memory
from ..memory.providers import Providers
from ..memory.set_aside import Unprocessable
from ..notices.listeners import Listeners
from ..notices.notice import Notice
from ..notices.tally import ACTIONS, REFUSED
from ..notices.throttle import Throttle
from .command import Asked, entries_of
from .transaction import Transaction

log = structlog.get_logger()


class GroupCommit:
    """Commits groups of commands. `queue`: the commands that wait for the next group. `throttle`:
    the notifications that wait to be sent.
    """

    def __init__(self, engine: Engine, memory: Memory, queue: Sized, listeners: Listeners) -> None:
        self.throttle = Throttle(memory.server)
        self._engine = engine
        self._memory = memory
        self._queue = queue
        self._listeners = listeners

    def commit(self, group: Sequence[Asked[Any]], *, lock_wait: float, probe: bool) -> Notice:
        """Runs the commands and commits.

        `probe`: true if the database was lost. The transaction then writes to the database even if
        the group is empty, to find out whether changes are possible. Raises InDoubt if something
        fails after the commit, so that the commands do not run again.
        """
        memory, needs = self._memory, [asked.needs for asked in group]
        with self._engine.transaction(lock_wait=lock_wait) as (tables, numbers):
            former = memory.providers
            # before the database was lost, a commit in doubt may have changed providers
            if memory.shared or probe:
                if memory.shared and any(need.set_up for need in needs):
                    tables.run(sql.USE_ALONE, ())
                former = memory.providers = former.as_stored(tables.select, sql.ETAGS)
            # not with `memory.providers`, which a reader may replace by an older state at any time
            transaction = Transaction(tables, numbers, memory, providers=former, queue=self._queue)
            transaction.load(needs)
            self._run_all(group, transaction)
            if probe:
                tables.run(sql.PROBE, ())
            if memory.shared:
                tables.notify(self.throttle.messages(transaction.notice))
        try:
            self._note_commit(transaction, former)
        except Exception as error:
            log.exception("commit_not_noted")
            raise InDoubt(repr(error)) from error
        return transaction.notice

    def _note_commit(self, transaction: Transaction, former: Providers) -> None:
        """Updates the memory after a commit. `former`: the providers before the transaction."""
        memory = self._memory
        self.throttle.sent()
        memory.scan_starts.keep()
        memory.scan_starts.note(transaction.notice.ready)
        for processed, duty in transaction.succeeded:
            memory.set_asides.remove(processed, duty)
        self._listeners.notify_at_once(transaction.notice)
        memory.subscriptions.keep(transaction.loaded.values())
        if transaction.providers is not former.records:
            memory.providers = Providers(transaction.providers, transaction.catalogues)

    def _run_all(self, group: Sequence[Asked[Any]], transaction: Transaction) -> None:
        """Runs the commands and writes their changes. Commands that search run after all other
        commands, so that they find the changes of these commands.
        """
        for asked in group:
            if not asked.needs.searches:
                self._run(asked, transaction)
        self._listeners.notify_before_commit(transaction)
        transaction.flush()
        for asked in group:
            if asked.needs.searches:
                self._run(asked, transaction)
                transaction.flush()
        for entry in entries_of(group):
            transaction.audit(entry)
        transaction.finish()

    def _run(self, asked: Asked[Any], transaction: Transaction) -> None:
        """Raises Unprocessable if the command of a duty fails with an unexpected exception while it
        processes a subscription.
        """
        needs, asked.error = asked.needs, None
        transaction.begin(needs)
        try:
            asked.result = asked.command.run(transaction)
            asked.repeated = transaction.repeated
            if needs.duty:
                transaction.succeeded.append((transaction.processed, needs.duty))
        except Refused as refused:
            asked.error = refused
            if needs.kind:
                transaction.notice.tally.counts[ACTIONS, needs.kind, REFUSED] += 1
            if needs.duty and transaction.processed:
                self.set_aside(transaction.processed[-1], needs.duty, refused)
        except DATABASE_ERRORS:
            raise
        except Exception as error:
            if needs.duty and transaction.processed:
                raise Unprocessable(transaction.processed[-1]) from error
            raise

    def set_aside(self, subscription: str, duty: str, error: BaseException) -> None:
        memory = self._memory
        entry = memory.set_asides.add(subscription, duty, repr(error), now=memory.now())
        facts = {"subscription": subscription, "duty": duty, "failures": entry.failures}
        log.error("subscription_set_aside", **facts, exc_info=error)
