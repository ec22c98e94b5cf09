"""Tests what a watcher gets, with any filter and from any cursor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from operator import methodcaller

import pytest
import pytest_asyncio

from generic_provider_server.commands.cleaning import DropEvents
from generic_provider_server.domain.refusals import Reason, Refused, unavailable
from generic_provider_server.domain.subscription.events import Event, EventKind
from generic_provider_server.services.event_places import (
    BEGINNING,
    Drain,
    EventPlace,
    Heartbeat,
    PlacedEvent,
    Sent,
    Wanted,
)
from generic_provider_server.services.watching import Watching
from generic_provider_server.store.read.events import MOST_ROWS
from generic_provider_server.store.store import Store
from generic_provider_server.store.write.loaded import Needs
from generic_provider_server.store.write.transaction import Transaction
from support.bench import Bench
from support.examples import ADD_SPORT, ADD_STREAM, viewer

ALL = Wanted()


@pytest_asyncio.fixture
async def watching(store: Store) -> AsyncIterator[Watching]:
    watching = Watching(store)
    watching.start()
    yield watching
    await watching.stop()


class Watcher:
    def __init__(self, sent: AsyncIterator[Sent]) -> None:
        self.sent = sent
        self.place = BEGINNING

    async def next(self) -> list[PlacedEvent] | Drain | None:
        """Returns what the watcher gets next; None if it is a heartbeat."""
        sent = await anext(self.sent)
        match sent:
            case Heartbeat(place):
                self.place = place
                return None
            case Drain():
                return sent
            case told:
                self.place = told[-1].after
                return told

    async def take(self, count: int) -> list[PlacedEvent]:
        found: list[PlacedEvent] = []
        while len(found) < count:
            told = await self.next()
            found += told if isinstance(told, list) else []
        assert len(found) == count
        return found


@asynccontextmanager
async def watcher(
    watching: Watching, wanted: Wanted = ALL, *, start: EventPlace | None = BEGINNING
) -> AsyncIterator[Watcher]:
    async with aclosing(watching.watch(wanted, start)) as sent:  # type: ignore[type-var]
        found = Watcher(sent)
        assert await found.next() is None, "a stream begins with a heartbeat"
        yield found


def kinds(told: list[PlacedEvent]) -> list[str]:
    return [EventKind(each.event.kind).name for each in told]


async def test_a_watcher_gets_what_was_and_then_what_comes(
    bench: Bench, watching: Watching
) -> None:
    await bench.become(viewer("S1"))
    async with watcher(watching) as watched:
        assert kinds(await watched.take(5))[2:] == [
            "ACTION_EXECUTED",
            "REQUEST_CREATED",
            "SYNC_STATE_CHANGED",
        ]
        await bench.accept_all("SAT")
        assert kinds(await watched.take(3)) == [
            "REQUEST_SETTLED",
            "ACTION_SETTLED",
            "SYNC_STATE_CHANGED",
        ]


async def test_a_watcher_may_begin_now(bench: Bench, watching: Watching) -> None:
    await bench.become(viewer("S1"))
    async with watcher(watching, start=None) as watched:
        await bench.become(viewer("S2"))
        assert {each.event.subscription for each in await watched.take(3)} == {"S2"}


async def test_a_watcher_resumes_after_any_event(bench: Bench, watching: Watching) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    async with watcher(watching) as watched:
        told = await watched.take(8)
    for n, each in enumerate(told[:-1]):
        place = watching.place(watching.cursor(each.after))
        async with watcher(watching, start=place) as watched:
            assert await watched.take(7 - n) == told[n + 1 :]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(subscription="S2"), 3),
        (Wanted(provider="WEB"), 1 + 3),
        (Wanted(kinds=frozenset({EventKind.REQUEST_CREATED})), 3),
        (Wanted(provider="SAT", kinds=frozenset({EventKind.ACTION_EXECUTED})), 3),
        (
            Wanted(provider="SAT", subscription="S1", kinds=frozenset({EventKind.REQUEST_CREATED})),
            1,
        ),
    ],
)
async def test_a_watcher_gets_only_what_matches_all_its_filters(
    bench: Bench, watching: Watching, wanted: Wanted, expected: int
) -> None:
    async with watcher(watching, wanted) as live:
        for number in ("S1", "S2"):
            await bench.become(viewer(number))
        await bench.perform(ADD_STREAM, "S1")
        told = await live.take(expected)
    async with watcher(watching, wanted) as late:
        assert await late.take(expected) == told
    assert all(wanted.includes(each.event) for each in told)


async def test_a_heartbeat_is_after_what_the_filters_left_out(
    bench: Bench, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.services.watching.HEARTBEAT", (0.01, 0.02))
    async with watcher(watching, Wanted(subscription="nobody")) as watched:
        await bench.become(viewer("S1"))
        bounds = await bench.store.read(lambda queries: queries.event_bounds())
        while watched.place < EventPlace(bounds.next):
            assert await watched.next() is None


async def test_nothing_is_left_out_between_heartbeats(
    bench: Bench, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.services.watching.HEARTBEAT", (0.0, 0.003))
    wanted = Wanted(kinds=frozenset({EventKind.ACTION_EXECUTED}))
    async with watcher(watching, wanted) as watched:
        becoming = asyncio.gather(*[bench.become(viewer(f"S{n}")) for n in range(3)])
        numbers = [each.event.subscription for each in await watched.take(3)]
        await becoming
        for n in range(3, 60):
            made = asyncio.create_task(bench.become(viewer(f"S{n}")))
            numbers += [each.event.subscription for each in await watched.take(1)]
            await made
    assert sorted(numbers) == sorted(f"S{n}" for n in range(60))


async def test_a_cursor_whose_events_were_removed_is_too_old(
    bench: Bench, watching: Watching
) -> None:
    await bench.become(viewer("S1"))
    async with watcher(watching) as watched:
        told = await watched.take(5)
    await bench.store.do(DropEvents(before=bench.clock.now))

    for each in told[:-1]:
        with pytest.raises(Refused) as refused:
            async with watcher(watching, start=each.after):
                pass
        assert refused.value.reason is Reason.CURSOR_TOO_OLD
    async with watcher(watching, start=told[-1].after) as watched:
        await bench.perform(ADD_SPORT, "S1")
        assert len(await watched.take(2)) == 2


async def test_a_watcher_that_is_slower_than_the_removal_is_told_so(
    bench: Bench, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.store.read.events.MOST_ROWS", 2)
    for n in range(5):
        await bench.become(viewer(f"S{n}"))
    async with watcher(watching) as watched:
        await watched.next()
        await bench.store.do(DropEvents(before=bench.clock.now))
        with pytest.raises(Refused) as refused:
            await watched.take(100)
    assert refused.value.reason is Reason.CURSOR_TOO_OLD


async def test_a_watcher_that_waits_is_told_that_events_were_removed_during_a_pause(
    bench: Bench, watching: Watching
) -> None:
    """The process may have been suspended, or the clock may have been set forward."""
    async with watcher(watching, start=None) as watched, watcher(watching) as late:
        await late.take(2)
        await watching.stop()
        await bench.become(viewer("S1"))
        await bench.store.do(DropEvents(before=bench.clock.now))
        await bench.become(viewer("S2"))
        watching.start()
        for each in (watched, late):
            with pytest.raises(Refused) as refused:
                await each.next()
            assert refused.value.reason is Reason.CURSOR_TOO_OLD
    async with watcher(watching) as watched:
        assert {each.event.subscription for each in await watched.take(3)} == {"S2"}


@pytest.mark.parametrize(
    ("rows", "size", "read"), [(64, 64 * 1024, [5]), (2, 64 * 1024, [2, 2, 1]), (64, 1, [1] * 5)]
)
async def test_rows_are_read_together_up_to_a_number_and_a_size(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, rows: int, size: int, read: list[int]
) -> None:
    monkeypatch.setattr("generic_provider_server.store.read.events.MOST_ROWS", rows)
    monkeypatch.setattr("generic_provider_server.store.read.events.MOST_BYTES", size)
    first = (await bench.store.read(lambda queries: queries.event_bounds())).next
    for n in range(5):
        await bench.become(viewer(f"S{n}"))
    found, more = list[int](), True
    while more:
        after = first + sum(found)
        page = await bench.store.read(methodcaller("event_rows", after))
        found.append(len(page.rows))
        more = page.more
    assert found == read


async def test_a_cursor_of_another_store_or_from_the_future_is_unknown(
    bench: Bench, watching: Watching
) -> None:
    bounds = await bench.store.read(lambda queries: queries.event_bounds())
    for place in (EventPlace(bounds.next, 1), EventPlace(bounds.next + 1)):
        with pytest.raises(Refused) as refused:
            async with watcher(watching, start=place):
                pass
        assert refused.value.reason is Reason.CURSOR_UNKNOWN
    for cursor in ("x", f"{'0' * 32}-1-0", watching.cursor(EventPlace(1)) + "0" * 40):
        with pytest.raises(Refused) as refused:
            watching.place(cursor)
        assert refused.value.reason is Reason.CURSOR_UNKNOWN


async def test_a_server_that_shuts_down_ends_every_stream(watching: Watching) -> None:
    async with watcher(watching) as behind, watcher(watching, start=None) as waiting:
        asked = asyncio.create_task(waiting.next())
        await asyncio.sleep(0)
        watching.drain("over")
        assert await asked == Drain("over")
        while isinstance(told := await behind.next(), list):
            pass
        assert told == Drain("over")


async def test_many_watchers_that_wait_cost_one_query(
    bench: Bench, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    original = Store.read

    async def read(self: Store, question: object) -> object:
        asked.append(question)
        return await original(self, question)  # type: ignore[arg-type]

    async with watcher(watching, start=None) as one, watcher(watching, start=None) as other:
        monkeypatch.setattr(Store, "read", read)
        takes = asyncio.gather(one.take(3), other.take(3))
        await asyncio.sleep(0)
        await bench.become(viewer("S1"))
        first, second = await takes
    assert first == second
    assert len(asked) <= 3


async def test_rows_that_are_read_together_cost_the_watchers_that_wait_one_query(
    bench: Bench, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, written = [], asyncio.Event()
    original = Store.read

    async def read(self: Store, question: object) -> object:
        await written.wait()
        asked.append(question)
        return await original(self, question)  # type: ignore[arg-type]

    async with AsyncExitStack() as stack:
        waiting = [await stack.enter_async_context(watcher(watching, start=None)) for _ in range(5)]
        monkeypatch.setattr(Store, "read", read)
        takes = asyncio.gather(*[each.take(3 * MOST_ROWS) for each in waiting])
        for n in range(MOST_ROWS):
            await bench.become(viewer(f"S{n}"))
        written.set()
        first, *others = await takes
    assert others == [first] * 4
    assert len(asked) <= 3


async def test_a_watcher_that_begins_slowly_misses_nothing_if_all_others_leave(
    bench: Bench, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new watcher asks for the place of the newest event. Before the new watcher gets the
    answer, another watcher gets further events and leaves, while the next row is being read.
    """
    bounds, rows = LateAnswer("event_bounds"), LateAnswer("event_rows")
    async with AsyncExitStack() as new_stack:
        async with watcher(watching, start=None) as other:
            taken = asyncio.create_task(other.take(3))
            await asyncio.sleep(0)
            monkeypatch.setattr(Store, "read", bounds.read_with(Store.read))
            beginning = asyncio.create_task(
                new_stack.enter_async_context(watcher(watching, start=None))
            )
            await bounds.asked.wait()
            await bench.become(viewer("S1"))
            await taken
            monkeypatch.setattr(Store, "read", rows.read_with(Store.read))
            await bench.become(viewer("S2"))
            await rows.asked.wait()
        bounds.answered.set()
        new = await beginning
        taking = asyncio.create_task(new.take(6))
        await asyncio.sleep(0)
        rows.answered.set()
        subscriptions = [each.event.subscription for each in await taking]
        assert subscriptions == ["S1"] * 3 + ["S2"] * 3


async def test_a_watcher_gets_new_events_after_the_last_events_were_lost(
    bench: Bench, watching: Watching
) -> None:
    """The last commits can be lost when an asynchronous standby becomes the primary database."""
    async with watcher(watching) as first:
        for n in range(6):
            await bench.become(viewer(f"S{n}"))
        await first.take(2 + 6 * 3)
    await bench.store.do(LosesTheLastEvents(rows=4))
    async with watcher(watching, start=None) as new:
        taking = asyncio.create_task(new.take(3))
        await asyncio.sleep(0)
        await bench.become(viewer("S9"))
        assert {each.event.subscription for each in await taking} == {"S9"}


@dataclass(frozen=True)
class LosesTheLastEvents:
    rows: int

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> None:
        tables = transaction._tables  # noqa: SLF001
        (counter,) = tables.select("SELECT value FROM counter WHERE name = ?", ("event",))
        last = counter.value - self.rows
        tables.run("DELETE FROM event WHERE number > ?", (last,))
        tables.run("UPDATE counter SET value = ? WHERE name = ?", (last, "event"))


class LateAnswer:
    """Holds back the results of a query until `answered` is set."""

    def __init__(self, query: str) -> None:
        self._query = query
        self.asked, self.answered = asyncio.Event(), asyncio.Event()

    def read_with(self, original: Callable[..., Awaitable[object]]) -> Callable[..., object]:
        async def read(store: Store, question: object) -> object:
            found = await original(store, question)
            if f"'{self._query}'" in repr(question):
                self.asked.set()
                await self.answered.wait()
            return found

        return read


async def test_a_kind_of_a_newer_version_is_left_out(bench: Bench, watching: Watching) -> None:
    await bench.store.do(WritesAnUnknownKind())
    await bench.become(viewer("S1"))
    async with watcher(watching) as watched:
        assert kinds(await watched.take(5))[2] == "ACTION_EXECUTED"


class WritesAnUnknownKind:
    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> None:
        transaction.events.append(Event(99, 1))


async def test_a_stream_ends_when_the_store_cannot_be_read(
    bench: Bench, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watcher(watching, start=None) as watched:
        waiting = asyncio.create_task(watched.next())
        await asyncio.sleep(0)
        monkeypatch.setattr("generic_provider_server.store.store.Store.read", _unreadable)
        await bench.become(viewer("S1"))
        with pytest.raises(Refused) as refused:
            await waiting
    assert refused.value.reason is Reason.STORE_UNAVAILABLE


async def _unreadable(*_: object) -> None:
    raise unavailable("read")


class Moving:
    """A watcher that has got all events as soon as its place was read once."""

    def __init__(self) -> None:
        self._places = [None, EventPlace(1)]

    @property
    def place(self) -> EventPlace | None:
        return self._places.pop()


async def test_a_watcher_may_go_on_while_the_slowest_watcher_is_found(watching: Watching) -> None:
    watching._watchers.add(Moving())  # type: ignore[arg-type]  # noqa: SLF001
    assert watching.watchers() == (1, 0)
    watching._watchers.clear()  # noqa: SLF001
