from __future__ import annotations

import pytest
from msgspec.structs import replace

from generic_provider_server.commands.claim import Claim, Demand, Handed
from generic_provider_server.commands.end_leases import end_of_other_servers
from generic_provider_server.commands.providers import UpdateProvider
from generic_provider_server.domain.actions import AddServices
from generic_provider_server.domain.subscription.request_records import WaitingFor
from generic_provider_server.domain.values import SECOND, DeliverySettings, RequestState
from generic_provider_server.domain.verdicts import ResponseCode, ResponseStatus
from support.bench import Bench
from support.examples import ADD_SPORT, ADD_STREAM, NEWS, SATELLITE, SPORT, viewer


@pytest.fixture
async def lease(bench: Bench) -> Handed:
    """Hands over one request of S1, on a lease of 30 s."""
    await bench.become(viewer("S1"))
    (handed,) = await bench.claim("SAT", lease=30)
    return handed


async def test_a_lease_lives_for_its_duration(bench: Bench, lease: Handed) -> None:
    await bench.pass_time(29)
    assert await bench.claim("SAT") == ()
    assert (await bench.answer(lease)).code is ResponseCode.APPLIED


async def test_a_lease_that_ran_out_is_handed_over_again(bench: Bench, lease: Handed) -> None:
    await bench.pass_time(30)
    (again,) = await bench.claim("SAT", stream="another")

    assert again.attempt == 2
    assert again.requests[0].number == lease.requests[0].number
    assert (await bench.answer(lease)).code is ResponseCode.STALE
    assert (await bench.answer(again)).code is ResponseCode.APPLIED


async def test_an_answer_after_the_lease_ran_out_is_stale_even_if_nobody_looked(
    bench: Bench, lease: Handed
) -> None:
    bench.clock.advance(30)

    assert (await bench.answer(lease)).code is ResponseCode.STALE
    assert (await bench.request(lease.requests[0].number)).attempts == 1


async def test_an_extension_counts_from_now(bench: Bench, lease: Handed) -> None:
    await bench.pass_time(20)
    state = await bench.extend(lease.lane.lease)
    assert (state.live, state.remaining // SECOND) == (True, 30)

    await bench.pass_time(20)
    assert (await bench.answer(lease)).code is ResponseCode.APPLIED


async def test_an_extension_never_shortens_a_lease(bench: Bench, lease: Handed) -> None:
    await bench.extend(lease.lane.lease, seconds=1)
    await bench.pass_time(20)

    assert (await bench.answer(lease)).code is ResponseCode.APPLIED


async def test_a_lease_is_extended_up_to_its_provider_s_limit_in_all(
    bench: Bench, lease: Handed
) -> None:
    state = await bench.extend(lease.lane.lease, seconds=7_200)
    assert state.remaining <= 3_600 * SECOND

    await bench.pass_time(3_600)
    assert not (await bench.extend(lease.lane.lease)).live
    assert len(await bench.claim("SAT")) == 1


async def test_a_release_gives_everything_back_and_counts_no_attempt(
    bench: Bench, lease: Handed
) -> None:
    assert (await bench.release(lease.lane.lease)).live
    assert not (await bench.release(lease.lane.lease)).live
    (again,) = await bench.claim("SAT")

    assert again.attempt == 1
    assert (await bench.answer(lease)).code is ResponseCode.STALE


async def test_a_token_of_a_finished_lease_ends_no_later_one(bench: Bench, lease: Handed) -> None:
    await bench.accept(lease)
    await bench.perform(ADD_SPORT, "S1")
    (later,) = await bench.claim("SAT")

    assert not (await bench.release(lease.lane.lease)).live
    assert not (await bench.extend(lease.lane.lease)).live
    assert (await bench.answer(later)).code is ResponseCode.APPLIED


async def test_a_stream_that_breaks_ends_its_leases_only(bench: Bench, lease: Handed) -> None:
    await bench.become(viewer("S2"))
    (other,) = await bench.claim("SAT", stream="another")
    assert await bench.break_stream("SAT", "stream") == 1
    (again,) = await bench.claim("SAT")

    assert again.attempt == 2
    assert (await bench.answer(lease)).code is ResponseCode.STALE
    assert (await bench.answer(other)).code is ResponseCode.APPLIED


async def test_leases_of_a_killed_server_end_and_those_of_a_pull_live_on(
    bench: Bench, lease: Handed
) -> None:
    await bench.perform(ADD_STREAM, "S1")
    demand = Demand(stream="", adapter="polling", credit=lambda _: 1, lease_duration=30 * SECOND)
    pull = Claim(provider="WEB", server=bench.store.server, demands=(demand,))
    ((pulled,),) = await bench.store.do(pull)

    await bench.store.do(end_of_other_servers("the next one"))

    assert (await bench.answer(lease)).code is ResponseCode.STALE
    assert (await bench.answer(pulled)).code is ResponseCode.APPLIED


async def test_failed_attempts_wait_longer_and_longer(bench: Bench) -> None:
    settings = DeliverySettings(max_delivery_attempts=0)
    patient = replace(SATELLITE, delivery_settings=settings)
    await bench.store.do(UpdateProvider(provider=patient, etag=None))
    await bench.become(viewer("S1"))
    for wait in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
        await bench.claim("SAT")
        await bench.break_stream("SAT", "stream")
        await bench.pass_time(wait * 0.8 - 0.1)
        assert wait == 0 or await bench.claim("SAT") == ()
        await bench.pass_time(wait * 0.4 + 0.2)


async def test_only_the_first_unanswered_request_counts_the_attempt(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(ADD_SPORT, "S1")
    (first,) = await bench.claim("SAT")
    await bench.accept(first)
    (second,) = await bench.claim("SAT")
    await bench.break_stream("SAT", "stream")

    assert (await bench.request(first.requests[0].number)).attempts == 1
    assert (await bench.request(second.requests[0].number)).attempts == 1


async def test_a_lease_that_ends_with_the_last_attempt_rejects_its_first_request(
    bench: Bench, lease: Handed
) -> None:
    for _ in range(3):
        await bench.pass_time(32)
        await bench.pass_time(2)
        await bench.claim("SAT")
    request = await bench.request(lease.requests[0].number)

    assert (request.state, request.attempts) == (RequestState.REJECTED, 3)
    assert (await bench.answer(lease)).code is ResponseCode.STALE


async def test_expiry_takes_all_that_is_pending(bench: Bench, lease: Handed) -> None:
    later = await bench.perform(ADD_SPORT, "S1")
    await bench.release(lease.lane.lease)
    await bench.pass_time(7 * 86_400)
    states = [
        (await bench.request(n)).state for n in (lease.requests[0].number, *later.action.requests)
    ]

    assert states == [RequestState.EXPIRED] * 2
    assert (await bench.answer(lease)).code is ResponseCode.STALE


async def test_expiry_spares_what_is_on_a_lease(bench: Bench, lease: Handed) -> None:
    await bench.release(lease.lane.lease)
    bench.clock.advance(7 * 86_400 - 1)
    (again,) = await bench.claim("SAT")
    await bench.pass_time(2)
    assert (await bench.answer(again)).code is ResponseCode.APPLIED


async def test_a_request_that_was_given_back_tells_which_adapter_had_it_last(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    done = await bench.perform(AddServices((SPORT, NEWS)), "S1")
    (released,) = await bench.claim("SAT", stream="one")
    await bench.release(released.lane.lease)
    assert {(await bench.request(n)).last_adapter for n in done.action.requests} == {
        "adapter of one"
    }

    (later,) = await bench.claim("SAT", stream="two")
    await bench.answer(later, status=ResponseStatus.RETRY_LATER, retry_delay=0)
    requests = [await bench.request(n) for n in done.action.requests]
    assert [each.last_adapter for each in requests] == ["adapter of two"] * 2
    assert [each.last_delivery_time for each in requests] == [later.lane.lease_start] * 2


async def test_a_leased_request_waits_for_its_answer(bench: Bench, lease: Handed) -> None:
    request = await bench.request(lease.requests[0].number)

    assert request.waiting_for is WaitingFor.ANSWER
    assert request.attempts == 1
    assert request.last_adapter == "adapter of stream"
    await bench.answer(lease, status=ResponseStatus.RETRY_LATER, retry_delay=0)
    request = await bench.request(lease.requests[0].number)
    assert request.waiting_for is WaitingFor.ADAPTER
