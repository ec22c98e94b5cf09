from __future__ import annotations

import pytest
from msgspec.structs import replace

from generic_provider_server.commands.cancel_or_resolve import CancelRequest, ResolveRequest
from generic_provider_server.commands.perform import Done
from generic_provider_server.domain.actions import AddServices
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.subscription.records import ActionState, Who
from generic_provider_server.domain.values import RequestState, RequestType, SyncState
from generic_provider_server.domain.verdicts import ResponseCode
from support.bench import Bench
from support.examples import ADD_NEWS, ADD_SPORT, NEWS, SPORT, viewer

OPERATOR = Who(performed_by="Olev")


@pytest.fixture
async def done(bench: Bench) -> Done:
    """Creates one pending request for S1 at SAT. The platform knows S1."""
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    return await bench.perform(ADD_SPORT, "S1")


def cancel(done: Done, *, end_lease: bool = False) -> CancelRequest:
    number = done.action.requests[0]
    return CancelRequest(request=number, reason="stuck", end_lease=end_lease, who=OPERATOR)


def resolve(done: Done, *, accepted: bool = True, end_lease: bool = False) -> ResolveRequest:
    return ResolveRequest(
        request=done.action.requests[0],
        accepted=accepted,
        reason="looked",
        error_code="" if accepted else "SEEN",
        end_lease=end_lease,
        who=OPERATOR,
    )


async def test_a_cancelled_request_is_rejected_and_its_part_taken_back(
    bench: Bench, done: Done
) -> None:
    request = await bench.store.do(cancel(done))
    assert request.state is RequestState.REJECTED
    assert request.error_code == Reason.CANCELLED_BY_OPERATOR.value
    assert request.error_description == "Olev: stuck"
    assert await bench.request(request.number) == request

    assert (await bench.action(done.action.id)).state is ActionState.REJECTED
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC
    assert await bench.claim("SAT") == ()


async def test_the_request_is_answered_as_it_is_stored_with_its_settled_action_s_reference(
    bench: Bench, done: Done
) -> None:
    await bench.accept_all("SAT")
    done = await bench.perform(ADD_NEWS, "S1", reference="order 7")
    await bench.claim("SAT")

    answered = await bench.store.do(resolve(done, end_lease=True))

    assert answered.reference == "order 7"
    assert answered == await bench.request(answered.number)


async def test_what_was_handed_over_is_corrected_when_it_is_cancelled(
    bench: Bench, done: Done
) -> None:
    (lease,) = await bench.claim("SAT")
    await bench.release(lease.lane.lease)
    await bench.store.do(cancel(done))
    (correction,) = await bench.claim("SAT")

    assert [r.type for r in correction.requests] == [RequestType.DEACTIVATE_SERVICE]


async def test_a_leased_request_is_left_alone_unless_its_lease_may_be_ended(
    bench: Bench, done: Done
) -> None:
    (lease,) = await bench.claim("SAT")
    for command in (cancel(done), resolve(done)):
        with pytest.raises(Refused) as refused:
            await bench.store.do(command)
        assert refused.value.reason is Reason.REQUEST_LEASED

    assert (await bench.answer(lease)).code is ResponseCode.APPLIED


async def test_the_token_dies_with_the_lease_that_an_operator_ends(
    bench: Bench, done: Done
) -> None:
    (lease,) = await bench.claim("SAT")
    await bench.store.do(cancel(done, end_lease=True))

    assert (await bench.answer(lease)).code is ResponseCode.STALE
    assert not (await bench.extend(lease.lane.lease)).live


async def test_a_request_resolved_as_accepted_is_completed_without_doubt(
    bench: Bench, done: Done
) -> None:
    (lease,) = await bench.claim("SAT")
    request = await bench.store.do(resolve(done, end_lease=True))

    assert request.state is RequestState.COMPLETED
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC
    assert (await bench.answer(lease)).code is ResponseCode.DUPLICATE
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC


async def test_a_request_resolved_as_rejected_is_rejected_without_doubt(
    bench: Bench, done: Done
) -> None:
    await bench.claim("SAT")
    request = await bench.store.do(resolve(done, accepted=False, end_lease=True))

    assert (request.state, request.error_code) == (RequestState.REJECTED, "SEEN")
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC
    assert await bench.claim("SAT") == ()


async def test_only_the_first_pending_request_is_resolved(bench: Bench, done: Done) -> None:
    second = await bench.perform(ADD_NEWS, "S1")
    with pytest.raises(Refused) as refused:
        await bench.store.do(resolve(second))

    assert refused.value.reason is Reason.REQUEST_NOT_FIRST
    assert refused.value.metadata["first"] == f"R{done.action.requests[0]:010d}"


async def test_a_refused_resolution_ends_no_lease(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    done = await bench.perform(AddServices((SPORT, NEWS)), "S1")
    (lease,) = await bench.claim("SAT")
    with pytest.raises(Refused) as refused:
        await bench.store.do(
            ResolveRequest(
                request=done.action.requests[1], accepted=True, reason="looked", end_lease=True
            )
        )
    assert refused.value.reason is Reason.REQUEST_NOT_FIRST

    assert (await bench.answer(lease)).code is ResponseCode.APPLIED


@pytest.mark.parametrize("kind", ["CANCEL", "ACCEPT", "REJECT"])
async def test_who_repeats_a_call_whose_answer_was_lost_gets_the_answer(
    bench: Bench, done: Done, kind: str
) -> None:
    call = cancel(done) if kind == "CANCEL" else resolve(done, accepted=kind == "ACCEPT")
    reconnected = replace(call, who=Who(performed_by="Olev", caller="::1:40002"))
    first = await bench.store.do(replace(call, who=Who(performed_by="Olev", caller="::1:40001")))

    assert await bench.store.do(reconnected) == first
    others = [
        replace(call, reason="stuc"),
        replace(call, who=Who(performed_by="Ott")),
        replace(call, who=Who(performed_by="Ol", caller="::1:40002")),
        replace(call, who=Who(caller="::1:40002")),
    ]
    if kind == "ACCEPT":
        others.append(replace(reconnected, account_number="another"))
    for other in others:
        with pytest.raises(Refused) as refused:
            await bench.store.do(other)
        assert refused.value.reason is Reason.REQUEST_NOT_PENDING


async def test_a_request_that_is_not_pending_is_not_cancelled(bench: Bench, done: Done) -> None:
    await bench.accept_all("SAT")
    for command in (cancel(done), resolve(done)):
        with pytest.raises(Refused) as refused:
            await bench.store.do(command)
        assert refused.value.reason is Reason.REQUEST_NOT_PENDING
        assert refused.value.metadata["state"] == "COMPLETED"


async def test_an_unknown_request_is_not_cancelled(bench: Bench) -> None:
    with pytest.raises(Refused) as refused:
        await bench.store.do(CancelRequest(request=99, reason="stuck"))

    assert refused.value.reason is Reason.REQUEST_NOT_FOUND
