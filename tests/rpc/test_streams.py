from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import pytest

from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from generic_provider_server.domain.refusals import unavailable
from generic_provider_server.rpc.provisioning_service import ProvisioningServicer
from generic_provider_server.services.backlogs import Backlogs
from support.calling import Caller, Refusal

ACCEPTED = api.RESPONSE_STATUS_ACCEPTED
Stream = grpc.aio.UnaryStreamCall[
    api.StreamPendingRequestsRequest, api.StreamPendingRequestsResponse
]


async def subscribe(
    caller: Caller, count: int, *, prefix: str = "S", with_items: bool = False
) -> None:
    batch = subscriptions.BatchPerformActionsRequest(
        actions=[
            subscriptions.PerformActionRequest(
                subscription=f"{prefix}{n:03}",
                become_subscriber=subscriptions.BecomeSubscriber(
                    type="DTH", provider="P", items=items(n) if with_items else ()
                ),
            )
            for n in range(count)
        ]
    )
    made = await caller.call("BatchPerformActions", batch)
    assert all(each.HasField("action") for each in made.results)


def items(n: int) -> list[pb.InstalledItem]:
    return [
        pb.InstalledItem(distributor="MAIN", goods_type=goods, serial_number=f"{n}")
        for goods in ("SMARTCARD", "DECODER")
    ]


async def add(caller: Caller, subscription: str, *services: str) -> None:
    chosen = [
        subscriptions.ServiceSelection(distributor="MAIN", service=service) for service in services
    ]
    action = subscriptions.PerformActionRequest(
        subscription=subscription, add_services=subscriptions.AddServices(services=chosen)
    )
    done = await caller.call("PerformAction", action)
    assert not isinstance(done, Refusal), done


@asynccontextmanager
async def stream(address: str, name: str, *, max_in_flight: int) -> AsyncIterator[Stream]:
    """Opens a stream on a connection of its own."""
    async with grpc.aio.insecure_channel(address) as channel:
        request = api.StreamPendingRequestsRequest(
            provider="P", adapter=name, max_in_flight=max_in_flight
        )
        call = ProvisioningServiceStub(channel).StreamPendingRequests(request)
        yield call
        call.cancel()


async def handed(call: Stream) -> api.StreamPendingRequestsResponse.Batch:
    """Returns the next batch of hand-overs on the stream."""
    async with asyncio.timeout(20):
        while True:
            message = await call.read()
            assert isinstance(message, api.StreamPendingRequestsResponse), message
            if message.HasField("batch"):
                return message.batch


def answers(batch: api.StreamPendingRequestsResponse.Batch) -> api.SendResponsesRequest:
    return api.SendResponsesRequest(
        provider="P",
        responses=[
            api.ProvisioningResponse(
                request=request.number, lease_token=each.lease_token, status=ACCEPTED
            )
            for each in batch.subscriptions
            for request in each.requests
        ],
    )


async def adapters(caller: Caller) -> dict[str, int]:
    """Returns the number of requests in flight of each adapter."""
    listed = await caller.call("ListAdapters", requests.ListAdaptersRequest())
    return {each.adapter: each.in_flight for each in listed.adapters}


async def backlog(caller: Caller) -> requests.GetBacklogResponse:
    counted = await caller.call("GetBacklog", requests.GetBacklogRequest(provider="P"))
    assert isinstance(counted, requests.GetBacklogResponse)
    return counted


async def test_the_backlog_comes_first_and_then_what_is_new(address: str, caller: Caller) -> None:
    await subscribe(caller, 3, prefix="OLD")
    async with stream(address, "a", max_in_flight=10) as call:
        first = await handed(call)
        await subscribe(caller, 1, prefix="NEW")
        second = await handed(call)

    assert [each.subscription for each in first.subscriptions] == ["OLD000", "OLD001", "OLD002"]
    assert [each.subscription for each in second.subscriptions] == ["NEW000"]


async def test_one_that_stops_reading_holds_its_credit_and_others_get_the_rest(
    address: str, caller: Caller
) -> None:
    async with stream(address, "stuck", max_in_flight=7) as stuck:
        await subscribe(caller, 60)
        while (await adapters(caller)).get("stuck") != 7:
            await asyncio.sleep(0.01)
        done = 0
        async with stream(address, "busy", max_in_flight=20) as busy:
            while done < 60 - 7:
                batch = await handed(busy)
                done += len(batch.subscriptions)
                assert len(batch.subscriptions) <= 20
                await caller.call("SendResponses", answers(batch))
            assert (await adapters(caller))["stuck"] == 7
            assert (await backlog(caller)).leased == 7
        held = await handed(stuck)

    assert done == 60 - 7
    assert len(held.subscriptions) == 7


async def test_what_two_calls_free_is_handed_over_at_once(address: str, caller: Caller) -> None:
    rounds = 30
    await subscribe(caller, rounds, with_items=True)
    async with stream(address, "a", max_in_flight=2) as call:
        for _ in range(rounds // 2):
            await caller.call("SendResponses", answers(await handed(call)))
        for n in range(rounds):
            for services in (("S0", "S1"), ("S2", "S3")):
                await add(caller, f"S{n:03}", *services)
            first = answers(await handed(call))
            first.responses[1].status = api.RESPONSE_STATUS_REJECTED
            for response in first.responses:
                one = api.SendResponsesRequest(provider="P", responses=[response])
                await caller.call("SendResponses", one)
            second = answers(await handed(call))
            assert len(second.responses) == 2, f"round {n}"
            await caller.call("SendResponses", second)


async def test_two_share_the_work_and_no_subscription_is_in_both_hands(
    address: str, caller: Caller
) -> None:
    in_hand: set[str] = set()
    served: Counter[str] = Counter()

    async def serve(name: str) -> None:
        async with stream(address, name, max_in_flight=5) as call:
            while sum(served.values()) < 200:
                batch = await handed(call)
                taken = {each.subscription for each in batch.subscriptions}
                assert not taken & in_hand
                in_hand.update(taken)
                await asyncio.sleep(0.002)
                in_hand.difference_update(taken)
                await caller.call("SendResponses", answers(batch))
                served[name] += len(taken)

    async with asyncio.timeout(30):
        both = [asyncio.create_task(serve(name)) for name in ("one", "two")]
        while len(await adapters(caller)) < 2:
            await asyncio.sleep(0.01)
        await subscribe(caller, 200)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for task in both:
        task.cancel()
    await asyncio.gather(*both, return_exceptions=True)

    assert served["one"] > 0 < served["two"]
    assert not (await backlog(caller)).pending


async def test_what_a_stream_held_goes_to_others_when_it_ends(address: str, caller: Caller) -> None:
    await subscribe(caller, 4)
    async with stream(address, "gone", max_in_flight=10) as gone:
        first = await handed(gone)
    async with stream(address, "next", max_in_flight=10) as following:
        again = await handed(following)

    assert [each.subscription for each in again.subscriptions] == [
        each.subscription for each in first.subscriptions
    ]
    assert {each.delivery_attempt for each in again.subscriptions} == {2}
    late = await caller.call("SendResponses", answers(first))
    assert {each.code for each in late.results} == {api.RESPONSE_CODE_STALE}


async def test_a_stream_that_was_told_to_stop_ends_with_its_last_lease(
    address: str, caller: Caller
) -> None:
    await subscribe(caller, 2)
    async with stream(address, "a", max_in_flight=10) as call:
        batch = await handed(call)
        kept, returned = batch.subscriptions
        stop = api.ReleaseLeasesRequest(lease_tokens=[returned.lease_token], stop=True)
        assert [e.live for e in (await caller.call("ReleaseLeases", stop)).results] == [True]
        await subscribe(caller, 1, prefix="MORE")
        del batch.subscriptions[1]
        await caller.call("SendResponses", answers(batch))
        async with asyncio.timeout(20):
            assert await call.read() is grpc.aio.EOF

    assert kept.subscription != returned.subscription
    assert (await backlog(caller)).pending == 2


@pytest.mark.usefixtures("caller")
async def test_a_quiet_stream_has_heartbeats_that_say_how_things_are(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.rpc.provisioning_service.HEARTBEAT", (0.05, 0.05))
    async with stream(address, "a", max_in_flight=10) as call:
        for _ in range(3):
            message = await call.read()
            assert isinstance(message, api.StreamPendingRequestsResponse)
            assert message.heartbeat.provider_state
            assert not message.heartbeat.backlog


async def test_a_message_says_when_it_was_sent_and_what_is_left_of_each_lease(
    address: str, caller: Caller
) -> None:
    async with stream(address, "a", max_in_flight=10) as call:
        first = await call.read()
        assert isinstance(first, api.StreamPendingRequestsResponse)
        began = first.sent_time.ToMicroseconds()
        await subscribe(caller, 1)
        batch = await call.read()
        assert isinstance(batch, api.StreamPendingRequestsResponse)

    assert abs(began / 1e6 - time.time()) < 60
    assert began <= batch.sent_time.ToMicroseconds() < began + 20_000_000
    (lease,) = batch.batch.subscriptions
    assert 15_000_000 < lease.lease_duration.ToMicroseconds() <= 30_000_000


@pytest.fixture
def suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suspends the server for a second after it has checked leases and before it sends them."""
    on_time = ProvisioningServicer._on_time  # noqa: SLF001

    def checked(*arguments: Any) -> list[api.SubscriptionRequests]:
        found = on_time(*arguments)
        time.sleep(1 if found else 0)
        return found

    monkeypatch.setattr(ProvisioningServicer, "_on_time", checked)


@pytest.mark.usefixtures("suspended")
async def test_the_time_of_a_message_is_that_from_which_its_leases_are_counted(
    address: str, caller: Caller
) -> None:
    async with stream(address, "a", max_in_flight=10) as call:
        await call.read()
        await subscribe(caller, 1)
        batch = await call.read()

    assert isinstance(batch, api.StreamPendingRequestsResponse)
    assert batch.sent_time.ToMicroseconds() / 1e6 < time.time() - 0.9


@pytest.mark.usefixtures("suspended")
async def test_the_time_of_a_pull_is_that_from_which_its_leases_are_counted(
    caller: Caller,
) -> None:
    await subscribe(caller, 1)
    began = time.monotonic()
    answer = await caller.call(
        "PullPendingRequests", api.PullPendingRequestsRequest(provider="P", adapter="a")
    )

    assert len(answer.subscriptions) == 1
    assert answer.sent_time.ToMicroseconds() / 1e6 < time.time() - 0.9
    assert answer.waited.ToMicroseconds() / 1e6 < time.monotonic() - began - 0.9


async def test_a_lease_is_sent_with_the_rest_of_its_duration(
    address: str, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = ProvisioningServicer._shown  # noqa: SLF001

    def shown_later(*arguments: Any) -> api.SubscriptionRequests:
        time.sleep(1)
        return shown(*arguments)

    monkeypatch.setattr(ProvisioningServicer, "_shown", shown_later)
    async with stream(address, "a", max_in_flight=10) as call:
        await call.read()
        await subscribe(caller, 1)
        batch = await call.read()

    assert isinstance(batch, api.StreamPendingRequestsResponse)
    (lease,) = batch.batch.subscriptions
    assert 15_000_000 < lease.lease_duration.ToMicroseconds() < 29_000_000


async def test_a_request_that_cannot_be_sent_counts_an_attempt_so_that_others_get_their_turn(
    address: str, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = ProvisioningServicer._shown  # noqa: SLF001 - the first request cannot be encoded

    def shown_except_the_first(servicer: ProvisioningServicer, handed: Any) -> Any:
        assert handed.lane.subscription != "S000"
        return shown(servicer, handed)

    monkeypatch.setattr(ProvisioningServicer, "_shown", shown_except_the_first)
    await subscribe(caller, 2)
    sent = list[str]()
    for _ in range(20):
        async with stream(address, "a", max_in_flight=1) as call:
            try:
                batch = await handed(call)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.INTERNAL  # noqa: PT017 - it is expected
                continue
            sent = [each.subscription for each in batch.subscriptions]
            break

    assert sent == ["S001"]


async def test_a_heartbeat_does_not_wait_for_the_database(
    address: str, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.rpc.provisioning_service.HEARTBEAT", (0.1, 0.1))
    monkeypatch.setattr("generic_provider_server.services.backlogs.COUNT_SECONDS", 0)
    monkeypatch.setattr("generic_provider_server.services.backlogs.ANSWER_SECONDS", 0.1)
    await subscribe(caller, 1)
    goes_on = asyncio.Event()

    async def never(*_: object) -> tuple[int, int]:
        await goes_on.wait()
        return 0, 0

    async with stream(address, "a", max_in_flight=1) as call:
        first = await call.read()
        assert isinstance(first, api.StreamPendingRequestsResponse)
        monkeypatch.setattr(Backlogs, "count", never)
        await handed(call)
        beat = await call.read()
    goes_on.set()

    assert isinstance(beat, api.StreamPendingRequestsResponse)
    assert beat.heartbeat.backlog == first.heartbeat.backlog == 1


async def test_a_pull_says_how_long_the_server_waited(caller: Caller) -> None:
    pull = api.PullPendingRequestsRequest(provider="P", adapter="a")
    pull.wait.FromMilliseconds(200)
    began = time.monotonic()
    answer = await caller.call("PullPendingRequests", pull)

    assert 0.2 <= answer.waited.ToMicroseconds() / 1e6 <= time.monotonic() - began
    assert answer.sent_time.ToSeconds()


async def test_a_pull_waits_for_something_to_arrive(caller: Caller) -> None:
    pull = api.PullPendingRequestsRequest(provider="P", adapter="a")
    pull.wait.seconds = 20
    waiting = asyncio.create_task(caller.call("PullPendingRequests", pull))
    await subscribe(caller, 1)

    answer = await waiting

    assert not isinstance(answer, Refusal)
    assert [each.subscription for each in answer.subscriptions] == ["S000"]


async def test_what_a_pull_cannot_send_goes_back_at_once(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await subscribe(caller, 1)
    count = Backlogs.count
    monkeypatch.setattr(Backlogs, "count", fail)
    pull = api.PullPendingRequestsRequest(provider="P", adapter="a")
    assert isinstance(await caller.call("PullPendingRequests", pull), Refusal)
    monkeypatch.setattr(Backlogs, "count", count)
    pull.wait.seconds = 20
    answer = await caller.call("PullPendingRequests", pull)

    assert not isinstance(answer, Refusal)
    assert [each.delivery_attempt for each in answer.subscriptions] == [1]


async def fail(*_: object) -> tuple[int, int]:
    raise unavailable("read")
