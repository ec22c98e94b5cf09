"""Tests archives that several processes on one PostgreSQL database make. In these tests each
process is a store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from errno import ESTALE
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest
from msgspec.structs import replace

from generic_provider_server.commands.archive import MoveLines, PutArchive, TakeArchive
from generic_provider_server.domain.archive import ArchiveRecord, ArchiveState
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.services.archiving import Archiving, TakenOver
from generic_provider_server.store.archives.folder import ArchiveFolder
from generic_provider_server.store.opening import open_store
from support.archives import DAY, Archivist
from support.bench import PATIENT, Bench, HandClock
from support.examples import SATELLITE, viewer
from support.postgres import Databases


@pytest.fixture
def url(postgres: Databases) -> str:
    return postgres.create_database()


@pytest.fixture
async def two(url: str, clock: HandClock, tmp_path: Path) -> AsyncIterator[list[Archivist]]:
    """Yields two live processes on a database with one settled request that is three days old."""
    async with AsyncExitStack() as stack:
        benches = []
        for _ in range(2):
            store = open_store(url, clock=clock, waits=PATIENT)
            stack.push_async_callback(store.close)
            benches.append(Bench(store, clock))
        await benches[0].add_provider(SATELLITE)
        await benches[0].become(viewer("S1"))
        await benches[0].accept_all("SAT")
        clock.advance(3 * DAY)
        yield [Archivist(bench, tmp_path) for bench in benches]


async def sign_off(archivist: Archivist) -> None:
    life = archivist.bench.store.sign_of_life
    assert life is not None
    await asyncio.to_thread(life.stop)


async def taken_by(archivist: Archivist) -> ArchiveRecord | None:
    store = archivist.bench.store
    return await store.do(TakeArchive(worker=store.server))


async def waits_for(archivist: Archivist) -> bool:
    store = archivist.bench.store
    return await store.read(lambda queries: queries.archive_waits_for(store.server))


async def test_one_process_makes_an_archive_and_another_goes_on_when_that_is_gone(
    two: list[Archivist],
) -> None:
    one, other = two
    asked = await one.ask()
    assert await waits_for(one)
    assert await waits_for(other)
    assert await taken_by(one) is not None
    assert await waits_for(one)
    assert not await waits_for(other)
    await other.work()
    assert (await one.now(asked)).state is ArchiveState.CREATING

    await sign_off(one)
    assert await waits_for(other)
    await other.work()
    assert (await one.now(asked)).state is ArchiveState.COMPLETED


async def test_a_process_that_was_taken_for_dead_changes_nothing_any_more(
    two: list[Archivist],
) -> None:
    one, other = two
    await one.ask()
    mine = await taken_by(one)
    assert mine is not None
    await sign_off(one)
    await other.work()
    done = await other.now(mine)

    failed = replace(mine, state=ArchiveState.FAILED)
    assert await one.bench.store.do(PutArchive(archive=failed)) is None
    assert await one.bench.store.do(MoveLines(archive=mine, lines=())) is None
    assert await other.now(mine) == done
    assert done.state is ArchiveState.COMPLETED


async def test_a_process_that_was_taken_for_dead_does_not_remove_the_file(
    two: list[Archivist],
) -> None:
    """One process stores the checksum of the file, and then freezes. Another process completes the
    archive. Then the first process continues, and cannot read the file.
    """
    one, other = two
    asked = await one.ask()
    folder: Any = UnreadableFolder(one.folder, partial(_completed_by, other, asked, gone=one))
    with pytest.raises(TakenOver):
        await Archiving(one.bench.store, folder).work()

    done = await other.now(asked)
    assert done.state is ArchiveState.COMPLETED
    assert len(other.contents(done).requests) == done.requests_archived == 1


async def test_a_file_that_cannot_be_read_is_removed_even_if_the_folder_cannot_be_cleared(
    two: list[Archivist], tmp_path: Path
) -> None:
    one, _ = two
    asked = await one.ask()
    folder: Any = StaleFolder(one.folder)
    with pytest.raises(OSError, match="Stale"):
        await Archiving(one.bench.store, folder).work()

    assert (await one.now(asked)).state is ArchiveState.FAILED
    assert not await asyncio.to_thread(lambda: list(tmp_path.rglob("*.gz")))


class StaleFolder:
    """A folder in which no file can be read, and no hidden file can be removed."""

    def __init__(self, folder: ArchiveFolder) -> None:
        self._folder = folder

    def open(self, _: ArchiveRecord) -> NoReturn:
        raise OSError(ESTALE, "Stale file handle")

    def clear(self, _: ArchiveRecord) -> NoReturn:
        raise OSError(ESTALE, "Stale file handle")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._folder, name)


class UnreadableFolder:
    """A folder in which no archive file can be opened. `before` is called before each attempt."""

    def __init__(
        self, folder: ArchiveFolder, before: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        self._folder = folder
        self._before = before
        self._loop = asyncio.get_running_loop()

    def open(self, _: ArchiveRecord) -> NoReturn:
        asyncio.run_coroutine_threadsafe(self._before(), self._loop).result()
        raise OSError(ESTALE, "Stale file handle")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._folder, name)


async def _completed_by(other: Archivist, archive: ArchiveRecord, *, gone: Archivist) -> None:
    await sign_off(gone)
    await other.work()
    assert (await other.now(archive)).state is ArchiveState.COMPLETED


async def test_a_process_that_cannot_write_there_leaves_archives_to_others(
    two: list[Archivist], tmp_path: Path
) -> None:
    one, other = two
    asked = await one.ask()
    for folder in (ArchiveFolder(None, make=False), ArchiveFolder(tmp_path / "gone", make=False)):
        with pytest.raises(Refused) as refusal:
            await Archiving(other.bench.store, folder).work()
        assert refusal.value.reason is Reason.ARCHIVE_FOLDER_NOT_WRITABLE
    assert await waits_for(one)
    await one.work()
    assert (await one.now(asked)).state is ArchiveState.COMPLETED
