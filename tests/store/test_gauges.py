"""Tests what the metrics read from the database."""

from __future__ import annotations

import pytest

from generic_provider_server.domain.actions import Rest
from generic_provider_server.domain.resets.records import RunState
from generic_provider_server.domain.subscription.request_records import WaitingFor
from generic_provider_server.domain.values import SECOND, Instant
from generic_provider_server.domain.verdicts import ResponseStatus
from generic_provider_server.metrics.recording import Recording
from generic_provider_server.services.presence import Presence
from generic_provider_server.services.watching import Watching
from generic_provider_server.store.opening import open_store
from generic_provider_server.store.read.gauges import Gauges
from generic_provider_server.store.store import Store
from support.bench import PATIENT, Bench, HandClock
from support.examples import ADD_NEWS, SATELLITE, viewer
from support.resets import Runs

DAY = 86_400
WINDOW = SATELLITE.delivery_settings.pending_window / SECOND


async def gauges(bench: Bench) -> Gauges:
    return await bench.store.read(lambda queries: queries.gauges(bench.store.server))


async def test_the_gauges_show_what_is_pending_and_how_late_each_duty_is(bench: Bench) -> None:
    idle = await gauges(bench)
    assert not any(idle.lags.values())
    assert idle.providers["SAT"].next_expiry == WINDOW
    for number in ("S1", "S2", "S3", "S4"):
        await bench.become(viewer(number))
    await bench.accept_all("SAT")
    await bench.perform(Rest(until=Instant(bench.clock.now + 40 * SECOND)), "S4")
    await bench.schedule(ADD_NEWS, "S4", 100)
    for number in ("S1", "S2", "S3"):
        await bench.perform(ADD_NEWS, number)
    leased = await bench.claim("SAT", credit=3)
    await bench.answer(leased[1], status=ResponseStatus.RETRY_LATER, retry_delay=60 * SECOND)
    bench.clock.advance(200)
    found = await gauges(bench)

    late = {"leases": 170, "retries": 140, "expiry": 0, "ends": 160, "scheduled": 100, "resets": 0}
    assert found.lags == pytest.approx(late, abs=1)
    satellite = found.providers["SAT"]
    assert satellite.waiting == {
        WaitingFor.ANSWER: 2,
        WaitingFor.RETRY: 1,
        WaitingFor.ADAPTER: 1,
        WaitingFor.EARLIER_REQUEST: 0,
        WaitingFor.PROVIDER: 0,
    }
    assert satellite.oldest_age == pytest.approx(200, abs=1)
    assert satellite.next_expiry == pytest.approx(WINDOW - 200, abs=1)
    assert found.unsettled_actions == 4

    bench.clock.advance(WINDOW - 200 + DAY)
    assert (await gauges(bench)).lags["expiry"] == pytest.approx(DAY, abs=1)
    await bench.stop_provider("SAT")
    stopped = (await gauges(bench)).providers["SAT"]
    assert stopped.waiting[WaitingFor.PROVIDER] == 2
    assert not stopped.effective


async def test_open_reset_runs_are_counted_although_many_runs_are_newer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alert that tells operators about a held run needs this count."""
    monkeypatch.setattr("generic_provider_server.store.read.gauges.MOST_RUNS", 1)
    runs = Runs(bench)
    await runs.outage("S1")
    held = await runs.run(hold=True)
    await runs.submit(await runs.define())
    assert (await gauges(bench)).reset_runs[RunState.RUNNING] == 1
    await runs.work()
    await runs.submit(await runs.define())
    counts = (await gauges(bench)).reset_runs
    assert {state: n for state, n in counts.items() if n} == {RunState.HELD: 1, RunState.RUNNING: 1}

    await runs.submit(await runs.define())
    assert (await gauges(bench)).reset_runs[RunState.RUNNING] == 2
    await runs.cancel(held)
    await runs.work()
    counts = (await gauges(bench)).reset_runs
    assert {state: n for state, n in counts.items() if n} == {RunState.COMPLETED: 1}


async def test_a_server_shows_that_it_cannot_reach_its_database(store: Store) -> None:
    watching = Watching(store)
    recording = Recording(store, Presence(store, list), watching)
    shown = []
    for tell in (store.listeners.notify_lost, store.listeners.notify_found):
        tell()
        shown.append(recording.figures().gauges["store_reachable",])

    assert shown == [False, True]


async def test_no_duration_is_negative_after_a_restart_with_a_clock_that_was_set_back(
    url: str,
) -> None:
    """Prometheus takes a sum that decreases for a restart, and then shows too long durations."""
    former = Bench(open_store(url, clock=HandClock(), waits=PATIENT), HandClock())
    await former.add_provider(SATELLITE)
    await former.become(viewer("S1"))
    await former.store.close()
    clock = HandClock()
    clock.advance(-3_600)
    store = open_store(url, clock=clock, waits=PATIENT)
    recording = Recording(store, Presence(store, list), Watching(store))
    bench = Bench(store, clock)
    (lease,) = await bench.claim("SAT")
    await bench.accept(lease)
    found = recording.figures().histograms
    await store.close()

    for name in ("handover_seconds", "settle_seconds"):
        *counts, total = found[name, "SAT"]
        assert sum(counts) > 0
        assert total >= 0
