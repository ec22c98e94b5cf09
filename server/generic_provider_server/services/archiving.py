"""Makes archives in the background, one after the other.

First the whole file of an archive is written, while the tables stay unchanged. When the file is
complete and durable, its checksum is stored. Then the file gets its final name, and the rows that
the file contains are removed from the tables, a limited number of rows in each transaction. So each
request is at any time in the tables or in one complete file. If the process that makes an archive
is killed, another process continues, because the record of the archive shows the progress.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from threading import Thread
from typing import TypeVar

import structlog
from msgspec.structs import replace

from ..commands.archive import MoveLines, PutArchive, TakeArchive
from ..domain.archive import ArchiveRecord, ArchiveState
from ..store.archives.file import ArchiveWriter, DamagedArchive
from ..store.archives.folder import ArchiveFolder
from ..store.archives.lines import Content, RequestLine, instant
from ..store.read.archivable_runs import START, Page, PageStart
from ..store.read.queries import Queries
from ..store.store import Store
from .own_threads import OwnThreads
from .periodic_step import Loop
from .transaction_size import TransactionSize

POLL_SECONDS = 1.0
"""The pause, in seconds, between two checks whether an archive has to be made."""

AFTER_TROUBLE_SECONDS = 10.0
LEAST_MOVED, MOST_MOVED, LONGEST = 250, 1_000, 0.04
"""The smallest and the greatest number of rows that one transaction removes, and its longest
duration in seconds while no other command uses the writer. `TransactionSize` chooses a number
between these limits.
"""

PROGRESS_SECONDS = 1.0
Result = TypeVar("Result")

log = structlog.get_logger()


def archiving_loop(store: Store, folder: ArchiveFolder) -> Loop:
    return Loop("archives", Archiving(store, folder).step, seconds=POLL_SECONDS)


class TakenOver(Exception):
    """Another server process has become the worker of the archive."""


class Archiving:
    def __init__(self, store: Store, folder: ArchiveFolder) -> None:
        self._store = store
        self._folder = folder
        self._threads = OwnThreads(most=1)
        self._transactions = TransactionSize(
            store, least=LEAST_MOVED, most=MOST_MOVED, longest=LONGEST
        )

    async def step(self) -> None:
        """Makes the next archive. Pauses after an error, because perhaps only a person can remove
        the cause of the error.
        """
        try:
            await self.work()
        except TakenOver:
            log.info("archive_taken_over")
        except Exception:
            await asyncio.sleep(AFTER_TROUBLE_SECONDS)
            raise

    async def work(self) -> None:
        """Makes the next archive, unless no archive has to be made, or another process works on the
        archive.
        """
        server = self._store.server
        if not await self._store.read(lambda queries: queries.archive_waits_for(server)):
            return
        if self._store.shared:
            await self._threads.run(self._folder.check)
        archive = await self._store.do(TakeArchive(worker=server))
        if archive is not None and not archive.checksum:
            archive = await self._written(archive)
        if archive is not None:
            await self._move(archive)

    async def _written(self, archive: ArchiveRecord) -> ArchiveRecord | None:
        """Writes the file of the archive. Returns None if the file cannot be written."""
        try:
            writer, part = await self._threads.run(self._folder.writer, archive)
            try:
                archive = await self._fill(writer, archive)
                size, checksum = await self._threads.run(writer.finish)
            finally:  # closed by another thread, because the folder may hang
                Thread(target=writer.close, name="close archive", daemon=True).start()
            written = replace(archive, size=size, checksum=checksum)
            await self._threads.run(self._folder.finished, written, part)
        except OSError as error:
            await self._fail(archive, f"its file cannot be written: {error.strerror}")
            return None
        return await self._put(written)

    async def _fill(self, writer: ArchiveWriter, archive: ArchiveRecord) -> ArchiveRecord:
        archive = replace(
            archive,
            requests_total=0,
            first_create_time=None,
            last_create_time=None,
            last_settle_time=None,
        )
        stored_at, part, after = time.monotonic(), 0, START
        while page := await self._page(archive, part, after):
            if page.lines:
                await self._threads.run(writer.add, page.lines)
                archive = _counted(archive, page.lines)
            part, after = (part + 1, START) if page.end is None else (part, page.end)
            if time.monotonic() - stored_at > PROGRESS_SECONDS:
                stored_at, archive = time.monotonic(), await self._put(archive)
        return archive

    async def _page(self, archive: ArchiveRecord, part: int, after: PageStart) -> Page | None:
        question = partial(Queries.archivable, archive=archive, part=part, after=after)
        began = time.monotonic()
        page = await self._store.read(question)
        self._transactions.done(commands=0)
        await self._pause(time.monotonic() - began)
        return page

    async def _move(self, archive: ArchiveRecord) -> None:
        """Gives the archive's file its final name, deletes the rows that the file contains from the
        tables, and marks the archive as completed.
        """
        try:
            await self._threads.run(self._folder.publish, archive)
            contents = await self._threads.run(self._contents, archive)
            while lines := await self._threads.run(_few, contents, self._transactions.size):
                moved = await self._store.do(MoveLines(archive=archive, lines=lines))
                archive = _still_ours(moved)
                self._transactions.done(len(lines))
                await self._pause(self._transactions.seconds)
        except DamagedArchive as damaged:
            await self._stop_at(archive, str(damaged))
            raise
        except OSError as error:
            await self._stop_at(archive, f"{archive.file} cannot be read: {error.strerror}")
            raise
        await self._put(replace(archive, state=ArchiveState.COMPLETED, message=""))
        await self._threads.run(self._folder.clear, archive)

    def _contents(self, archive: ArchiveRecord) -> Iterator[Content]:
        """Returns the lines of the archive file whose rows are still in the tables."""
        contents = self._folder.open(archive).contents()
        deque(islice(contents, archive.moved), maxlen=0)
        return contents

    async def _stop_at(self, archive: ArchiveRecord, why: str) -> None:
        """Handles an archive file that cannot be read. If no row was removed from the tables yet,
        the archive becomes FAILED. Otherwise only the message is stored, and any process tries
        again: perhaps the folder of another process contains the file.
        """
        if archive.moved:
            await self._put(replace(archive, message=why), release=True)
            return
        # The record is stored before the file is removed: if another process has become the worker,
        # `_put_failed` raises TakenOver, and the file stays, because that process needs the file.
        await self._put_failed(replace(archive, checksum="", size=0), why)
        await self._threads.run(self._folder.remove, archive)
        await self._threads.run(self._folder.clear, archive)

    async def _fail(self, archive: ArchiveRecord, why: str) -> None:
        await self._put_failed(archive, why)
        await self._threads.run(self._folder.clear, archive)

    async def _put_failed(self, archive: ArchiveRecord, why: str) -> None:
        await self._put(replace(archive, state=ArchiveState.FAILED, message=why))
        log.error("archive_failed", archive=archive.id, message=why)

    async def _put(self, archive: ArchiveRecord, *, release: bool = False) -> ArchiveRecord:
        command = PutArchive(archive=archive, release=release)
        return _still_ours(await self._store.do(command))

    async def _pause(self, seconds: float) -> None:
        """Pauses for the duration of the last step if other commands use the writer, so that
        the work on archives fills at most half of the time.
        """
        if self._transactions.others:
            await asyncio.sleep(seconds)


def _few(contents: Iterator[Content], count: int) -> list[Content]:
    return list(islice(contents, count))


def _still_ours(archive: ArchiveRecord | None) -> ArchiveRecord:
    if archive is None:
        raise TakenOver
    return archive


def _counted(archive: ArchiveRecord, lines: Sequence[Content]) -> ArchiveRecord:
    """Returns the record of the archive, with the requests in these lines added to its counts and
    times.
    """
    requests = [line for line in lines if isinstance(line, RequestLine)]
    if not requests:
        return archive
    created = [instant(line.create_time) for line in requests]
    settled = [instant(line.settle_time) for line in requests]
    first = archive.first_create_time
    return replace(
        archive,
        requests_total=archive.requests_total + len(requests),
        first_create_time=min(created) if first is None else min(first, *created),
        last_create_time=max(archive.last_create_time or 0, *created),
        last_settle_time=max(archive.last_settle_time or 0, *settled),
    )
