"""Tests the file of an SQLite database, and its write-ahead log, while other programs use them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from peewee import OperationalError

from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.store.database.checkpoints import Checkpoints
from generic_provider_server.store.database.engine import StoreDamaged, StoreGone, StoreInUse
from generic_provider_server.store.database.sqlite import SqliteEngine
from generic_provider_server.store.opening import open_store
from support.bench import Bench, HandClock
from support.examples import SATELLITE, viewer
from support.processes import wait_until

MIB = 1024 * 1024


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def wal(file: Path) -> Path:
    return file.with_name("store.db-wal")


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


async def opened(file: Path) -> Bench:
    bench = Bench(open_store(f"sqlite:///{file}"), HandClock())
    await bench.add_provider(SATELLITE)
    return bench


async def test_the_wal_shrinks_under_load_when_a_long_read_is_over(
    file: Path, wal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.store.database.sqlite.LARGEST_WAL", MIB)
    monkeypatch.setattr("generic_provider_server.store.database.sqlite.CHECKPOINT_PAGES", 100)
    bench = await opened(file)
    with closing(sqlite3.connect(file)) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT * FROM provider").fetchall()
        while size(wal) < 4 * MIB:
            await bench.perform(viewer("", serial=str(size(wal))))
    for n in range(5):
        await bench.perform(viewer("", serial=f"later {n}"))

    assert size(wal) <= MIB
    await bench.store.close()


async def test_a_busy_server_makes_checkpoints_beside_its_commits(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.store.database.sqlite.CHECKPOINT_PAGES", 1_000_000)
    bench = await opened(file)
    before, serials = size(file), count()
    async with asyncio.timeout(30):
        while size(file) == before:
            await bench.perform(viewer("", serial=str(next(serials))))

    await bench.store.close()


async def test_the_wal_is_emptied_while_the_server_is_idle(
    file: Path, wal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[bool] = []
    tidy = SqliteEngine.tidy

    def tidy_and_note(engine: SqliteEngine) -> bool:
        attempts.append(tidy(engine))
        return attempts[-1]

    monkeypatch.setattr(SqliteEngine, "tidy", tidy_and_note)
    monkeypatch.setattr("generic_provider_server.store.write.writer.IDLE_SECONDS", 0.05)
    bench = await opened(file)
    with closing(sqlite3.connect(file)) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT * FROM provider").fetchall()
        await bench.become(viewer("S1"))
        while False not in attempts:
            await asyncio.sleep(0.01)
    while size(wal):
        await asyncio.sleep(0.01)

    await bench.become(viewer("S2"))
    await bench.store.close()


async def test_the_wal_is_removed_at_the_stop(file: Path, wal: Path) -> None:
    bench = await opened(file)
    await asyncio.gather(*[bench.store.read(lambda queries: queries.now()) for _ in range(20)])
    await bench.become(viewer("S1"))
    await bench.store.close()

    assert not size(wal)


async def test_a_refused_second_opening_leaves_the_locks_of_the_first(
    file: Path, wal: Path
) -> None:
    bench = await opened(file)
    with pytest.raises(StoreInUse):
        open_store(f"sqlite:///{file}")
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM provider')"
    command = [sys.executable, "-c", code, str(file)]
    await asyncio.to_thread(subprocess.run, command, check=True)

    assert size(wal)
    await bench.store.close()


async def test_a_database_that_another_program_locks_is_unavailable_until_it_is_unlocked(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.store.database.sqlite.PATIENCE_MS", 10)
    bench = await opened(file)
    reached: list[bool] = []
    bench.store.listeners.reached.append(reached.append)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asked = [bench.become(viewer(f"S{n}")) for n in range(3)]
        refused = await asyncio.gather(*asked, return_exceptions=True)
    while reached[-1:] != [True]:
        await asyncio.sleep(0.01)

    assert {each.reason for each in refused if isinstance(each, Refused)} == {
        Reason.STORE_UNAVAILABLE
    }
    assert reached[0] is False
    await bench.become(viewer("S1"))
    await bench.store.close()


async def test_a_change_is_made_once_and_not_acknowledged_while_the_file_cannot_be_examined(
    tmp_path: Path,
) -> None:
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    bench = await opened(link / "store.db")
    reached: list[bool] = []
    bench.store.listeners.reached.append(reached.append)
    link.unlink()
    link.symlink_to(link)
    asked = [bench.become(viewer(f"S{n}")) for n in range(3)]
    refused = await asyncio.gather(*asked, return_exceptions=True)
    bench.store.check()

    assert all(isinstance(each, Refused) for each in refused)
    assert {each.reason for each in refused if isinstance(each, Refused)} == {
        Reason.STORE_UNAVAILABLE
    }
    link.unlink()
    link.symlink_to(folder)
    while reached[-1:] != [True]:
        await asyncio.sleep(0.01)
    assert reached[0] is False
    await bench.become(viewer("S4"))
    await bench.store.close()


async def test_a_folder_that_a_file_has_replaced_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    bench = await opened(folder / "store.db")
    folder.rename(tmp_path / "elsewhere")
    folder.touch()
    with pytest.raises(Refused) as refused:
        await bench.become(viewer("S1"))
    with pytest.raises(StoreGone):
        bench.store.check()

    assert refused.value.reason is Reason.STORE_UNAVAILABLE
    await bench.store.close()


@pytest.mark.parametrize("replaced", ["store.db", "store.db-wal"])
def test_no_reader_opens_another_file_with_the_same_name(
    file: Path, replaced: str, tmp_path: Path
) -> None:
    engine = SqliteEngine(f"sqlite:///{file}")
    engine.prepare()
    with engine.transaction():
        pass  # from now on the connection of the writer is open
    reader: Any = engine.reader()
    copy = tmp_path / "copy"
    copy.write_bytes((tmp_path / replaced).read_bytes())
    copy.rename(tmp_path / replaced)
    with pytest.raises(OperationalError, match="was removed or replaced"):
        reader.execute_sql("SELECT code FROM provider")
    with pytest.raises(StoreGone), engine.transaction():
        pass
    engine.close()


def test_a_checkpoint_never_writes_into_another_file_with_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.store.database.checkpoints.PAUSE_SECONDS", 0.01)
    file, backup = tmp_path / "used.db", tmp_path / "backup.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as writing:
        writing.execute("PRAGMA journal_mode = wal")
        writing.execute("PRAGMA wal_autocheckpoint = 0")
        writing.execute("CREATE TABLE t (n)")
        with closing(sqlite3.connect(backup)) as copy:
            writing.backup(copy)
        saved = backup.read_bytes()
        checkpoints = Checkpoints(file)
        writing.execute("INSERT INTO t VALUES (1)")
        checkpoints.note_commit()
        backup.rename(file)
        for n in range(20):
            writing.execute("INSERT INTO t VALUES (?)", (n,))
            checkpoints.note_commit()
            time.sleep(0.02)
        checkpoints.stop()

        assert file.read_bytes() == saved


def is_damaged(engine: SqliteEngine) -> bool:
    try:
        engine.check()
    except StoreDamaged:
        return True
    return False


def test_damage_that_a_checkpoint_meets_is_reported(file: Path) -> None:
    engine = SqliteEngine(f"sqlite:///{file}")
    engine.prepare()
    with engine.transaction():
        pass  # from now on the connection of the writer is open
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("CREATE TABLE filler AS SELECT zeroblob(1000000) AS bytes")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.execute("CREATE TABLE last (n)")
        os.truncate(file, 4096)
        with engine.transaction():
            pass
        wait_until(lambda: is_damaged(engine), what="a checkpoint finds the damage")
    engine.close()


async def test_damage_that_is_met_while_the_server_is_idle_is_reported(
    file: Path, wal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.store.write.writer.IDLE_SECONDS", 0.05)
    bench = await opened(file)
    reached: list[bool] = []
    bench.store.listeners.reached.append(reached.append)
    number = count()
    while size(file) < MIB:
        await bench.perform(viewer("", serial=f"card {next(number)}"))
    while size(wal):
        await asyncio.sleep(0.01)
    os.truncate(file, 4096)
    await bench.perform(viewer("", serial=f"card {next(number)}"))
    while False not in reached:
        await asyncio.sleep(0.01)
    await bench.store.close()
