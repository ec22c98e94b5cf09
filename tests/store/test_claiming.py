from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from generic_provider_server.commands import claim
from generic_provider_server.commands.claim import MOST_BULK_AT_ONCE, Demand, Handed
from generic_provider_server.domain.actions import AddServices
from generic_provider_server.domain.archive import DAY
from generic_provider_server.domain.subscription.request_records import WaitingFor
from generic_provider_server.domain.values import SECOND, RequestState, RequestType
from generic_provider_server.domain.verdicts import ResponseStatus
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.store.opening import open_store
from support.bench import PATIENT, Bench, HandClock, stream_at
from support.examples import ADD_SPORT, ADD_STREAM, NEWS, SATELLITE, SPORT, viewer


def demand(stream: str, credit: int, *, include_target: bool = False) -> Demand:
    return Demand(
        stream=stream,
        adapter="adapter",
        credit=lambda _: credit,
        lease_duration=30 * SECOND,
        include_target=include_target,
    )


def subscriptions(handed: tuple[Handed, ...]) -> list[str]:
    return [lease.lane.subscription for lease in handed]


async def test_the_oldest_comes_first_whatever_its_number(bench: Bench) -> None:
    for number in ("S3", "S1", "S2"):
        await bench.become(viewer(number))

    assert subscriptions(await bench.claim("SAT")) == ["S3", "S1", "S2"]


async def test_what_is_overdue_is_not_handed_over_and_holds_nothing_up(bench: Bench) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    bench.clock.advance(SATELLITE.delivery_settings.pending_window / SECOND)
    await bench.become(viewer("S3"))
    stream = stream_at(bench.store.server, credit=1)
    delivery = Delivery(bench.store)
    with delivery.stream(stream):
        handed = await asyncio.wait_for(stream.events.get(), 20)
    await delivery.drain("the test is over")

    assert isinstance(handed, tuple)
    assert subscriptions(handed) == ["S3"]
    found = [(each.subscription, each.state) for each in await bench.requests()]
    assert found[:2] == [("S1", RequestState.EXPIRED), ("S2", RequestState.EXPIRED)]


async def test_a_delay_that_ended_holds_nothing_up_after_a_start_with_a_clock_behind(
    bench: Bench, url: str
) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    first, _ = await bench.claim("SAT")
    await bench.break_stream("SAT", "stream")
    assert subscriptions(await bench.claim("SAT", credit=1)) == ["S1"]
    await bench.break_stream("SAT", "stream")
    await bench.pass_time(10)
    await bench.store.close()
    clock = HandClock()
    clock.advance(-3_600)
    later = Bench(open_store(url, clock=clock, waits=PATIENT), clock)

    waiting = await later.request(first.requests[0].number)
    handed = [await later.claim("SAT", credit=1) for _ in range(2)]
    await later.store.close()
    assert waiting.waiting_for is WaitingFor.ADAPTER
    assert [subscriptions(each) for each in handed] == [["S1"], ["S2"]]


async def test_a_request_that_was_delayed_by_a_clock_far_ahead_is_handed_over_again(
    bench: Bench, url: str
) -> None:
    bench.clock.advance(3_650 * DAY / SECOND)
    await bench.become(viewer("S1"))
    (lease,) = await bench.claim("SAT")
    await bench.answer(lease, status=ResponseStatus.RETRY_LATER, retry_delay=SECOND)
    await bench.store.close()
    clock = HandClock()
    later = Bench(open_store(url, clock=clock, waits=PATIENT), clock)
    await later.become(viewer("S2"))
    (lease,) = await later.claim("SAT")
    await later.answer(lease, status=ResponseStatus.RETRY_LATER, retry_delay=DAY)
    await later.pass_time(1)

    handed = await later.claim("SAT")
    await later.store.close()
    assert subscriptions(handed) == ["S1"]


async def test_what_was_given_back_keeps_its_age(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    (lease,) = await bench.claim("SAT")
    await bench.become(viewer("S2"))
    await bench.release(lease.lane.lease)

    assert subscriptions(await bench.claim("SAT")) == ["S1", "S2"]


async def test_what_live_and_bulk_lanes_hold_comes_four_to_one(bench: Bench) -> None:
    for n in range(3):
        await bench.become(viewer(f"B{n}"), bulk=True)
    for n in range(9):
        await bench.become(viewer(f"L{n}"))
    handed = await bench.claim("SAT")

    expected = ["L0", "L1", "L2", "L3", "B0", "L4", "L5", "L6", "L7", "B1", "L8", "B2"]
    assert subscriptions(handed) == expected


async def test_single_claims_take_turns_too(bench: Bench) -> None:
    for n in range(2):
        await bench.become(viewer(f"B{n}"), bulk=True)
    for n in range(8):
        await bench.become(viewer(f"L{n}"))
    order = []
    for turn in range(10):
        ((handed,),) = await bench.claims("SAT", demand("stream", 1), turn=turn)
        order.append(handed.lane.subscription)

    assert order == ["L0", "L1", "L2", "L3", "B0", "L4", "L5", "L6", "L7", "B1"]


async def test_a_live_action_moves_its_subscription_to_the_live_lane(bench: Bench) -> None:
    for number in ("B0", "B1"):
        await bench.become(viewer(number), bulk=True)
    await bench.become(viewer("L0"))
    await bench.perform(ADD_SPORT, "B1")
    handed = await bench.claim("SAT")

    assert subscriptions(handed) == ["B1", "L0", "B0"]
    assert [r.type for r in handed[0].requests] == [RequestType.BECOME_SUBSCRIBER]


async def test_only_the_first_unit_is_handed_over(bench: Bench) -> None:
    first = await bench.become(viewer("S1"))
    second = await bench.perform(ADD_SPORT, "S1")
    (lease,) = await bench.claim("SAT")
    assert [r.number for r in lease.requests] == list(first.action.requests)

    await bench.accept(lease)
    (lease,) = await bench.claim("SAT")
    assert [r.number for r in lease.requests] == list(second.action.requests)


async def test_no_more_is_handed_over_than_there_is_credit(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    done = await bench.perform(AddServices((SPORT, NEWS)), "S1")
    await bench.become(viewer("S2"))
    (lease,) = await bench.claim("SAT", credit=1)
    assert [r.number for r in lease.requests] == [done.requests[0].number]

    await bench.accept(lease)
    rest = await bench.claim("SAT", credit=2)
    assert [len(lease.requests) for lease in rest] == [1, 1]
    assert await bench.claim("SAT", credit=0) == ()


async def test_every_demand_gets_no_more_than_its_credit(bench: Bench) -> None:
    for n in range(5):
        await bench.become(viewer(f"S{n}"))
    first, second, third = await bench.claims(
        "SAT", demand("one", 2), demand("two", 1), demand("three", 10)
    )

    assert subscriptions(first) == ["S0", "S1"]
    assert subscriptions(second) == ["S2"]
    assert subscriptions(third) == ["S3", "S4"]


async def test_one_stream_gets_at_most_500_requests_at_once(bench: Bench) -> None:
    await asyncio.gather(*[bench.become(viewer(f"S{n:03}")) for n in range(502)])

    assert len(await bench.claim("SAT", credit=10_000)) == 500
    assert len(await bench.claim("SAT", credit=10_000)) == 2


async def test_many_streams_share_a_limited_number_of_lanes_in_one_claim(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "MOST_LIVE_AT_ONCE", 2)
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    streams = [stream_at(bench.store.server, credit=1) for _ in range(3)]
    delivery, sizes = Delivery(bench.store), list[int]()
    bench.store.listeners.committed.append(lambda notice: sizes.append(-sum(notice.freed.values())))
    with ExitStack() as connected:
        for stream in streams:
            connected.enter_context(delivery.stream(stream))
        events = [await asyncio.wait_for(stream.events.get(), 20) for stream in streams]
        taken = list(filter(None, sizes))
    await delivery.drain("the test is over")

    assert sorted(subscriptions(event)[0] for event in events if isinstance(event, tuple)) == [
        "S1",
        "S2",
        "S3",
    ]
    assert taken == [2, 1]


async def test_a_claim_takes_few_bulk_subscriptions_and_the_next_one_the_others(
    bench: Bench,
) -> None:
    count = MOST_BULK_AT_ONCE + 1
    await asyncio.gather(*[bench.perform(viewer(f"S{n}"), bulk=True) for n in range(count)])

    assert len(await bench.claim("SAT", credit=10_000)) == MOST_BULK_AT_ONCE
    assert len(await bench.claim("SAT", credit=10_000)) == 1


async def test_a_subscription_is_on_one_lease_at_a_provider(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(ADD_SPORT, "S1")
    assert len(await bench.claim("SAT")) == 1

    assert await bench.claim("SAT", stream="another") == ()


async def test_providers_do_not_wait_for_each_other(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(ADD_STREAM, "S1")

    assert subscriptions(await bench.claim("SAT")) == ["S1"]
    assert subscriptions(await bench.claim("WEB")) == ["S1"]


async def test_a_provider_that_is_not_effective_hands_nothing_over(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.stop_provider("SAT")
    assert await bench.claim("SAT") == ()

    await bench.start_provider("SAT")
    assert subscriptions(await bench.claim("SAT")) == ["S1"]


async def test_a_live_lease_is_answered_while_its_provider_is_not_effective(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    (lease,) = await bench.claim("SAT")
    await bench.stop_provider("SAT")
    await bench.accept(lease)

    assert (await bench.store.read(lambda queries: queries.backlog("SAT"))).pending == 0


async def test_the_target_is_what_the_platform_holds_once_the_lease_is_done(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(ADD_SPORT, "S1")
    ((lease,),) = await bench.claims("SAT", demand("stream", 10, include_target=True))

    assert lease.target is not None
    assert [e.service for e in lease.target.entitlements] == ["BASIC"]
    await bench.accept(lease)
    ((lease,),) = await bench.claims("SAT", demand("stream", 10, include_target=True))
    assert lease.target is not None
    assert sorted(e.service for e in lease.target.entitlements) == ["BASIC", "SPORT"]
