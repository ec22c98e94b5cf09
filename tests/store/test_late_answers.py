from __future__ import annotations

import pytest

from generic_provider_server.commands.cancel_or_resolve import CancelRequest
from generic_provider_server.commands.claim import Handed
from generic_provider_server.domain.actions import AddServices, SwapService
from generic_provider_server.domain.values import (
    SECOND,
    RequestState,
    RequestType,
    SyncState,
)
from generic_provider_server.domain.verdicts import ResponseCode, ResponseStatus
from support.bench import Bench
from support.examples import (
    ADD_SPORT,
    ADD_STREAM,
    NEWS,
    REMOVE_SPORT,
    SATELLITE,
    SPORT,
    viewer,
)

ACCEPTED, REJECTED, RETRY_LATER = ResponseStatus


@pytest.fixture
async def lease(bench: Bench) -> Handed:
    """Hands over two requests of one action for S1 at SAT. The platform knows S1."""
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    await bench.perform(AddServices((SPORT, NEWS)), "S1")
    (handed,) = await bench.claim("SAT")
    assert len(handed.requests) == 2
    return handed


async def test_a_late_acceptance_of_a_pending_request_makes_it_uncertain(
    bench: Bench, lease: Handed
) -> None:
    await bench.release(lease.lane.lease)
    verdict = await bench.answer(lease)
    assert (verdict.code, verdict.state) == (ResponseCode.STALE, RequestState.PENDING)
    assert not all(e.certain for e in (await bench.confirmed("S1", "SAT")).entitlements)

    await bench.accept_all("SAT")
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC


async def test_a_late_acceptance_of_a_cancelled_request_is_corrected(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    done = await bench.perform(ADD_SPORT, "S1")
    (late,) = await bench.claim("SAT")
    await bench.release(late.lane.lease)
    await bench.store.do(CancelRequest(request=done.requests[0].number, reason="wrong"))
    await bench.accept_all("SAT")
    verdict = await bench.answer(late)
    assert (verdict.code, verdict.state) == (ResponseCode.STALE, RequestState.REJECTED)
    before = await bench.subscription("S1")
    await bench.answer(late)
    assert await bench.subscription("S1") == before

    (correction,) = await bench.claim("SAT")
    assert [r.type for r in correction.requests] == [RequestType.DEACTIVATE_SERVICE]
    await bench.accept(correction)
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC


async def test_an_acceptance_after_a_rejection_on_its_lease_is_not_believed(
    bench: Bench,
) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    swap = SwapService(provider="SAT", distributor="MAIN", old_service="BASIC", new_service="SPORT")
    await bench.perform(swap, "S1")
    (lease,) = await bench.claim("SAT")
    await bench.answer(lease, 0, REJECTED)
    assert (await bench.request(lease.requests[1].number)).state is RequestState.CANCELLED
    verdict = await bench.answer(lease, 1)
    assert (verdict.code, verdict.state) == (ResponseCode.STALE, RequestState.CANCELLED)
    assert await bench.sync_state("S1", "SAT") is SyncState.PENDING

    await bench.accept_all("SAT")
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC


async def test_a_late_acceptance_of_what_was_accepted_since_changes_nothing(
    bench: Bench, lease: Handed
) -> None:
    await bench.release(lease.lane.lease)
    await bench.accept_all("SAT")
    before = await bench.subscription("S1")
    verdict = await bench.answer(lease)

    assert verdict.code is ResponseCode.DUPLICATE
    assert await bench.subscription("S1") == before


async def test_a_late_acceptance_of_what_was_changed_since_makes_it_uncertain(
    bench: Bench,
) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(ADD_STREAM, "S1")
    await bench.accept_all("SAT")
    await bench.perform(ADD_SPORT, "S1")
    (late,) = await bench.claim("SAT")
    await bench.release(late.lane.lease)
    await bench.accept_all("SAT")
    await bench.perform(REMOVE_SPORT, "S1")
    await bench.accept_all("SAT")
    verdict = await bench.answer(late)

    assert verdict.code is ResponseCode.DUPLICATE
    assert await bench.sync_state("S1", "SAT") is SyncState.OUT_OF_SYNC


@pytest.mark.parametrize("live", [False, True])
async def test_an_answer_after_the_pending_window_finds_the_request_expired(
    bench: Bench, lease: Handed, *, live: bool
) -> None:
    await bench.release(lease.lane.lease)
    bench.clock.advance(SATELLITE.delivery_settings.pending_window / SECOND - 10)
    (again,) = await bench.claim("SAT")
    if not live:
        await bench.release(again.lane.lease)
    bench.clock.advance(20)
    verdict = await bench.answer(again, status=RETRY_LATER if live else ACCEPTED)

    code = ResponseCode.APPLIED if live else ResponseCode.STALE
    assert (verdict.code, verdict.state) == (code, RequestState.EXPIRED)
    assert {(await bench.request(r.number)).state for r in lease.requests} == {RequestState.EXPIRED}


async def test_a_last_attempt_after_the_pending_window_is_a_rejection(
    bench: Bench, lease: Handed
) -> None:
    """The other request of the lane expires."""
    attempts = SATELLITE.delivery_settings.max_delivery_attempts
    for _ in range(attempts - 1):
        await bench.answer(lease, status=RETRY_LATER, retry_delay=0)
        (lease,) = await bench.claim("SAT")
    await bench.release(lease.lane.lease)
    bench.clock.advance(SATELLITE.delivery_settings.pending_window / SECOND - 10)
    (lease,) = await bench.claim("SAT")
    bench.clock.advance(20)
    verdict = await bench.answer(lease, status=RETRY_LATER)

    states = [(await bench.request(each.number)).state for each in lease.requests]
    assert verdict.state is states[0] is RequestState.REJECTED
    assert states[1] is RequestState.EXPIRED
