from __future__ import annotations

import pytest

from generic_provider_server.commands.reset import ResetDone, ResetSubscription
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.subscription.records import Who
from generic_provider_server.domain.values import (
    RequestOrigin,
    RequestState,
    RequestType,
    SyncState,
)
from generic_provider_server.domain.verdicts import ResponseStatus
from support.bench import Bench
from support.examples import ADD_NEWS, ADD_SPORT, ADD_STREAM, viewer

OLEV = Who(performed_by="Olev")


async def reset(
    bench: Bench,
    subscription: str = "S1",
    *,
    provider: str = "",
    full: bool = False,
    recreate: bool = False,
    validate_only: bool = False,
    request_id: str = "",
) -> ResetDone:
    asked = (subscription, provider, full, recreate)
    command = ResetSubscription(
        subscription=subscription,
        digest=repr(asked).encode(),
        provider=provider,
        full=full,
        recreate=recreate,
        validate_only=validate_only,
        request_id=request_id,
        who=OLEV,
    )
    return await bench.store.do(command)


def types(done: ResetDone) -> list[RequestType]:
    return [request.type for request in done.requests]


@pytest.fixture
async def drifted(bench: Bench) -> Bench:
    """S1 got SPORT while SAT was not effective, so SAT does not have it."""
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    await bench.stop_provider("SAT")
    await bench.perform(ADD_SPORT, "S1")
    await bench.start_provider("SAT")
    return bench


async def test_a_reset_sends_what_the_platform_lacks_and_then_it_is_in_sync(
    drifted: Bench,
) -> None:
    done = await reset(drifted)

    assert types(done) == [RequestType.ACTIVATE_SERVICE]
    (request,) = done.requests
    stored = await drifted.request(request.number)
    assert (stored.origin, stored.performed_by) == (RequestOrigin.RESET, "Olev")
    await drifted.accept_all("SAT")
    assert await drifted.sync_state("S1", "SAT") is SyncState.IN_SYNC


async def test_nothing_is_sent_twice_and_nothing_to_whom_is_in_sync(drifted: Bench) -> None:
    await reset(drifted)
    revision = (await drifted.subscription("S1")).revision
    assert types(await reset(drifted)) == []
    assert (await drifted.subscription("S1")).revision == revision

    await drifted.accept_all("SAT")
    assert types(await reset(drifted)) == []


async def test_a_preview_says_what_would_be_sent_and_changes_nothing(drifted: Bench) -> None:
    before = await drifted.subscription("S1"), await drifted.requests()
    done = await reset(drifted, validate_only=True, request_id="r1")

    assert types(done) == [RequestType.ACTIVATE_SERVICE]
    assert [request.number for request in done.requests] == [0]
    assert (await drifted.subscription("S1"), await drifted.requests()) == before
    assert len((await reset(drifted, request_id="r1")).requests) == 1


async def test_a_full_reset_sends_everything_again_but_once(bench: Bench) -> None:
    await bench.become(viewer("S1", "BASIC", "NEWS"))
    await bench.accept_all("SAT")

    done = await reset(bench, full=True)
    assert types(done) == [
        RequestType.UPDATE_SUBSCRIBER,
        RequestType.ADD_INSTALLED_ITEM,
        RequestType.ACTIVATE_SERVICE,
        RequestType.ACTIVATE_SERVICE,
    ]
    assert types(await reset(bench, full=True)) == []
    await bench.accept_all("SAT")
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC


async def test_recreating_cancels_what_is_pending_and_sends_the_subscriber_once(
    bench: Bench,
) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    pending = (await bench.perform(ADD_NEWS, "S1")).action.requests[0]

    done = await reset(bench, recreate=True)
    assert types(done) == [RequestType.BECOME_SUBSCRIBER]
    assert [each.service for each in done.requests[0].request.services] == ["BASIC", "NEWS"]
    assert (await bench.request(pending)).state is RequestState.CANCELLED
    assert types(await reset(bench, recreate=True)) == []
    await bench.accept_all("SAT")
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC


async def test_what_an_adapter_has_in_work_is_not_recreated(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(ADD_STREAM, "S1")
    (lease,) = await bench.claim("SAT")
    with pytest.raises(Refused) as refused:
        await reset(bench, provider="SAT", recreate=True)
    assert refused.value.reason is Reason.REQUEST_LEASED

    done = await reset(bench, recreate=True)
    assert done.left_out == ("SAT",)
    assert {request.provider for request in done.requests} <= {"WEB"}
    await bench.accept(lease)
    assert types(await reset(bench, provider="SAT", recreate=True)) == [
        RequestType.BECOME_SUBSCRIBER
    ]


async def test_a_provider_that_is_not_effective_is_refused_or_left_out(drifted: Bench) -> None:
    await drifted.stop_provider("SAT")
    with pytest.raises(Refused) as refused:
        await reset(drifted, provider="SAT")
    assert refused.value.reason is Reason.PROVIDER_NOT_EFFECTIVE

    assert await reset(drifted) == ResetDone((), ("SAT",))


@pytest.mark.parametrize("provider", ["WEB", "NONE"])
async def test_a_provider_that_does_not_serve_the_subscription_is_refused(
    bench: Bench, provider: str
) -> None:
    await bench.become(viewer("S1"))
    with pytest.raises(Refused) as refused:
        await reset(bench, provider=provider)

    assert refused.value.reason is Reason.PROVIDER_NOT_FOUND


async def test_a_repeat_names_the_requests_of_the_first_call(drifted: Bench) -> None:
    first = await reset(drifted, request_id="r1")
    await drifted.accept_all("SAT")
    repeat = await reset(drifted, request_id="r1")
    assert repeat.numbers == tuple([request.number for request in first.requests])
    assert (await reset(drifted, request_id="r2")).requests == ()
    assert (await reset(drifted, request_id="r2")).numbers == ()

    with pytest.raises(Refused) as refused:
        await reset(drifted, request_id="r1", full=True)
    assert refused.value.reason is Reason.REQUEST_ID_REUSED


async def test_a_reset_tries_again_what_the_platform_refused(drifted: Bench) -> None:
    await reset(drifted)
    (lease,) = await drifted.claim("SAT")
    await drifted.answer(lease, status=ResponseStatus.REJECTED, error_code="E1")
    assert await drifted.sync_state("S1", "SAT") is SyncState.OUT_OF_SYNC

    assert types(await reset(drifted)) == [RequestType.ACTIVATE_SERVICE]


async def test_every_platform_is_reset_unless_one_is_named(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(ADD_STREAM, "S1")
    await bench.accept_all("SAT")
    await bench.accept_all("WEB")

    done = await reset(bench, full=True)
    assert {request.provider for request in done.requests} == {"SAT", "WEB"}
    assert await reset(bench, provider="WEB", full=True) == ResetDone()
