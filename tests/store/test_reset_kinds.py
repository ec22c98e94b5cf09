from __future__ import annotations

import pytest
from msgspec.structs import replace

from generic_provider_server.commands.providers import UpdateProvider
from generic_provider_server.domain.actions import AddServices, Deactivate, Selection
from generic_provider_server.domain.resets.records import (
    EntryOutcome,
    RunState,
)
from generic_provider_server.domain.subscription.differences import DifferenceKind
from generic_provider_server.domain.values import RequestType, Service, SyncState
from generic_provider_server.domain.verdicts import ResponseStatus
from generic_provider_server.store.read.filters import RequestFilter
from support.bench import Bench
from support.examples import ADD_NEWS, ADD_SPORT, REMOVE_SPORT, SATELLITE, viewer
from support.resets import Runs

CREATED, SUPERSEDED = EntryOutcome.REQUESTS_CREATED, EntryOutcome.SUPERSEDED


@pytest.fixture
def runs(bench: Bench) -> Runs:
    return Runs(bench)


async def test_filters_choose_whom_the_run_is_about(runs: Runs) -> None:
    for number in ("S1", "S2", "S3", "S4"):  # so they have different creation times
        await runs.outage(number)
    await runs.bench.stop_provider("SAT")
    await runs.bench.perform(REMOVE_SPORT, "S3")
    await runs.bench.perform(Deactivate(), "S4")
    await runs.bench.start_provider("SAT")

    async def chosen(**fields: object) -> list[str]:
        run = await runs.run(hold=True, **fields)
        await runs.cancel(run)
        return sorted(await runs.outcomes(run))

    assert await chosen() == ["S1", "S2", "S4"]
    assert await chosen(first=2) == ["S1", "S2"]
    assert await chosen(subscriptions=("S2", "S3", "S9")) == ["S2"]
    assert await chosen(subscription_types=("NONE",)) == []
    assert await chosen(subscription_types=("HOUSEHOLD",)) == ["S1", "S2", "S4"]
    assert await chosen(difference_kinds=(DifferenceKind.SERVICE_SURPLUS,)) == ["S4"]
    assert await chosen(services=("SPORT",)) == ["S1", "S2"]
    assert await chosen(distributors=("TWIN",)) == []
    assert await chosen(error_codes=("E1",)) == []
    created = (await runs.bench.subscription("S2")).create_time
    assert await chosen(created_from=created) == ["S2", "S4"]
    assert await chosen(created_to=created) == ["S1"]


async def test_a_run_of_many_steps_resets_no_more_than_its_sample(runs: Runs) -> None:
    """The pace makes each step of the run reset one subscription only."""
    numbers = [f"S{n}" for n in range(9)]
    await runs.outage(*numbers)
    run = await runs.run(first=4, subscriptions_per_second=1)

    assert (run.state, run.requests_created) == (RunState.COMPLETED, 4)
    assert sorted(await runs.outcomes(run)) == numbers[:4]


async def test_a_filter_by_a_service_finds_the_entitlement_that_it_shares(runs: Runs) -> None:
    sports = Service(code="SPORT HD", provider_service_id="0x11")
    wider = replace(SATELLITE, services=(*SATELLITE.services, sports))
    await runs.bench.store.do(UpdateProvider(provider=wider, etag=None))
    await runs.outage("S1")
    await runs.bench.stop_provider("SAT")
    both = Selection(provider="SAT", distributor="MAIN", service="SPORT HD")
    await runs.bench.perform(AddServices((both,)), "S1")
    await runs.bench.start_provider("SAT")

    for service, found in (("SPORT", True), ("SPORT HD", True), ("NEWS", False)):
        run = await runs.run(hold=True, services=(service,))
        await runs.cancel(run)
        assert bool(await runs.outcomes(run)) is found


async def test_a_run_can_be_about_what_a_platform_refused(runs: Runs) -> None:
    await runs.outage("S1", "S2")
    await runs.run()
    first, second = await runs.bench.claim("SAT")
    await runs.bench.answer(first, status=ResponseStatus.REJECTED, error_code="E1")
    await runs.bench.answer(second, status=ResponseStatus.REJECTED, error_code="E2")

    run = await runs.run(error_codes=("E2",))
    assert await runs.outcomes(run) == {second.lane.subscription: CREATED}


async def test_a_full_run_sends_everything_of_everybody_again(runs: Runs) -> None:
    for number in ("S1", "S2"):
        await runs.bench.become(viewer(number))
    await runs.bench.accept_all("SAT")
    run = await runs.run(full=True)

    assert (run.total, run.out_of_sync, run.requests_created) == (2, 2, 6)
    again = await runs.run(full=True)
    assert again.requests_created == 0


async def test_a_run_that_recreates_skips_what_an_adapter_has_in_work(runs: Runs) -> None:
    for number in ("S1", "S2"):
        await runs.bench.become(viewer(number))
    await runs.bench.accept_all("SAT")
    await runs.bench.perform(ADD_NEWS, "S1")
    await runs.bench.claim("SAT")
    elsewhere = await runs.run(recreate=True, distributors=("TWIN",))
    refused = await runs.run(recreate=True, error_codes=("E7",))
    assert await runs.outcomes(elsewhere) == await runs.outcomes(refused) == {}
    run = await runs.run(recreate=True)

    assert await runs.outcomes(run) == {"S1": EntryOutcome.SKIPPED, "S2": CREATED}
    assert run.skipped == 1
    (request,) = await runs.bench.requests(RequestFilter(reset_run=run.id))
    assert request.type is RequestType.BECOME_SUBSCRIBER


async def test_a_plan_that_recreates_shows_whoever_waits_for_the_first_answer(runs: Runs) -> None:
    await runs.bench.become(viewer("S1"))

    elsewhere = await runs.run(recreate=True, hold=True, distributors=("TWIN",))
    assert await runs.outcomes(elsewhere) == {}
    held = await runs.run(recreate=True, hold=True, services=("BASIC",))
    assert await runs.outcomes(held) == {"S1": EntryOutcome.PLANNED}
    (planned,) = await runs.entries(held)
    assert [each.kind for each in planned.differences if each.service == "BASIC"] == [
        DifferenceKind.SERVICE_MISSING
    ]

    approved = await runs.approve(held)
    assert await runs.outcomes(approved) == {"S1": CREATED}
    await runs.bench.accept_all("SAT")
    assert await runs.bench.sync_state("S1", "SAT") is SyncState.IN_SYNC


async def test_a_planned_subscription_gets_an_outcome_although_the_filters_do_not_find_it_any_more(
    runs: Runs,
) -> None:
    for number in ("S1", "S2"):
        await runs.bench.become(viewer(number, "BASIC", "SPORT"))
    await runs.bench.accept_all("SAT")
    held = await runs.run(recreate=True, hold=True, services=("SPORT",))
    assert await runs.outcomes(held) == dict.fromkeys(("S1", "S2"), EntryOutcome.PLANNED)
    await runs.bench.perform(REMOVE_SPORT, "S1")
    await runs.bench.accept_all("SAT")
    await runs.bench.perform(ADD_NEWS, "S1")
    await runs.bench.claim("SAT")

    approved = await runs.approve(held)

    assert await runs.outcomes(approved) == {"S1": EntryOutcome.SKIPPED, "S2": CREATED}
    assert (approved.total, approved.examined, approved.skipped) == (2, 2, 1)


async def test_a_run_that_recreates_selects_by_what_it_cancels_too(runs: Runs) -> None:
    for number in ("S1", "S2"):
        await runs.bench.become(viewer(number))
    await runs.bench.accept_all("SAT")
    await runs.bench.perform(ADD_NEWS, "S1")
    (handed,) = await runs.bench.claim("SAT")
    leased = await runs.run(recreate=True, services=("NEWS",))
    assert await runs.outcomes(leased) == {"S1": EntryOutcome.SKIPPED}

    await runs.bench.release(handed.lane.lease)
    run = await runs.run(recreate=True, services=("NEWS",))
    assert await runs.outcomes(run) == {"S1": CREATED}


async def test_a_platform_that_was_restored_gets_exactly_what_it_has_forgotten(runs: Runs) -> None:
    bench = runs.bench
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    await bench.perform(ADD_SPORT, "S3")
    await bench.accept_all("SAT")
    bench.clock.advance(60)
    restored_to = bench.clock.now
    await bench.perform(ADD_NEWS, "S1")
    await bench.perform(REMOVE_SPORT, "S3")
    await bench.become(viewer("S4"))
    await bench.accept_all("SAT")

    run = await runs.run(platform_restored_to=restored_to)
    made = await bench.requests(RequestFilter(reset_run=run.id, oldest_first=True))
    assert [(each.subscription, each.type) for each in made] == [
        ("S1", RequestType.ACTIVATE_SERVICE),
        ("S3", RequestType.DEACTIVATE_SERVICE),
        ("S4", RequestType.BECOME_SUBSCRIBER),
    ]
    await bench.accept_all("SAT")
    for number in ("S1", "S2", "S3", "S4"):
        assert await bench.sync_state(number, "SAT") is SyncState.IN_SYNC
