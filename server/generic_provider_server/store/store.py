"""Changes the store through the writer, and reads it through the readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

from ..domain.catalogue import Catalogue, catalogue_of
from ..domain.subscription.records import ProviderRecord
from ..domain.values import Instant
from .database.engine import StoreDamaged, StoreGone, StoreLost
from .memory.memory import Memory
from .memory.set_aside import DELIVERY, SetAside
from .notices.listeners import Listeners
from .read.queries import Queries
from .readers import Readers
from .sign_of_life import SignOfLife
from .waits import Waits
from .write.command import Asked, Audit, Command
from .write.writer import Writer

Result = TypeVar("Result")


class Store:
    """The open store. `opening.open_store` creates a Store. Call the methods of a Store on the
    event loop.

    `id`: the id of the store itself. `server`: the id of this process. `shared`: true if other
    processes may use the same database. `sign_of_life`: None if `shared` is false. `parts`: closing
    this stack ends all threads of the store, and waits for their end.
    """

    def __init__(
        self,
        *,
        writer: Writer,
        memory: Memory,
        readers: Readers,
        store_id: str,
        token_key: bytes,
        listeners: Listeners,
        waits: Waits,
        sign_of_life: SignOfLife | None,
        parts: ExitStack,
    ) -> None:
        self.server = memory.server
        self.shared = memory.shared
        self.listeners = listeners
        self._writer = writer
        self._memory = memory
        self._readers = readers
        self.id = store_id
        self.token_key = token_key
        self.waits = waits
        self.sign_of_life = sign_of_life
        self._parts = parts
        self._closing: asyncio.Future[None] | None = None

    @property
    def providers(self) -> Mapping[str, ProviderRecord]:
        """The providers in their committed state, as this process last read or changed them. If
        the store is shared, changes of other processes may be missing until `refresh`.
        """
        return self._memory.providers.records

    @property
    def catalogues(self) -> Mapping[str, Catalogue]:
        return self._memory.providers.catalogues

    async def catalogue(self, provider: str) -> Catalogue:
        """Returns the provider's catalogue. Raises Refused if there is no such provider."""
        if provider not in self.catalogues:
            await self.refresh()
        return catalogue_of(self.catalogues, provider)

    async def refresh(self) -> None:
        """Updates the providers with the changes of other processes."""
        if self.shared:
            await self.read(lambda _: None)

    def nothing_is_ready(self, provider: str) -> bool:
        """Tells whether it is certain that the provider has no ready lane.

        While `must_poll` is true, the function returns False.
        """
        return self._memory.scan_starts.is_empty(provider) and not self.must_poll

    @property
    def must_poll(self) -> bool:
        """Tells whether lanes may be ready although no notice of a commit names them: lanes that
        other processes have made ready, and lanes of subscriptions that were set aside from claims.
        """
        return self.shared or any(each.duty == DELIVERY for each in self.set_asides())

    async def do(self, command: Command[Result], *, audit: Audit | None = None) -> Result:
        """Runs and commits the command.

        If this function raises Refused with the reason STORE_UNAVAILABLE, nobody knows whether the
        command was committed. If this function raises Refused with another reason, nothing has
        changed. `audit`: the call whose entry of the audit trail is written in the same
        transaction.
        """
        (asked,) = await self.do_all([command], audit=audit)
        return asked.outcome()

    async def do_all(
        self, commands: Sequence[Command[Result]], *, audit: Audit | None = None
    ) -> list[Asked[Result]]:
        """Runs and commits one or several commands in the given order. If a command is refused, the
        other commands run nevertheless.
        """
        asked = self._writer.ask(commands, audit=audit)
        try:
            await asked[0].awaited.future
        except asyncio.CancelledError:
            if audit is not None:
                asked[0].awaited.give_up(partial(audit.given_up, asked))
            raise
        return asked

    async def read(self, question: Callable[[Queries], Result]) -> Result:
        """Runs a query on the committed state. If the task that waits for the query is cancelled,
        the query ends.

        Raises Refused if the database cannot be read.
        """
        return await self._readers.read(question)

    def check(self) -> None:
        """Raises StoreGone if the database file was removed or replaced, or if a newer version has
        changed the schema so that this version must stop. Raises StoreFailed if the writer's thread
        has ended. If a checkpoint has found that the database is damaged, reports the damage to the
        listeners.
        """
        if self.sign_of_life is not None and self.sign_of_life.outdated:
            raise StoreGone(self.sign_of_life.outdated)
        try:
            self._writer.check()
        except StoreDamaged as damaged:
            self.listeners.notify_damaged(damaged)
        except StoreGone:
            raise
        except StoreLost:
            pass  # the writer reports the loss at its next transaction

    def now(self) -> Instant:
        """Returns the time of the database's clock."""
        return self._memory.now()

    def steady(self) -> Instant:
        """Returns the time of the steady clock, which measures the leases of this process."""
        return self._memory.steady()

    def is_alive(self) -> bool:
        """Tells whether the last sign of life of this process is so fresh that the process may give
        and send leases.
        """
        return self._memory.life.is_fresh()

    def set_asides(self) -> list[SetAside]:
        """Returns the subscriptions that this process could not process, and will try to process
        again later.
        """
        return self._memory.set_asides.entries(now=self._memory.now())

    async def close(self) -> None:
        """Closes the store. This function may be called more than once; each call returns when the
        store is closed.

        If the task that waits is cancelled, the threads of the store are ended nevertheless:
        `asyncio.run` waits for this before it closes the event loop, so no thread of the store
        calls a closed event loop.
        """
        if self._closing is None:
            loop = asyncio.get_running_loop()
            self._closing = loop.run_in_executor(None, self._parts.close)
        await asyncio.shield(self._closing)
