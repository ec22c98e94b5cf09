"""Tests that repeated work continues after an error, and that work that takes long is repeated
rarely.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Event, Thread

import pytest

from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.services import rereading
from generic_provider_server.services.periodic_step import Loop
from generic_provider_server.store.memory.full_scan import FullScan


async def test_a_loop_goes_on_when_its_step_fails() -> None:
    steps = iter([ZeroDivisionError(), Refused(Reason.STORE_UNAVAILABLE, "away"), None])
    done = asyncio.Event()

    async def step() -> None:
        error = next(steps)
        if error is not None:
            raise error
        done.set()

    loop = Loop("test", step, seconds=0)
    loop.start()
    await done.wait()
    await loop.stop()


async def test_a_loop_pauses_only_when_there_is_nothing_more_to_do() -> None:
    left = 3
    done = asyncio.Event()

    async def step() -> bool:
        nonlocal left
        left -= 1
        if not left:
            done.set()
        return left > 0

    loop = Loop("test", step, seconds=3_600)
    loop.start()
    await done.wait()
    await loop.stop()


def test_a_full_scan_is_due_at_first_and_not_soon_again() -> None:
    scan = FullScan(3_600)
    turns = []
    for _ in range(2):
        with scan.turn() as due:
            turns.append(due)

    assert turns == [True, False]


def test_a_full_scan_that_fails_stays_due() -> None:
    scan = FullScan(3_600)
    with pytest.raises(ZeroDivisionError), scan.turn():
        raise ZeroDivisionError
    with scan.turn() as due:
        assert due


def test_a_file_on_a_disk_that_hangs_does_not_keep_the_process_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, answering = Event(), Event()
    monkeypatch.setattr(rereading, "CHECK_SECONDS", 0.0)

    async def reread() -> None:
        files = rereading.Rereading("callers", [tmp_path / "callers.toml"], lambda: None)

        def hang(_: Path) -> str:
            hanging.set()
            answering.wait()
            return ""

        monkeypatch.setattr(rereading, "_content", hang)
        files.start()
        while not hanging.is_set():
            await asyncio.sleep(0.01)
        await files.stop()

    process = Thread(target=lambda: asyncio.run(reread()), daemon=True)
    process.start()
    process.join(timeout=5)
    ended = not process.is_alive()
    answering.set()
    assert ended
