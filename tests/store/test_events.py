"""Tests the events that the store writes about every change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from generic_provider_server.commands.cleaning import MOST_EVENT_ROWS, DropEvents
from generic_provider_server.commands.reset_run_decisions import Cancel
from generic_provider_server.domain.actions import Rest
from generic_provider_server.domain.archive import DAY
from generic_provider_server.domain.refusals import Refused
from generic_provider_server.domain.subscription.events import Event, EventKind
from generic_provider_server.domain.values import SECOND, Instant, SyncState
from generic_provider_server.domain.verdicts import ResponseStatus
from generic_provider_server.store.database.event_rows import MOST_IN_ROW, batched_events
from generic_provider_server.store.opening import open_store
from generic_provider_server.store.store import Store
from support.bench import PATIENT, Bench, HandClock, performing
from support.examples import ADD_SPORT, REMOVE_SPORT, SATELLITE, viewer
from support.figures import Figure
from support.histories import History
from support.resets import Runs
from support.soak import histories
from support.store_histories import play_on_store
from support.told import Told

WAITING = (
    "SELECT xact_start FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@dataclass(slots=True)
class Watched(History):
    """A history that reads the events before the clock may remove them."""

    told: Told = field(init=False)

    async def play(self, steps: Sequence[tuple[str, int]]) -> list[SyncState]:
        self.told = await Told.from_now(self.bench.store)
        return await History.play(self, steps)  # `super()` fails in a class with slots

    async def _wait(self, seconds: int) -> None:
        await self.told.read()
        await History._wait(self, seconds)  # noqa: SLF001

    async def _say_goodbye(self) -> None:
        await History._say_goodbye(self)  # noqa: SLF001
        for subscription in self.subscriptions:
            await self.told.check(subscription)


@pytest.mark.slow
@pytest.mark.timeout(600)  # to shorten a history that fails takes long
@histories(suite=25, soak=2_000, at_once=25)
async def test_every_change_is_told_once_and_in_order_whatever_happens(
    url: str, tmp_path: Path, chunk: str, count: int, figure: Figure
) -> None:
    await play_on_store(url, tmp_path, chunk=chunk, count=count, figure=figure, kind=Watched)


async def told(bench: Bench) -> list[Event]:
    """Returns all events in the store."""
    found = Told(bench.store, 1)
    await found.read()
    return found.events


async def kinds(bench: Bench) -> list[str]:
    return [EventKind(event.kind).name for event in await told(bench)]


async def test_causes_come_before_their_effects(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")

    assert (await kinds(bench))[2:] == [
        "ACTION_EXECUTED",
        "REQUEST_CREATED",
        "SYNC_STATE_CHANGED",
        "REQUEST_SETTLED",
        "ACTION_SETTLED",
        "SYNC_STATE_CHANGED",
    ]


async def test_a_rollback_is_told_with_its_cause_and_what_depends_on_it(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    sport = await bench.perform(ADD_SPORT, "S1", reference="order 7")
    stop = await bench.perform(REMOVE_SPORT, "S1")
    before = len(await told(bench))
    (handed,) = await bench.claim("SAT")
    await bench.answer(handed, status=ResponseStatus.REJECTED, error_code="E42")

    events = (await told(bench))[before:]
    assert [EventKind(event.kind).name for event in events] == [
        "REQUEST_SETTLED",
        "SUBSCRIPTION_ROLLED_BACK",
        "REQUEST_SETTLED",
        "ACTION_SETTLED",
        "ACTION_SETTLED",
        "SYNC_STATE_CHANGED",
    ]
    rollback = events[1]
    assert (rollback.number, rollback.request) == (sport.action.id, sport.action.requests[0])
    assert (rollback.reference, rollback.dependents) == ("order 7", (stop.action.id,))
    assert rollback.taken_back == (await bench.action(sport.action.id)).taken_back


async def test_what_the_clock_does_is_told(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(Rest(until=Instant(bench.clock.now + 60 * SECOND)), "S1")
    before = len(await told(bench))
    await bench.pass_time(61)

    assert (await told(bench))[before].kind == EventKind.ACTION_EXECUTED


async def test_a_provider_is_told_when_it_starts_and_stops(bench: Bench) -> None:
    await bench.stop_provider("WEB")
    await bench.stop_provider("WEB")

    states = [(event.providers, event.number) for event in await told(bench)]
    assert states == [(("SAT",), 2), (("WEB",), 2), (("WEB",), 1)]


async def test_a_reset_run_is_told_when_it_is_held_and_when_it_has_ended(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    runs = Runs(bench)
    held = await runs.run(provider="SAT", full=True, hold=True)
    await bench.store.do(Cancel(run_number=held.id))

    last = (await told(bench))[-2:]
    assert [EventKind(event.kind).name for event in last] == [
        "RESET_RUN_HELD",
        "RESET_RUN_FINISHED",
    ]
    assert {event.number for event in last} == {held.id}


async def test_a_refused_or_repeated_call_tells_nothing(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(ADD_SPORT, "S1", request_id="r")
    before = await told(bench)
    await bench.perform(ADD_SPORT, "S1", request_id="r")
    await bench.perform(REMOVE_SPORT, "S1", validate_only=True)
    with pytest.raises(Refused):
        await bench.perform(ADD_SPORT, "S1")

    assert await told(bench) == before


async def test_events_are_removed_when_they_are_old(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    bench.clock.advance(4 * DAY / SECOND)
    await bench.perform(ADD_SPORT, "S1")
    newest = (await bench.store.read(lambda queries: queries.event_bounds())).next - 1
    await bench.pass_time(4 * DAY / SECOND)

    bounds = await bench.store.read(lambda queries: queries.event_bounds())
    assert bounds.oldest == newest


async def test_few_rows_are_removed_at_once_and_their_numbers_are_not_given_again(
    bench: Bench,
) -> None:
    for n in range(MOST_EVENT_ROWS):
        await bench.become(viewer(f"S{n}"))
    old = await bench.store.read(lambda queries: queries.event_bounds())
    bench.clock.advance(8 * DAY / SECOND)
    drop = DropEvents(before=bench.clock.now)
    await bench.store.do(drop)
    fewer = await bench.store.read(lambda queries: queries.event_bounds())
    await bench.store.do(drop)
    none = await bench.store.read(lambda queries: queries.event_bounds())

    assert fewer == (old.oldest + MOST_EVENT_ROWS, old.next)
    assert none == (old.next, old.next)


async def test_events_are_removed_although_the_clock_was_ahead_when_older_events_were_written(
    bench: Bench, url: str
) -> None:
    bench.clock.advance(3_650 * DAY / SECOND)
    for n in range(5):
        await bench.become(viewer(f"A{n}"))
    await bench.store.close()
    clock = HandClock()
    later = Bench(open_store(url, clock=clock, waits=PATIENT), clock)
    for n in range(MOST_EVENT_ROWS):
        await later.become(viewer(f"B{n}"))
    clock.advance(8 * DAY / SECOND)
    await later.become(viewer("C"))
    newest = (await later.store.read(lambda queries: queries.event_bounds())).next - 1
    for _ in range(3):
        await later.pass_time(0)
    bounds = await later.store.read(lambda queries: queries.event_bounds())
    await later.store.close()

    assert bounds.oldest == newest


async def test_young_events_stay_although_the_clock_was_behind_when_a_later_event_was_written(
    bench: Bench, url: str
) -> None:
    await bench.become(viewer("A"))
    kept = await bench.store.read(lambda queries: queries.event_bounds())
    await bench.store.close()
    behind, clock = HandClock(), HandClock()
    behind.advance(-3_650 * DAY / SECOND)
    former = Bench(open_store(url, clock=behind, waits=PATIENT), behind)
    for n in range(3):
        await former.become(viewer(f"B{n}"))
    await former.store.close()
    later = Bench(open_store(url, clock=clock, waits=PATIENT), clock)
    await later.pass_time(1)
    bounds = await later.store.read(lambda queries: queries.event_bounds())
    await later.store.close()

    assert bounds.oldest == kept.oldest


def test_a_row_holds_a_limited_number_of_events() -> None:
    many = [Event(EventKind.REQUEST_CREATED, number) for number in range(2 * MOST_IN_ROW + 1)]
    rows = list(batched_events(many))

    assert [len(row) for row in rows] == [MOST_IN_ROW, MOST_IN_ROW, 1]
    assert [event for row in rows for event in row] == many


async def test_rows_of_several_processes_appear_in_their_order(postgres_url: str) -> None:
    """A reader never sees a row before a row with a smaller number."""
    stores = [open_store(postgres_url) for _ in range(3)]
    reading = open_store(postgres_url)
    try:
        await Bench(stores[0], HandClock()).add_provider(SATELLITE)
        found = await Told.from_now(reading)

        async def perform(store: Store, part: int) -> None:
            for n in range(40):
                number = f"S{part}-{n}"
                await store.do(performing(viewer(number), number))

        writing = asyncio.gather(*[perform(store, n) for n, store in enumerate(stores)])
        while not writing.done():
            await found.read()
            await asyncio.sleep(0)
        await writing
        await found.read()
    finally:
        for store in (*stores, reading):
            await store.close()

    executed = [e.subscription for e in found.events if e.kind == EventKind.ACTION_EXECUTED]
    assert len(executed) == len(set(executed)) == 120


async def test_a_group_that_cannot_take_its_number_tries_again(postgres_url: str) -> None:
    """The statements that are sent with COMMIT fail together, and the connection stays usable."""
    store = open_store(postgres_url)
    bench = Bench(store, HandClock())
    await bench.add_provider(SATELLITE)
    with psycopg.connect(postgres_url) as holder, psycopg.connect(postgres_url) as looking:
        looking.autocommit = True
        holder.execute("SELECT value FROM counter WHERE name = 'event' FOR UPDATE")
        becoming = asyncio.create_task(bench.become(viewer("S1")))
        while not (first := looking.execute(WAITING).fetchall()):
            await asyncio.sleep(0.02)
        while looking.execute(WAITING).fetchall() == first:
            await asyncio.sleep(0.02)
        holder.rollback()
        await becoming

    assert (await kinds(bench))[-3:] == ["ACTION_EXECUTED", "REQUEST_CREATED", "SYNC_STATE_CHANGED"]
    await store.close()
