"""An unexpected exception in a thread or a lasting task is logged. Then the thread or task goes on,
or the server stops.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from generic_provider import Client, Provider, ProvisioningError
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.metrics import showing
from generic_provider_server.metrics.figures import Figures
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.store.database import checkpoints
from generic_provider_server.store.database.checkpoints import Checkpoints
from generic_provider_server.store.database.engine import StoreFailed
from generic_provider_server.store.memory.subscriptions import RecentSubscriptions
from generic_provider_server.store.notices import listener
from generic_provider_server.store.notices.notice import Notice, notice_in
from generic_provider_server.store.opening import open_store
from generic_provider_server.store.other_processes import Others
from generic_provider_server.store.store import Store
from generic_provider_server.store.waits import Waits
from generic_provider_server.store.write.blocked import Blocked
from support.bench import Bench, HandClock, stream_at
from support.examples import SATELLITE, viewer

SHORT = Waits(patience=1.0)


def fail(*_: object, **__: object) -> Any:
    raise ZeroDivisionError


def failing_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that fails when it is first called, and later calls `function`."""
    calls = list[object]()

    def call(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        return fail() if len(calls) == 1 else function(*arguments, **named)

    return call


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Bench]:
    clock = HandClock()
    store = open_store(url, clock=clock, waits=SHORT)
    try:
        yield Bench(store, clock)
    finally:
        await store.close()


async def test_commands_do_not_run_again_if_something_fails_after_their_commit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(RecentSubscriptions, "keep", fail)
        calls = [bench.become(viewer(number)) for number in ("S1", "S2")]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(each) for each in outcomes] == [Refused, Refused]
    assert {getattr(each, "reason", None) for each in outcomes} == {Reason.STORE_UNAVAILABLE}
    assert (await bench.subscription("S1")).aggregate.desired.number == "S1"
    assert len(await bench.requests()) == 2


async def test_nothing_is_committed_if_the_thread_of_checkpoints_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(f"sqlite:///{tmp_path / 'store.db'}") as bench:
        with monkeypatch.context() as patched:
            patched.setattr(checkpoints, "Thread", fail)
            with pytest.raises(ZeroDivisionError):
                await bench.add_provider(SATELLITE)
        assert not bench.store.providers
        await bench.add_provider(SATELLITE)


async def test_checkpoints_go_on_after_an_unexpected_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "PAUSE_SECONDS", 0.01)
    file = tmp_path / "some.db"
    sqlite3.connect(file).close()
    made = Checkpoints(file)
    with monkeypatch.context() as patched:
        patched.setattr(made, "_connection", None)
        made.start()
        made.note_commit()
        async with asyncio.timeout(20):
            while not isinstance(made.failure, AttributeError):
                await asyncio.sleep(0.01)
    made.note_commit()
    async with asyncio.timeout(20):
        while made.failure is not None:
            await asyncio.sleep(0.01)
    made.stop()


async def test_every_call_ends_if_the_writer_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Blocked, "pass_on", fail)
        calls = [bench.become(viewer(number)) for number in ("S1", "S2")]
        async with asyncio.timeout(20):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert {getattr(each, "reason", None) for each in outcomes} <= {
        Reason.STORE_UNAVAILABLE,
        Reason.DRAINING,
    }
    with pytest.raises(StoreFailed):
        bench.store.check()
    with pytest.raises(Refused) as later:
        await bench.become(viewer("S3"))
    assert later.value.reason is Reason.DRAINING
    log = capsys.readouterr()
    assert "writer_failed" in log.out + log.err


async def test_a_server_whose_writer_fails_stops(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(listen="127.0.0.1:0", database=url, archive_folder=tmp_path)
    gone = asyncio.Queue[Exception]()
    async with asyncio.timeout(30):
        async with running(settings, on_gone=gone.put_nowait) as address:
            monkeypatch.setattr(Blocked, "pass_on", fail)
            with (
                Client(address, timeout=timedelta(seconds=1)) as client,
                pytest.raises(ProvisioningError),
            ):
                await asyncio.to_thread(client.create_provider, Provider(code="P"))
            assert isinstance(await gone.get(), StoreFailed)


async def test_notifications_arrive_after_an_unexpected_failure(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listener of each of the two stores gets the notification of the first commit, and one of
    the two fails.
    """
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        await one.add_provider(SATELLITE)
        missed = asyncio.Event()
        committed = {each: asyncio.Event() for each in ("one", "two")}
        for bench in (one, two):
            bench.store.listeners.missed.append(missed.set)
        monkeypatch.setattr(listener, "notice_in", failing_once(notice_in))
        async with asyncio.timeout(20):
            await one.become(viewer("S1"))
            await missed.wait()
            one.store.listeners.committed.append(_set_if_foreign(committed["one"]))
            two.store.listeners.committed.append(_set_if_foreign(committed["two"]))
            await one.become(viewer("S2"))
            await two.become(viewer("S3"))
            for each in committed.values():
                await each.wait()


def _set_if_foreign(event: asyncio.Event) -> Callable[[Notice], None]:
    """Returns a listener of commits that sets the event after a commit of another process."""
    return lambda notice: None if notice.tally.commands else event.set()


async def test_the_sign_of_life_is_written_after_an_unexpected_failure(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(postgres_url) as bench:
        reached = asyncio.Queue[bool]()
        bench.store.listeners.reached.append(reached.put_nowait)
        monkeypatch.setattr(Others, "observe", failing_once(Others.observe))
        async with asyncio.timeout(20):
            assert await reached.get() is False
            assert await reached.get() is True
        assert bench.store.is_alive()


async def test_requests_are_handed_over_after_an_unexpected_failure(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Delivery(bench.store)
    await bench.become(viewer("S1"))
    must_poll = failing_once(lambda _: False)
    monkeypatch.setattr(Store, "must_poll", property(must_poll))
    stream = stream_at(bench.store.server, credit=2)
    with delivery.stream(stream):
        async with asyncio.timeout(20):
            handed = await stream.events.get()
    assert isinstance(handed, tuple)
    assert [each.lane.subscription for each in handed] == ["S1"]
    await delivery.drain("the test ends")


def test_a_worker_sends_its_figures_after_an_unexpected_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(showing, "SEND_SECONDS", 0.01)
    received, sending = get_context("spawn").Pipe(duplex=False)
    with showing.sent(sending, failing_once(Figures)):
        assert received.poll(20)
