"""Tests archives whose process dies or whose file is damaged."""

from __future__ import annotations

from collections import Counter

import pytest

from generic_provider_server.domain.archive import ArchiveRecord, ArchiveState
from generic_provider_server.services import archiving
from generic_provider_server.store.archives.file import DamagedArchive
from generic_provider_server.store.archives.folder import ArchiveFolder
from generic_provider_server.store.read import archivable, archivable_runs
from support.archives import DAY, Archivist, contents_of, numbers, runs_inside, stored_runs
from support.bench import Bench
from support.examples import ADD_SPORT, REMOVE_SPORT, viewer
from support.resets import Runs


@pytest.mark.slow
async def test_whoever_dies_at_whatever_step_a_request_is_live_or_in_one_complete_archive(
    bench: Bench, archivist: Archivist, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (archivable, archivable_runs):
        monkeypatch.setattr(module, "MOST_ROWS", 3)
    for name in ("LEAST_MOVED", "MOST_MOVED"):
        monkeypatch.setattr(archiving, name, 2)
    made: set[int] = set()
    runs, known = Runs(bench), Counter[int]()
    await bench.become(viewer("S1"))
    died, step = True, 0
    while died:
        step += 1
        for action in (ADD_SPORT, REMOVE_SPORT):
            await bench.perform(action, "S1")
        await bench.accept_all("SAT")
        run = await runs.run(full=True)
        await bench.accept_all("SAT")
        known[run.id] = len(await runs.entries(run))
        bench.clock.advance(3 * DAY)
        made |= set(await numbers(bench))
        archive = await archivist.ask()
        died = await archivist.work_until(step)
        await _check(bench, archivist, made)
        if run.id in await stored_runs(bench):
            assert len(await runs.entries(run)) == known[run.id]
        await archivist.work()
        assert (await archivist.now(archive)).state is ArchiveState.COMPLETED
        await _check(bench, archivist, made)
        assert await numbers(bench) == await stored_runs(bench) == []
        assert await runs.entries(run) == []
    assert step > 15
    files = [runs_inside(file) for file in archivist.path.glob("Z*")]
    assert Counter(run for file in files for run, _ in file.entries) == known
    assert Counter(run for file in files for run in file.runs) == Counter(set(known))


async def _check(bench: Bench, archivist: Archivist, made: set[int]) -> None:
    live = set(await numbers(bench))
    files = {
        file.name.split("-")[0]: contents_of(file).requests for file in archivist.path.glob("Z*")
    }
    for number, archive in (await archivist.holding(made)).items():
        assert (number in live) == (archive is None)
        holding = [archive for archive, requests in files.items() if number in requests]
        if archive:
            assert holding == [archive.id]


async def test_an_archive_that_cannot_be_written_fails_and_takes_nothing(
    bench: Bench, archivist: Archivist
) -> None:
    done = await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    bench.clock.advance(3 * DAY)
    asked = await archivist.ask()
    part = archivist.path / f".{asked.id}-{bench.store.server}.part"
    part.symlink_to(archivist.path / "nowhere" / "else")
    await archivist.work()

    failed = await archivist.now(asked)
    assert failed.state is ArchiveState.FAILED
    assert failed.message == "its file cannot be written: No such file or directory"
    assert await numbers(bench) == list(done.action.requests)
    assert (await archivist.make()).requests_archived == 1


async def test_a_file_altered_before_anything_was_taken_out_is_given_up(
    bench: Bench, archivist: Archivist
) -> None:
    done = await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    bench.clock.advance(3 * DAY)
    archive = await _written(archivist)
    _alter(archivist, archive)
    with pytest.raises(DamagedArchive):
        await archivist.work()

    failed = await archivist.now(archive)
    assert failed.state is ArchiveState.FAILED
    assert "is damaged" in failed.message
    assert await numbers(bench) == list(done.action.requests)
    assert list(archivist.path.iterdir()) == []


async def test_a_file_altered_later_holds_up_its_archive_until_it_is_as_it_was(
    bench: Bench, archivist: Archivist, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = await _half_moved(archivist, monkeypatch)
    whole = _alter(archivist, archive)
    for _ in range(2):
        with pytest.raises(DamagedArchive):
            await archivist.work()

    held_up = await archivist.now(archive)
    assert held_up.state is ArchiveState.CREATING
    assert "is damaged" in held_up.message
    assert len(await numbers(bench)) == 1
    (archivist.path / archive.file).write_bytes(whole)
    await archivist.work()
    assert (await archivist.now(archive)).state is ArchiveState.COMPLETED
    assert (await archivist.now(archive)).message == ""
    assert await numbers(bench) == []


async def test_a_process_without_the_file_leaves_the_archive_to_a_process_that_has_it(
    bench: Bench, archivist: Archivist, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of `bench` takes over an archive, but uses another folder."""
    archive = await _half_moved(archivist, monkeypatch)
    elsewhere = ArchiveFolder(archivist.path / "elsewhere", make=True)
    with pytest.raises(OSError, match="No such file"):
        await archiving.Archiving(bench.store, elsewhere).work()
    assert "cannot be read" in (await archivist.now(archive)).message

    assert not await archivist.work_until(1_000)
    assert (await archivist.now(archive)).state is ArchiveState.COMPLETED


async def _written(archivist: Archivist, *, moved: int = 0) -> ArchiveRecord:
    """Returns an archive whose file has its final name. The rows of its first `moved` lines have
    been removed from the tables.
    """
    now, step = await archivist.ask(), 0
    while not now.checksum:
        step += 1
        await archivist.work_until(step)
        now = await archivist.now(now)
    published = 4 if archivist.bench.store.shared else 3
    await archivist.work_until(published + (1 + moved if moved else 0))
    now = await archivist.now(now)
    assert now.moved == moved
    return now


async def _half_moved(archivist: Archivist, monkeypatch: pytest.MonkeyPatch) -> ArchiveRecord:
    """Returns an archive of two requests. One of them has been removed from the tables."""
    for name in ("LEAST_MOVED", "MOST_MOVED"):
        monkeypatch.setattr(archiving, name, 1)
    bench = archivist.bench
    await bench.become(viewer("S1"))
    await bench.become(viewer("S2"))
    await bench.accept_all("SAT")
    bench.clock.advance(3 * DAY)
    return await _written(archivist, moved=2)


def _alter(archivist: Archivist, archive: ArchiveRecord) -> bytes:
    """Changes a byte of the archive's file, and returns the former contents of the file."""
    file = archivist.path / archive.file
    whole = file.read_bytes()
    file.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    return whole
