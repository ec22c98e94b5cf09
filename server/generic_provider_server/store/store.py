"""The store: opens it, changes it through the writer, reads it on threads of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from peewee import OperationalError

from ..domain.catalogue import Catalogue
from ..domain.records import ProviderRecord, Who
from ..domain.refusals import Reason, Refused
from ..domain.values import Instant
from .database import exclusive, migrate, reader_of, sqlite_path, writer_of
from .documents import provider_of
from .models import TABLES, Counter, ProviderRow, Setting
from .reads import Reads
from .writer import Command, Committed, Known, Writer

Result = TypeVar("Result")

READERS = 3


class Store:
    """Use `open_store`. Everything here is called on the event loop."""

    def __init__(
        self, *, writer: Writer, known: Known, reads: Reads, token_key: bytes, stack: ExitStack
    ) -> None:
        self._writer = writer
        self._known = known
        self._reads = reads
        self._stack = stack
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self.token_key = token_key
        self._closed = False

    @property
    def providers(self) -> dict[str, ProviderRecord]:
        """Every provider as last committed."""
        return self._known.providers

    @property
    def catalogues(self) -> dict[str, Catalogue]:
        return self._known.catalogues

    async def do(self, command: Command[Result]) -> Result:
        """Commits the command; raises Refused, and then nothing was changed."""
        return await self._writer.ask(command)

    def ask(self, command: Command[Result]) -> asyncio.Future[Result]:
        """Has the command done, behind those that were asked for before."""
        return self._writer.ask(command)

    async def read(self, question: Callable[[Reads], Result]) -> Result:
        """Answers a question from what is committed."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, question, self._reads)
        except OperationalError as error:
            raise Refused(Reason.STORE_UNAVAILABLE, "the store cannot be read just now") from error

    async def close(self) -> None:
        """Once or more."""
        if self._closed:
            return
        self._closed = True
        await self._writer.stop()
        everyone = threading.Barrier(READERS)
        for _ in range(READERS):
            self._threads.submit(self._close_reader, everyone)
        await asyncio.to_thread(self._threads.shutdown)
        self._stack.close()

    def _close_reader(self, everyone: threading.Barrier) -> None:
        """Each thread closes its own connection; the barrier has every thread do it."""
        everyone.wait()
        self._reads.close()


def open_store(
    url: str, *, on_commit: Callable[[Committed], None], clock: Callable[[], int] = time.time_ns
) -> Store:
    """Opens the database, creating or upgrading it; `on_commit` hears of every commit.

    `clock`: nanoseconds since 1970.

    Raises UnsupportedDatabase, StoreInUse.
    """
    path = sqlite_path(url)
    stack = ExitStack()
    stack.enter_context(exclusive(path))
    try:
        database = writer_of(path)
        migrate(database)
        with database.bind_ctx(TABLES):
            known = _known(clock)
            token_key = bytes(Setting.get_by_id("token_key").value)
        database.close()
    except BaseException:
        stack.close()
        raise
    writer = Writer(database, known, loop=asyncio.get_running_loop(), on_commit=on_commit)
    writer.start()
    return Store(
        writer=writer,
        known=known,
        reads=Reads(reader_of(path), known),
        token_key=token_key,
        stack=stack,
    )


def _known(clock: Callable[[], int]) -> Known:
    providers = {
        row.code: ProviderRecord(
            provider=provider_of(bytes(row.document)),
            create_time=Instant(row.create_time),
            update_time=Instant(row.update_time),
            etag=row.etag,
            who=Who(performed_by=row.performed_by, caller=row.caller),
        )
        for row in ProviderRow.select()
    }
    return Known(
        providers=providers,
        catalogues={code: Catalogue(record.provider) for code, record in providers.items()},
        counters={counter.name: counter.value for counter in Counter.select()},
        clock=clock,
    )
