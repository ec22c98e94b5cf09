"""Opens the store."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from peewee import Database

from .database import statements as sql
from .database.connections import PREFIXES, checked, database_of
from .database.engine import Engine, UnsupportedDatabase
from .database.postgres import PostgresEngine
from .database.sqlite import PREFIX, SqliteEngine, sqlite_path, sqlite_reader
from .database.sqlite_file import check_folder
from .database.urls import hidden
from .memory.memory import Memory
from .notices.listener import Listener
from .notices.listeners import Listeners
from .read.queries import Queries
from .readers import Readers
from .sign_of_life import SignOfLife
from .store import Store
from .waits import USUAL, Waits
from .write.writer import Writer


def open_store(
    url: str,
    *,
    clock: Callable[[], int] | None = None,
    notifications: str = "",
    waits: Waits = USUAL,
) -> Store:
    """Opens the database, and creates or upgrades its schema.

    `clock`: a function that returns nanoseconds since 1970; in tests this function replaces both
    clocks of the process. `notifications`: a second URL of the same PostgreSQL database, needed if
    LISTEN does not work with `url`. Raises UnsupportedDatabase, StoreInUse or StoreLost.
    """
    engine = engine_of(url, waits=waits)
    try:
        engine.prepare()
        server = secrets.token_hex(4)
        memory = Memory(server, engine.shared, clock or engine.now, clock or engine.clock.steady)
        return _opened(engine, memory, url=url, notifications=notifications or url, waits=waits)
    except BaseException:
        engine.close()
        raise


def _opened(engine: Engine, memory: Memory, *, url: str, notifications: str, waits: Waits) -> Store:
    listeners = Listeners()
    reader: Any = engine.reader()
    queries = Queries(reader, memory)
    queries.refresh()
    facts = {name: bytes(value) for name, value in reader.execute_sql(sql.SETTINGS)}
    queries.close()
    with ExitStack() as started:
        sign_of_life = None
        if engine.shared:
            sign_of_life = _connected(
                url,
                notifications,
                memory,
                follow=engine.clock.follow,
                waits=waits,
                listeners=listeners,
                started=started,
            )
        loop = asyncio.get_running_loop()
        writer = Writer(engine, memory, loop=loop, listeners=listeners, waits=waits)
        writer.start()
        started.callback(writer.stop)
        readers = Readers(
            queries,
            shared=engine.shared,
            listeners=listeners,
            waits=waits,
            sign_of_life=sign_of_life,
        )
        # closed before the writer, whose thread closes the database and releases the file's lock
        started.callback(readers.close)
        return Store(
            writer=writer,
            memory=memory,
            readers=readers,
            store_id=facts["store_id"].hex(),
            token_key=facts["token_key"],
            listeners=listeners,
            waits=waits,
            sign_of_life=sign_of_life,
            parts=started.pop_all(),
        )


def _connected(
    url: str,
    notifications: str,
    memory: Memory,
    *,
    follow: Callable[[int], None],
    waits: Waits,
    listeners: Listeners,
    started: ExitStack,
) -> SignOfLife:
    """Starts two threads: one writes the sign of life of this process, and one receives the
    notifications of the other processes on the same database. `started`: gets a function for each
    thread, which ends the thread.
    """
    loop = asyncio.get_running_loop()
    sign_of_life = SignOfLife(
        url,
        server=memory.server,
        life=memory.life,
        follow=follow,
        waits=waits,
        loop=loop,
        listeners=listeners,
    )
    sign_of_life.start()
    started.callback(sign_of_life.stop)
    listener = Listener(
        checked(notifications),
        sent_to=checked(url),
        waits=waits,
        server=memory.server,
        loop=loop,
        listeners=listeners,
        scan_starts=memory.scan_starts,
    )
    listener.start()
    started.callback(listener.stop)
    return sign_of_life


def engine_of(url: str, *, waits: Waits = USUAL) -> Engine:
    """Returns the engine for the URL. Raises UnsupportedDatabase or StoreInUse."""
    if url.startswith(PREFIX):
        return SqliteEngine(url)
    if url.startswith(PREFIXES):
        return PostgresEngine(url, waits=waits)
    raise _unsupported(url)


def reader_of(url: str) -> Database:
    """Opens an existing database for queries. Other processes may use the database at the same
    time. Raises UnsupportedDatabase if the URL is wrong, or if there is no such SQLite file.
    """
    if url.startswith(PREFIX):
        check_folder(sqlite_path(url))
        if not sqlite_path(url).exists():
            raise UnsupportedDatabase(
                f"there is no database {url}; name another one with --database"
            )
        return sqlite_reader(sqlite_path(url))
    if url.startswith(PREFIXES):
        return database_of(checked(url))
    raise _unsupported(url)


def _unsupported(url: str) -> UnsupportedDatabase:
    return UnsupportedDatabase(
        f"{hidden(url)!r} is not a database URL; use sqlite:///RELATIVE/PATH.db, "
        "sqlite:////ABSOLUTE/PATH.db or postgresql://USER@HOST/NAME"
    )
