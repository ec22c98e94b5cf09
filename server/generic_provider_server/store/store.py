"""Opens the store, changes it through the writer, and reads it on threads of its own."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from peewee import Database, InterfaceError, OperationalError, PeeweeException

from ..domain.catalogue import Catalogue, catalogue_of
from ..domain.refusals import unavailable
from ..domain.subscription.records import ProviderRecord
from ..domain.values import Instant
from .database import statements as sql
from .database.connections import PREFIXES, checked, database_of
from .database.engine import Engine, StoreDamaged, StoreGone, UnsupportedDatabase
from .database.postgres import PostgresEngine
from .database.sqlite import PREFIX, SqliteEngine, failure_of, sqlite_path, sqlite_reader
from .database.sqlite_file import check_folder
from .database.urls import hidden
from .memory.memory import Memory
from .memory.set_aside import SetAside
from .notices.listener import Listener
from .notices.listeners import Listeners
from .read.endable_read import EndableRead
from .read.queries import Queries
from .sign_of_life import SignOfLife
from .waits import USUAL, Waits
from .write.command import Asked, Audit, Command
from .write.writer import Writer

Result = TypeVar("Result")

READERS = 3
UNREACHABLE = (OperationalError, InterfaceError)


class Store:
    """The open store. Create it with `open_store`, and call everything on the event loop.

    `id`: the id of the store itself. `server`: the id of this process. `shared`: true if other
    processes may serve the same database. Only then is there a `sign_of_life`.
    """

    def __init__(
        self,
        *,
        server: str,
        shared: bool,
        writer: Writer,
        listener: Listener | None,
        memory: Memory,
        queries: Queries,
        store_id: str,
        token_key: bytes,
        listeners: Listeners,
        waits: Waits,
        sign_of_life: SignOfLife | None,
    ) -> None:
        self.server = server
        self.shared = shared
        self.listeners = listeners
        self._writer = writer
        self._listener = listener
        self._memory = memory
        self._queries = queries
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self.id = store_id
        self.token_key = token_key
        self.waits = waits
        self.sign_of_life = sign_of_life
        self._closed = False

    @property
    def providers(self) -> Mapping[str, ProviderRecord]:
        """The committed state of all providers."""
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
        """Tells whether it is certain that a claim would find nothing.

        If other processes may write, it is never certain.
        """
        return not self.shared and self._memory.scan_starts.is_empty(provider)

    async def do(self, command: Command[Result], *, audit: Audit | None = None) -> Result:
        """Runs and commits the command.

        If it raises Refused, nothing has changed, except with the reason STORE_UNAVAILABLE: then
        nobody knows whether the command was committed. `audit`: the call whose entry of the audit
        trail is written in the same transaction.
        """
        (asked,) = await self.do_all([command], audit=audit)
        return asked.outcome()

    async def do_all(
        self, commands: Sequence[Command[Result]], *, audit: Audit | None = None
    ) -> list[Asked[Result]]:
        """Runs and commits the commands, at least one, in the given order. If a command is refused,
        the other commands run nevertheless.
        """
        asked, done = self._writer.ask(commands, audit=audit)
        await done
        return asked

    async def read(self, question: Callable[[Queries], Result]) -> Result:
        """Runs a query on the committed state. If the caller is cancelled, the query ends."""
        loop, reading = asyncio.get_running_loop(), EndableRead()
        try:
            return await loop.run_in_executor(self._threads, self._answer, question, reading)
        except asyncio.CancelledError:
            threading.Thread(target=reading.give_up, daemon=True).start()
            raise
        except (PeeweeException, sqlite3.Error) as error:
            failure = failure_of(error)
            if isinstance(failure, StoreDamaged):
                self.listeners.tell_damaged(failure)
            elif not isinstance(error, UNREACHABLE):
                raise
            raise unavailable("read") from error

    def check(self) -> None:
        """Raises StoreGone if the database file was removed or replaced, or if a newer version has
        changed the schema so that this version must stop.
        """
        if self.sign_of_life is not None and self.sign_of_life.outdated:
            raise StoreGone(self.sign_of_life.outdated)
        self._writer.check()

    def _answer(self, question: Callable[[Queries], Result], reading: EndableRead) -> Result:
        """Runs the query. If the connection was lost, runs it once more on a new connection, unless
        the first attempt took long, because then the database does not answer.
        """
        if self.sign_of_life is not None and self.sign_of_life.lost:
            raise unavailable("read")
        began = time.monotonic()
        try:
            return self._answer_now(question, reading)
        except UNREACHABLE:
            self._queries.close()
            if reading.given_up or time.monotonic() - began > self.waits.patience / 2:
                raise
            return self._answer_now(question, reading)

    def _answer_now(self, question: Callable[[Queries], Result], reading: EndableRead) -> Result:
        with reading.ended_by(self._queries.ender()):
            if self.shared:
                self._queries.refresh()
            return question(self._queries)

    def steady(self) -> Instant:
        """Returns the time of the steady clock, which measures the leases of this process."""
        return self._memory.steady()

    def is_alive(self) -> bool:
        """Tells whether the last sign of life is so fresh that leases may be given and sent."""
        return self._memory.life.is_fresh()

    def set_asides(self) -> list[SetAside]:
        """Returns the subscriptions that this process could not process and will try again
        later.
        """
        return self._memory.set_asides.entries(now=self._memory.now())

    async def close(self) -> None:
        """Closes the store. This function may be called more than once."""
        if self._closed:
            return
        self._closed = True
        if self._listener is not None:
            await self._listener.stop()
        everyone = threading.Barrier(READERS)
        for _ in range(READERS):
            self._threads.submit(self._close_reader, everyone)
        await asyncio.to_thread(self._threads.shutdown)
        await self._writer.stop()
        if self.sign_of_life is not None:
            await self.sign_of_life.stop()

    def _close_reader(self, everyone: threading.Barrier) -> None:
        """Closes the connection of one thread. The barrier makes sure that every thread runs this
        function once.
        """
        everyone.wait()
        self._queries.close()


def open_store(
    url: str,
    *,
    clock: Callable[[], int] | None = None,
    notifications: str = "",
    waits: Waits = USUAL,
) -> Store:
    """Opens the database, and creates or upgrades it.

    `clock`: returns nanoseconds since 1970, in place of the process's clock. `notifications`: a URL
    of the same PostgreSQL database, on which LISTEN works. Raises UnsupportedDatabase, StoreInUse,
    StoreLost.
    """
    engine, loop = engine_of(url, waits=waits), asyncio.get_running_loop()
    server = secrets.token_hex(4)
    listeners = Listeners()
    listener, sign_of_life = None, None
    try:
        engine.prepare()
        reader: Any = engine.reader()
        memory = Memory(clock or engine.now, clock or engine.clock.steady)
        queries = Queries(reader, memory)
        queries.refresh()
        facts = {name: bytes(value) for name, value in reader.execute_sql(sql.SETTINGS)}
        queries.close()
        if engine.shared:
            sign_of_life, listener = _connected(
                url, notifications or url, memory, server=server, waits=waits, listeners=listeners
            )
    except BaseException:
        engine.close()
        raise
    writer = Writer(engine, memory, server=server, loop=loop, listeners=listeners, waits=waits)
    writer.start()
    return Store(
        server=server,
        shared=engine.shared,
        writer=writer,
        listener=listener,
        memory=memory,
        queries=queries,
        store_id=facts["store_id"].hex(),
        token_key=facts["token_key"],
        listeners=listeners,
        waits=waits,
        sign_of_life=sign_of_life,
    )


def _connected(
    url: str,
    notifications: str,
    memory: Memory,
    *,
    server: str,
    waits: Waits,
    listeners: Listeners,
) -> tuple[SignOfLife, Listener]:
    """Starts the sign of life and the listener, which connect this process with the other processes
    on its database.
    """
    loop = asyncio.get_running_loop()
    sign_of_life = SignOfLife(
        url, server=server, life=memory.life, waits=waits, loop=loop, listeners=listeners
    )
    sign_of_life.start()
    try:
        listener = Listener(
            checked(notifications),
            waits=waits,
            server=server,
            loop=loop,
            listeners=listeners,
            scan_starts=memory.scan_starts,
        )
        listener.start()
    except BaseException:
        sign_of_life.stopping.set()
        raise
    return sign_of_life, listener


def engine_of(url: str, *, waits: Waits = USUAL) -> Engine:
    """Returns the engine for the URL. Raises UnsupportedDatabase, StoreInUse."""
    if url.startswith(PREFIX):
        return SqliteEngine(url)
    if url.startswith(PREFIXES):
        return PostgresEngine(url, waits=waits)
    raise _unsupported(url)


def reader_of(url: str) -> Database:
    """Opens an existing database, which other processes may have open.

    Raises UnsupportedDatabase.
    """
    if url.startswith(PREFIX):
        check_folder(sqlite_path(url))
        if not sqlite_path(url).exists():
            raise UnsupportedDatabase(f"there is no database {url}")
        return sqlite_reader(sqlite_path(url))
    if url.startswith(PREFIXES):
        return database_of(checked(url))
    raise _unsupported(url)


def _unsupported(url: str) -> UnsupportedDatabase:
    return UnsupportedDatabase(
        f"{hidden(url)!r} is not a database URL; use sqlite:///RELATIVE/PATH.db, "
        "sqlite:////ABSOLUTE/PATH.db or postgresql://USER@HOST/NAME"
    )
