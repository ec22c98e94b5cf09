from __future__ import annotations

import pytest

from generic_provider_server.commands.answers import Response
from generic_provider_server.commands.cancel_or_resolve import CancelRequest
from generic_provider_server.commands.claim import Handed
from generic_provider_server.commands.live_leases import Release, Withdraw
from generic_provider_server.domain.actions import AddServices, RemoveServices, Selection
from generic_provider_server.domain.refusals import Reason
from generic_provider_server.domain.subscription.records import ActionState
from generic_provider_server.domain.subscription.request_records import WaitingFor
from generic_provider_server.domain.values import (
    RequestOrigin,
    RequestState,
    RequestType,
    SyncState,
)
from generic_provider_server.domain.verdicts import ResponseCode, ResponseStatus
from support.bench import Bench
from support.examples import ADD_SPORT, NEWS, REMOVE_SPORT, SPORT, viewer

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


async def services_on(bench: Bench, subscription: str = "S1") -> list[str]:
    desired = (await bench.subscription(subscription)).aggregate.desired
    return sorted(service.service for service in desired.services if service.on)


async def test_an_acceptance_completes_the_request(bench: Bench, lease: Handed) -> None:
    verdict = await bench.answer(lease)
    request = await bench.request(lease.requests[0].number)

    assert (verdict.code, verdict.state) == (ResponseCode.APPLIED, RequestState.COMPLETED)
    assert request.state is RequestState.COMPLETED
    assert (request.attempts, request.last_adapter) == (1, "adapter of stream")
    assert request.settle_time is not None


async def test_the_account_number_is_kept_from_then_on(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    (handed,) = await bench.claim("SAT")
    await bench.answer(handed, account_number="A-77")
    await bench.perform(ADD_SPORT, "S1")
    (handed,) = await bench.claim("SAT")

    assert handed.account_number == "A-77"
    assert handed.requests[0].account_number == "A-77"


async def test_the_last_acceptance_ends_the_lease(bench: Bench, lease: Handed) -> None:
    await bench.accept(lease)

    assert not (await bench.extend(lease.lane.lease)).live
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC


@pytest.mark.parametrize(
    ("first", "repeated", "code"),
    [
        (ACCEPTED, ACCEPTED, ResponseCode.DUPLICATE),
        (ACCEPTED, REJECTED, ResponseCode.CONFLICT),
        (ACCEPTED, RETRY_LATER, ResponseCode.CONFLICT),
        (REJECTED, REJECTED, ResponseCode.DUPLICATE),
        (REJECTED, ACCEPTED, ResponseCode.STALE),
        (REJECTED, RETRY_LATER, ResponseCode.STALE),
        (RETRY_LATER, RETRY_LATER, ResponseCode.STALE),
        (RETRY_LATER, REJECTED, ResponseCode.STALE),
    ],
)
async def test_a_second_answer_changes_no_outcome(
    bench: Bench,
    lease: Handed,
    first: ResponseStatus,
    repeated: ResponseStatus,
    code: ResponseCode,
) -> None:
    await bench.answer(lease, status=first)
    before = await bench.request(lease.requests[0].number)
    verdict = await bench.answer(lease, status=repeated)

    assert (verdict.code, verdict.state) == (code, before.state)
    assert await bench.request(lease.requests[0].number) == before


async def test_the_repetition_of_an_answer_changes_nothing(bench: Bench, lease: Handed) -> None:
    for status in (ACCEPTED, REJECTED):
        await bench.answer(lease, 0 if status is ACCEPTED else 1, status)
        before = await bench.subscription("S1")
        await bench.answer(lease, 0 if status is ACCEPTED else 1, status)
        assert await bench.subscription("S1") == before


async def test_an_answer_out_of_order_changes_nothing(bench: Bench, lease: Handed) -> None:
    before = await bench.subscription("S1")
    verdict = await bench.answer(lease, 1)

    assert (verdict.code, verdict.state) == (ResponseCode.OUT_OF_ORDER, RequestState.PENDING)
    assert await bench.subscription("S1") == before


async def test_answers_of_one_call_are_judged_in_their_order(bench: Bench, lease: Handed) -> None:
    answers = [
        Response(request=r.number, lease_token=bench.token(lease), status=ACCEPTED)
        for r in lease.requests
    ]
    verdicts = await bench.respond("SAT", *answers, *answers)

    assert [v.code for v in verdicts] == [ResponseCode.APPLIED] * 2 + [ResponseCode.DUPLICATE] * 2


async def test_a_token_of_another_lease_is_invalid(bench: Bench, lease: Handed) -> None:
    await bench.become(viewer("S2"))
    (other,) = await bench.claim("SAT")
    number = lease.requests[0].number
    for token in (bench.token(other), bench.token(lease)[:-2], "", "nonsense", "ä"):
        response = Response(request=number, lease_token=token, status=ACCEPTED)
        (verdict,) = await bench.respond("SAT", response)
        assert (verdict.code, verdict.state) == (ResponseCode.INVALID, RequestState.PENDING)


async def test_a_token_of_an_earlier_unit_is_invalid(bench: Bench, lease: Handed) -> None:
    token = bench.token(lease)
    await bench.accept(lease)
    await bench.perform(REMOVE_SPORT, "S1")
    (later,) = await bench.claim("SAT")
    response = Response(request=later.requests[0].number, lease_token=token, status=ACCEPTED)
    (verdict,) = await bench.respond("SAT", response)

    assert verdict.code is ResponseCode.INVALID


async def test_a_request_of_another_provider_is_not_found(bench: Bench, lease: Handed) -> None:
    response = Response(
        request=lease.requests[0].number, lease_token=bench.token(lease), status=ACCEPTED
    )
    unknown = Response(request=999, lease_token=bench.token(lease), status=ACCEPTED)
    (verdict,) = await bench.respond("WEB", response)
    assert (verdict.code, verdict.state) == (ResponseCode.NOT_FOUND, None)

    (verdict,) = await bench.respond("SAT", unknown)
    assert (verdict.code, verdict.state) == (ResponseCode.NOT_FOUND, None)


async def test_a_rejection_takes_its_part_of_the_action_back(bench: Bench, lease: Handed) -> None:
    verdict = await bench.answer(lease, status=REJECTED, error_code="E42")
    assert (verdict.code, verdict.state) == (ResponseCode.APPLIED, RequestState.REJECTED)
    assert await services_on(bench) == ["BASIC", "NEWS"]
    action = await bench.action(lease.requests[0].action)
    assert action.error is not None
    assert (action.error.reason, action.error.error_code) == (Reason.REJECTED_BY_PLATFORM, "E42")
    assert len(action.taken_back) == 1

    await bench.accept_all("SAT")
    action = await bench.action(lease.requests[0].action)
    assert action.state is ActionState.PARTLY_REJECTED
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC


async def test_a_rejection_ends_its_lease(bench: Bench, lease: Handed) -> None:
    await bench.answer(lease, status=REJECTED)
    verdict = await bench.answer(lease, 1)
    assert verdict.code is ResponseCode.STALE

    assert not (await bench.extend(lease.lane.lease)).live


async def test_an_action_of_which_all_is_rejected_did_not_happen(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    done = await bench.perform(ADD_SPORT, "S1")
    (lease,) = await bench.claim("SAT")
    await bench.answer(lease, status=REJECTED)

    assert (await bench.action(done.action.id)).state is ActionState.REJECTED
    assert await services_on(bench) == ["BASIC"]


async def test_a_later_action_that_depends_on_a_rejected_one_is_rejected(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    await bench.perform(ADD_SPORT, "S1")
    later = await bench.perform(REMOVE_SPORT, "S1")
    (lease,) = await bench.claim("SAT")
    await bench.answer(lease, status=REJECTED)

    action = await bench.action(later.action.id)
    assert action.state is ActionState.REJECTED
    assert action.error is not None
    assert action.error.reason is Reason.DEPENDS_ON_REJECTED
    assert (await bench.request(later.action.requests[0])).state is RequestState.CANCELLED
    assert await bench.claim("SAT") == ()


async def test_the_rejection_of_a_correction_stays_out_of_sync(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    await bench.cancelled_in_hand(ADD_SPORT, "S1")
    (correction,) = await bench.claim("SAT")
    assert correction.requests[0].origin is RequestOrigin.ROLLBACK
    assert correction.requests[0].type is RequestType.DEACTIVATE_SERVICE
    await bench.answer(correction, status=REJECTED, error_code="E1")

    link = (await bench.subscription("S1")).aggregate.link("SAT")
    assert link is not None
    assert link.sync_state is SyncState.OUT_OF_SYNC
    assert link.last_error is not None
    assert link.last_error.error_code == "E1"
    assert await services_on(bench) == ["BASIC"]
    assert await bench.claim("SAT") == ()


async def test_a_retry_waits_for_the_delay_asked_for(bench: Bench, lease: Handed) -> None:
    verdict = await bench.answer(
        lease, status=RETRY_LATER, retry_delay=60_000_000, error_code="BUSY"
    )
    assert (verdict.code, verdict.state) == (ResponseCode.APPLIED, RequestState.PENDING)
    request = await bench.request(lease.requests[0].number)
    assert (request.attempts, request.error_code) == (1, "BUSY")
    assert request.waiting_for is WaitingFor.RETRY
    assert request.next_delivery_time is not None

    await bench.pass_time(59)
    assert await bench.claim("SAT") == ()
    await bench.pass_time(2)
    (again,) = await bench.claim("SAT")
    assert again.attempt == 2
    assert [r.number for r in again.requests] == [r.number for r in lease.requests]


async def test_the_attempts_of_a_request_are_limited(bench: Bench, lease: Handed) -> None:
    for attempt in (1, 2):
        assert lease.attempt == attempt
        await bench.answer(lease, status=RETRY_LATER, retry_delay=0)
        (lease,) = await bench.claim("SAT")
    verdict = await bench.answer(lease, status=RETRY_LATER, retry_delay=0)
    assert verdict.state is RequestState.REJECTED

    number = lease.requests[0].number
    request = await bench.request(number)
    assert request.state is RequestState.REJECTED
    assert request.error_code == Reason.DELIVERY_ATTEMPTS_EXHAUSTED.value
    assert request.attempts == 3
    assert number in [r.number for r in await bench.requests() if r.state is RequestState.REJECTED]
    corrections = [r for r in await bench.requests() if r.origin is RequestOrigin.ROLLBACK]
    assert [r.type for r in corrections] == [RequestType.DEACTIVATE_SERVICE]


async def test_what_follows_a_retry_on_its_lease_may_have_been_done(
    bench: Bench, lease: Handed
) -> None:
    await bench.answer(lease, status=RETRY_LATER, retry_delay=0)
    await bench.store.do(CancelRequest(request=lease.requests[1].number, reason="stuck"))
    corrections = [r for r in await bench.requests() if r.origin is RequestOrigin.ROLLBACK]

    assert [r.type for r in corrections] == [RequestType.DEACTIVATE_SERVICE]


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("then", ["nothing", "a narrower lease", "a lease that was not sent"])
async def test_a_late_acceptance_counts_what_a_rejection_took_from_its_lease(
    bench: Bench, lease: Handed, then: str, *, cancelled: bool
) -> None:
    twin = Selection(provider="SAT", distributor="TWIN", service="BASIC")
    await bench.release(lease.lane.lease)
    await bench.perform(AddServices((twin,)), "S1")
    await bench.accept_all("SAT")
    await bench.perform(RemoveServices((twin, SPORT, NEWS)), "S1")
    (off,) = await bench.claim("SAT")
    assert off.requests[2].request.service == lease.requests[0].request.service
    await bench.answer(off, status=REJECTED)
    if then != "nothing":
        (narrower,) = await bench.claim("SAT", credit=1)
        end = Release if then == "a narrower lease" else Withdraw
        await bench.store.do(end(leases=(narrower.lane.lease,)))
    if cancelled:
        await bench.store.do(CancelRequest(request=off.requests[2].number, reason="stuck"))
        assert (await bench.request(off.requests[2].number)).last_adapter == "adapter of stream"

    await bench.answer(lease)

    confirmed = await bench.confirmed("S1", "SAT")
    assert [e.service for e in confirmed.entitlements if not e.certain] == ["SPORT"]
