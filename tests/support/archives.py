"""Makes archives of a store, with a process that completes the archive, or with a process that dies
before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from generic_provider_server.commands.archive import CreateArchive
from generic_provider_server.domain.archive import ArchiveRecord
from generic_provider_server.domain.values import SECOND, Instant
from generic_provider_server.domain.verdicts import ResponseStatus
from generic_provider_server.services.archiving import Archiving
from generic_provider_server.store.archives.file import ArchiveFile, ArchiveWriter
from generic_provider_server.store.archives.folder import ArchiveFolder
from generic_provider_server.store.archives.lines import (
    ActionLine,
    EntryLine,
    RequestLine,
    RunLine,
    number_of,
)
from generic_provider_server.store.read.filters import ActionFilter

from .bench import Bench
from .copying import copying
from .examples import ADD_NEWS

DAY = 86_400
OLD_REQUESTS = (
    "UPDATE request SET create_time = create_time - ?, schedule_time = schedule_time - ?, "
    "settle_time = settle_time - ?"
)
OLD_ACTIONS = (
    "UPDATE action SET create_time = create_time - ?, execute_time = execute_time - ?, "
    "settle_time = settle_time - ?"
)


class Contents(NamedTuple):
    requests: list[int]
    actions: list[int]


class RunsInside(NamedTuple):
    """The reset runs in a file. `entries`: for each entry of a run, the id of the run and the
    number of the subscription.
    """

    runs: list[int]
    entries: list[tuple[int, str]]


class Died(Exception):
    """Says that the process that made the archive has died."""


@dataclass(slots=True)
class Archivist:
    bench: Bench
    path: Path

    @property
    def folder(self) -> ArchiveFolder:
        return ArchiveFolder(self.path, make=True)

    async def ask(
        self, *, provider: str = "", request_id: str = "", days: int = 0
    ) -> ArchiveRecord:
        """Asks for an archive of everything that is at least this many days old."""
        self.folder.check()
        command = CreateArchive(
            provider=provider,
            created_before=Instant(self.bench.clock.now - days * DAY * SECOND),
            request_id=request_id,
            digest=f"{provider} {days}".encode(),
        )
        return await self.bench.store.do(command)

    async def make(self, *, provider: str = "", days: int = 0) -> ArchiveRecord:
        asked = await self.ask(provider=provider, days=days)
        await self.work()
        return await self.now(asked)

    async def work(self) -> None:
        await Archiving(self.bench.store, self.folder).work()

    async def work_until(self, step: int) -> bool:
        """Works on archives as a process that dies after the given number of steps. Returns False
        if the work needed fewer steps.
        """
        death = Death(step)
        store: Any = Mortal(self.bench.store, death, f"worker {step}")
        folder: Any = Mortal(self.folder, death)
        try:
            await Archiving(store, folder).work()
        except Died:
            return True
        return False

    async def now(self, archive: ArchiveRecord) -> ArchiveRecord:
        found = await self.bench.store.read(lambda queries: queries.archive(archive.number))
        assert found is not None
        return found

    async def holding(self, requests: Iterable[int]) -> dict[int, ArchiveRecord | None]:
        """Returns for each request the archive that contains the request, or None."""
        return await self.bench.store.read(
            lambda queries: {number: queries.archive_holding(number) for number in requests}
        )

    def contents(self, archive: ArchiveRecord) -> Contents:
        """Returns the contents of the archive's file."""
        return contents_of(self.path / archive.file)

    def runs_inside(self, archive: ArchiveRecord) -> RunsInside:
        """Returns the reset runs in the archive's file."""
        return runs_inside(self.path / archive.file)


async def actions(bench: Bench) -> list[int]:
    """Returns the ids of the actions in the tables."""
    found = await bench.store.read(lambda r: r.actions(ActionFilter(), before=0, limit=100))
    return sorted(each.id for each in found)


async def numbers(bench: Bench) -> list[int]:
    """Returns the numbers of the requests in the tables."""
    return [each.number for each in await bench.requests()]


async def stored_runs(bench: Bench) -> list[int]:
    found = await bench.store.read(
        lambda r: list(r.reset_runs(definition=0, provider="", states=(), before=0, limit=100))
    )
    return sorted(each.id for each in found)


async def rejected(bench: Bench) -> tuple[int, ...]:
    """Creates a rejected request of S1, and returns its number in a tuple. The link names the
    request in its last error.
    """
    done = await bench.perform(ADD_NEWS, "S1")
    (lease,) = await bench.claim("SAT")
    await bench.answer(lease, status=ResponseStatus.REJECTED, error_code="E1")
    return done.action.requests


def make_old(url: str, *, days: int) -> None:
    """Makes all requests, actions, audit entries and reset runs this many days older."""
    with closing(copying(url)) as database:
        for statement in (OLD_REQUESTS, OLD_ACTIONS):
            database.run(statement, (days * DAY * SECOND,) * 3)
        database.run("UPDATE audit SET time = time - ?", (days * DAY * SECOND,))
        for number, document in database.run("SELECT id, document FROM reset_run").fetchall():
            run = json.loads(bytes(document))
            run |= {name: run[name] - days * DAY * SECOND for name in ("start_time", "end_time")}
            old = json.dumps(run).encode()
            database.run("UPDATE reset_run SET document = ? WHERE id = ?", (old, number))


def contents_of(file: Path) -> Contents:
    lines = list(ArchiveFile(file).contents())
    return Contents(
        [number_of(each.number) for each in lines if isinstance(each, RequestLine)],
        [number_of(each.id) for each in lines if isinstance(each, ActionLine)],
    )


def runs_inside(file: Path) -> RunsInside:
    lines = list(ArchiveFile(file).contents())
    return RunsInside(
        [number_of(each.id) for each in lines if isinstance(each, RunLine)],
        [
            (number_of(each.reset_run), each.subscription)
            for each in lines
            if isinstance(each, EntryLine)
        ],
    )


@dataclass(slots=True)
class Death:
    """Raises Died after the given number of steps."""

    steps: int

    def step(self) -> None:
        self.steps -= 1
        if not self.steps:
            raise Died


class Mortal:
    """Wraps an object so that each call of a method is a step, after which the process may die."""

    def __init__(self, immortal: Any, death: Death, server: str = "") -> None:
        self._immortal = immortal
        self._death = death
        self.server = server

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._immortal, name)
        if not callable(found):
            return found
        return self._waits(found) if asyncio.iscoroutinefunction(found) else self._calls(found)

    def _calls(self, call: Callable[..., Any]) -> Any:
        def step(*args: Any, **kwargs: Any) -> Any:
            result = call(*args, **kwargs)
            try:
                self._death.step()
            except Died:
                _close(result)
                raise
            return result

        return step

    def _waits(self, call: Callable[..., Any]) -> Any:
        async def step(*args: Any, **kwargs: Any) -> Any:
            result = await call(*args, **kwargs)
            self._death.step()
            return result

        return step


def _close(left: Any) -> None:
    """Closes open files, as the operating system does when a process dies."""
    for file in left if isinstance(left, tuple) else ():
        if isinstance(file, ArchiveWriter):
            file.close()
