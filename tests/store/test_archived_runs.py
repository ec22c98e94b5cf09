"""Tests reset runs in archives."""

from __future__ import annotations

from typing import Any

import pytest

from generic_provider_server.commands.reset_definitions import Submit
from generic_provider_server.domain.refusals import InvalidField
from generic_provider_server.domain.resets.records import RunState
from generic_provider_server.domain.verdicts import ResponseStatus
from generic_provider_server.store.read import archivable, archivable_runs
from generic_provider_server.store.read.queries import Queries
from support.archives import DAY, Archivist, numbers, rejected, stored_runs
from support.bench import Bench
from support.examples import viewer
from support.resets import Runs


async def test_a_reset_run_is_archived_with_the_last_of_its_requests(
    bench: Bench, archivist: Archivist
) -> None:
    runs = Runs(bench)
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    await bench.accept_all("SAT")
    run = await runs.run(full=True)
    first, second = await bench.claim("SAT")
    await bench.accept(first)
    await bench.pass_time(3 * DAY)
    assert archivist.runs_inside(await archivist.make()) == ([], [])
    assert len(await runs.entries(run)) == 2
    assert (await runs.settled(run)).completed == len(first.requests)

    await bench.accept_all("SAT")
    bench.clock.advance(3 * DAY)
    whole = await archivist.make()
    assert archivist.contents(whole).requests == [each.number for each in second.requests]
    assert archivist.runs_inside(whole) == ([run.id], [(run.id, "S1"), (run.id, "S2")])
    assert await stored_runs(bench) == await numbers(bench) == []
    assert await runs.entries(run) == []


async def test_a_reset_run_is_kept_with_the_last_error_of_a_link(
    bench: Bench, archivist: Archivist
) -> None:
    runs = Runs(bench)
    await runs.outage("S1")
    run = await runs.run()
    (lease,) = await bench.claim("SAT")
    await bench.answer(lease, status=ResponseStatus.REJECTED, error_code="E1")
    bench.clock.advance(3 * DAY)
    await archivist.make()
    assert await stored_runs(bench) == [run.id]

    await rejected(bench)
    bench.clock.advance(3 * DAY)
    assert archivist.runs_inside(await archivist.make()).runs == [run.id]


async def test_the_rejected_requests_of_a_run_are_read_page_by_page(
    bench: Bench, archivist: Archivist, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, numbers_of_all = Runs(bench), [f"S{n}" for n in range(9)]
    await runs.outage(*numbers_of_all)
    run = await runs.run()
    for lease in await bench.claim("SAT"):
        await bench.answer(lease, status=ResponseStatus.REJECTED, error_code="E1")
    bench.clock.advance(3 * DAY)

    sizes = list[int]()
    read = Queries._rows  # noqa: SLF001 - the test measures what each query reads

    def measured(queries: Queries, query: Any) -> list[Any]:
        rows = read(queries, query)
        sizes.append(len(rows))
        return rows

    monkeypatch.setattr(Queries, "_rows", measured)
    monkeypatch.setattr(archivable, "MOST_ROWS", 2)
    monkeypatch.setattr(archivable_runs, "MOST_ROWS", 2)
    await archivist.make()
    assert await stored_runs(bench) == [run.id]
    assert max(sizes) == 2


async def test_only_runs_of_its_provider_that_ended_long_ago_are_in_an_archive(
    bench: Bench, archivist: Archivist
) -> None:
    runs = Runs(bench)
    await runs.outage("S1")
    await bench.accept_all("SAT")
    old, other = await runs.run(), await runs.run(provider="WEB")
    await bench.accept_all("SAT")
    bench.clock.advance(3 * DAY)
    held, young = await runs.run(hold=True), await runs.run()

    assert archivist.runs_inside(await archivist.make(provider="SAT")).runs == [old.id]
    assert archivist.runs_inside(await archivist.make()).runs == [other.id]
    assert await stored_runs(bench) == [held.id, young.id]


async def test_the_request_id_of_a_run_is_forgotten_with_the_run(
    bench: Bench, archivist: Archivist
) -> None:
    runs = Runs(bench)
    definition = await runs.define()
    submit = Submit(id=definition.id, digest=b"", request_id="night-1")
    (_, first), (_, again) = await bench.store.do(submit), await bench.store.do(submit)
    assert first is not None
    assert again == first
    await runs.work()
    bench.clock.advance(3 * DAY)
    await archivist.make()

    _, second = await bench.store.do(submit)
    assert second is not None
    assert second.id > first.id


async def test_a_reset_run_does_not_go_back_to_a_time_whose_requests_are_archived(
    bench: Bench, archivist: Archivist
) -> None:
    runs = Runs(bench)
    await bench.become(viewer("S1"))
    before = bench.clock.now
    await bench.accept_all("SAT")
    bench.clock.advance(3 * DAY)
    await archivist.make(provider="WEB")
    await runs.run(platform_restored_to=before)

    planned = await runs.run(platform_restored_to=before, hold=True)

    archive = await archivist.make(provider="SAT")
    with pytest.raises(InvalidField, match=archive.id):
        await runs.run(platform_restored_to=before)
    await runs.run(platform_restored_to=bench.clock.now)
    failed = await runs.approve(planned)
    assert failed.state is RunState.FAILED
    full = "a run with full sends all elements again"
    assert failed.message.endswith(f"are in archive {archive.id}; {full}")
    assert failed.requests_created == 0
