"""Each test repeats calls after which an earlier version of the service broke one of its rules."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from generic_provider_server.commands.answers import Response
from generic_provider_server.commands.claim import Demand, Handed
from generic_provider_server.commands.providers import UpdateProvider
from generic_provider_server.domain.actions import (
    AddServices,
    AddUsage,
    ChangeLocation,
    Deactivate,
    Existing,
    Rest,
    Selection,
    ShortTermActivate,
    StopServices,
    Terminate,
)
from generic_provider_server.domain.subscription.records import ActionState
from generic_provider_server.domain.values import (
    SECOND,
    Address,
    Instant,
    RequestState,
    RequestType,
    Service,
    State,
    SyncState,
)
from generic_provider_server.domain.verdicts import ResponseStatus
from generic_provider_server.rpc import encode
from generic_provider_server.services.clock_duties import duties
from generic_provider_server.services.clock_runner import Clock
from generic_provider_server.store.read.duties import MOST_DUE
from support.bench import Bench
from support.examples import ADD_STREAM, NEWS, SATELLITE, STREAM, card, viewer

ACCEPTED, REJECTED, RETRY_LATER = ResponseStatus
LARGE = {f"key {n}": "x" * 240 for n in range(16)}


def film(bench: Bench, *, seconds: int) -> AddUsage:
    now = bench.clock.now
    return AddUsage(
        provider="SAT",
        service="FILM",
        quantity=1,
        start_time=now,
        end_time=Instant(now + seconds * SECOND),
        reference="film 1",
    )


async def due(bench: Bench) -> list[str]:
    return list(await bench.store.read(lambda queries: queries.subscriptions_due()))


async def test_a_platform_that_served_the_customer_before_goes_on_when_another_refuses(
    bench: Bench,
) -> None:
    become = viewer("S1")
    known = Existing(provider="SAT", account_number="77", holds_everything=True)
    both = replace(become, services=(*become.services, STREAM), existing=(known,))
    done = await bench.become(both)
    (handed,) = await bench.claim("WEB")
    await bench.answer(handed, status=REJECTED)
    desired = (await bench.subscription("S1")).aggregate.desired

    assert desired.state is State.EFFECTIVE
    assert {s.service: s.state for s in desired.services} == {
        "BASIC": State.EFFECTIVE,
        "STREAM": State.DRAFT,
    }
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC
    assert (await bench.action(done.action.id)).state is ActionState.PARTLY_REJECTED


async def test_usage_that_is_over_waits_for_its_lease_without_keeping_the_clock_busy(
    bench: Bench,
) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    done = await bench.perform(film(bench, seconds=5), "S1")
    (handed,) = await bench.claim("SAT", lease=60)
    await bench.pass_time(6)
    revision = (await bench.subscription("S1")).revision
    await bench.pass_time(1)

    assert await due(bench) == []
    assert (await bench.subscription("S1")).revision == revision
    await bench.release(handed.lane.lease)
    await bench.pass_time(0)
    assert (await bench.request(done.requests[0].number)).state is RequestState.EXPIRED
    assert await due(bench) == []


async def test_usage_that_is_over_is_not_shown_while_an_action_is_unsettled(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(film(bench, seconds=5), "S1")
    await bench.accept_all("SAT")
    await bench.perform(ChangeLocation(Address(city="Narva")), "S1")
    catalogues = bench.store.catalogues
    record = await bench.subscription("S1")
    assert len(encode.subscription(record, catalogues, full=True, now=bench.clock.now).usages) == 1

    await bench.pass_time(6)
    record = await bench.subscription("S1")
    assert record.aggregate.performed
    assert not encode.subscription(record, catalogues, full=True, now=bench.clock.now).usages


async def test_moving_the_end_of_a_short_term_starts_no_service_that_was_stopped(
    bench: Bench,
) -> None:
    await bench.become(viewer("S1", "BASIC", "NEWS"))
    await bench.perform(Deactivate(), "S1")
    until = Instant(bench.clock.now + 100 * SECOND)
    await bench.perform(ShortTermActivate(until), "S1")
    await bench.perform(StopServices((NEWS,)), "S1")
    later = Instant(until + 100 * SECOND)
    done = await bench.perform(ShortTermActivate(later), "S1")
    assert done.subscription
    desired = done.subscription.aggregate.desired

    assert done.requests == ()
    assert desired.until == later
    assert {s.service: s.state for s in desired.services} == {
        "BASIC": State.SHORT_TERM_EFFECTIVE,
        "NEWS": State.NOT_EFFECTIVE,
    }


async def test_a_claim_gives_at_most_a_mebibyte_and_the_rest_with_the_next(bench: Bench) -> None:
    cards = [replace(card(f"{n}"), parameters=LARGE) for n in range(300)]
    wanted = [replace(viewer(f"S{n}"), items=(each,)) for n, each in enumerate(cards)]
    await asyncio.gather(*[bench.become(each) for each in wanted])
    demand = Demand(
        stream="",
        adapter="a",
        credit=lambda _: 500,
        lease_duration=SECOND,
        include_target=True,
    )
    claims = []
    while handed := (await bench.claims("SAT", demand))[0]:
        claims.append(len(handed))

    assert sum(claims) == 300
    assert max(claims) < 150


async def test_a_lease_carries_at_most_a_mebibyte_of_a_large_unit(bench: Bench) -> None:
    await _with_large_requests(bench)
    await bench.perform(Rest(Instant(bench.clock.now + 3_600 * SECOND)), "S1")
    sizes = []
    while handed := await bench.claim("SAT", credit=500):
        sizes.append(len(handed[0].requests))
        await _accept_at_once(bench, handed[0])
    first, second = sizes[-2:]

    assert first + second == 241


async def test_a_term_end_comes_however_many_requests_it_makes(bench: Bench) -> None:
    end = Instant(bench.clock.now + 1_000 * SECOND)
    await _with_large_requests(bench, services=250, term_end=end)
    await bench.pass_time(1_001)
    desired = (await bench.subscription("S1")).aggregate.desired

    assert [s.service for s in desired.services if s.on] == ["BASIC"]


async def test_the_clock_goes_on_at_once_while_more_is_due(bench: Bench) -> None:
    until = Instant(bench.clock.now + 60 * SECOND)
    numbers = [f"S{n}" for n in range(MOST_DUE + 1)]
    await asyncio.gather(*[bench.become(viewer(number)) for number in numbers])
    await asyncio.gather(*[bench.perform(Rest(until), number) for number in numbers])
    bench.clock.advance(61)
    clock = Clock(bench.store, duties(bench.store.server))

    assert await clock.do_everything()
    assert not await clock.do_everything()
    assert await due(bench) == []


async def test_what_a_later_action_wants_as_well_is_asked_for_when_it_was_refused_earlier(
    bench: Bench,
) -> None:
    """Terminate creates no request at WEB at first, because the request of Rest switches everything
    off. After the platform has rejected that request, Terminate needs a request of its own.
    """
    await bench.become(viewer("S1"))
    await bench.perform(ADD_STREAM, "S1")
    await bench.accept_all("SAT")
    await bench.accept_all("WEB")
    await bench.perform(Rest(Instant(bench.clock.now + 3_600 * SECOND)), "S1")
    done = await bench.perform(Terminate(), "S1")
    (handed,) = await bench.claim("WEB")
    await bench.answer(handed, status=REJECTED)
    (again,) = await bench.claim("WEB")

    assert [(r.type, r.action) for r in again.requests] == [
        (RequestType.DEACTIVATE_SERVICE, done.action.id)
    ]
    await bench.accept(again)
    await bench.accept_all("SAT")
    assert await bench.sync_state("S1", "WEB") is SyncState.IN_SYNC
    assert (await bench.action(done.action.id)).state is ActionState.SETTLED


async def _accept_at_once(bench: Bench, handed: Handed) -> None:
    token = bench.token(handed)
    answers = [
        Response(request=r.number, lease_token=token, status=ACCEPTED) for r in handed.requests
    ]
    await bench.respond("SAT", *answers)


async def _with_large_requests(
    bench: Bench, *, services: int = 240, term_end: Instant | None = None
) -> None:
    """Creates S1 with BASIC and many services. The request for each service takes 4 KiB."""
    codes = [f"P{n}" for n in range(services)]
    many = tuple([Service(code=code, provider_service_id=code) for code in codes])
    wider = replace(SATELLITE, services=(*SATELLITE.services, *many))
    await bench.store.do(UpdateProvider(provider=wider, etag=None))
    large = replace(card("1"), parameters=LARGE)
    await bench.become(replace(viewer("S1"), items=(large,)))
    for start in range(0, services, 50):
        selected = [
            Selection(provider="SAT", distributor="MAIN", service=code, term_end=term_end)
            for code in codes[start : start + 50]
        ]
        await bench.perform(AddServices(tuple(selected)), "S1")
