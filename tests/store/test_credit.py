"""Tests the credit of a stream, which the notices of commits change."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from generic_provider_server.commands.answers import Respond, Response, respond
from generic_provider_server.commands.cancel_or_resolve import CancelRequest
from generic_provider_server.commands.claim import Claim, Demand, Handed
from generic_provider_server.commands.live_leases import Extend, Release
from generic_provider_server.domain.subscription.request_records import WaitingFor
from generic_provider_server.domain.values import SECOND, RequestState
from generic_provider_server.domain.verdicts import ResponseStatus
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.services.streams import AdapterStream
from generic_provider_server.store.notices.notice import Notice
from generic_provider_server.store.store import Store
from generic_provider_server.store.write.command import Command
from support.bench import Bench, performing, stream_at
from support.examples import ADD_SPORT, viewer


@pytest.fixture
def stream() -> AdapterStream:
    return stream_at("s", credit=2)


@pytest.fixture
def delivery(store: Store, stream: AdapterStream) -> Delivery:
    delivery = Delivery(store)
    delivery.streams[stream.id] = stream
    return delivery


@pytest.mark.usefixtures("delivery")
async def test_what_is_on_a_lease_counts_until_it_is_answered_or_given_back(
    bench: Bench, stream: AdapterStream
) -> None:
    credit = stream.credit
    stream.stopping = True  # so the stream gets only what the test claims
    await bench.become(viewer("S1"))
    await bench.become(viewer("S2"))
    one, two = await bench.claim("SAT", stream=stream.id)
    assert credit.left() == 0

    await bench.accept(one)
    assert credit.left() == 1
    await bench.release(two.lane.lease)
    assert credit.left() == 2
    await bench.perform(ADD_SPORT, "S1")
    late, _ = await bench.claim("SAT", stream=stream.id)
    assert credit.left() == 0
    await bench.pass_time(31)
    assert (credit.in_flight, credit.ran_out, credit.left()) == (0, 2, 0)
    assert not (await bench.extend(late.lane.lease)).live
    assert credit.left() == 2


async def test_a_lease_that_ran_out_as_another_began_counts_as_well(
    delivery: Delivery, stream: AdapterStream
) -> None:
    delivery.count(Notice(freed=Counter({stream.id: -1})))
    delivery.count(Notice(freed=Counter({stream.id: 0}), ran_out=Counter({stream.id: 1})))

    assert (stream.credit.in_flight, stream.credit.ran_out, stream.credit.left()) == (1, 1, 0)


@pytest.mark.parametrize("ending", ["stopped", "gone"])
async def test_what_is_claimed_while_its_stream_ends_goes_back_without_an_attempt(
    ending: str, bench: Bench, stream: AdapterStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Delivery(bench.store)
    (number,) = (request.number for request in (await bench.become(viewer("S1"))).requests)
    claim = delivery._claim  # noqa: SLF001 - the stream ends while it runs
    left = asyncio.Event()

    async def claim_meanwhile(*args: Any, **kwargs: Any) -> Any:
        claiming = asyncio.ensure_future(claim(*args, **kwargs))
        await asyncio.sleep(0)
        delivery.stop_streams([stream.id] if ending == "stopped" else [])
        if ending == "gone":
            left.set()
        for _ in range(10):
            await asyncio.sleep(0)
        return await claiming

    monkeypatch.setattr(delivery, "_claim", claim_meanwhile)
    with delivery.stream(stream):
        await (stream.events.get() if ending == "stopped" else left.wait())
    await delivery.drain("the test is over")
    while (await bench.request(number)).waiting_for is WaitingFor.ANSWER:
        await asyncio.sleep(0.01)

    assert (await bench.request(number)).attempts == 0


async def test_what_becomes_ready_while_nothing_waits_is_handed_over_with_its_action(
    bench: Bench, stream: AdapterStream, delivery: Delivery
) -> None:
    assert not await bench.claim("SAT", stream=stream.id)
    (request,) = (await bench.become(viewer("S1"))).requests
    (handed,) = event_of(stream)
    assert (await bench.request(request.number)).waiting_for is WaitingFor.ANSWER
    assert not await bench.claim("SAT", stream="another")
    await bench.accept(handed)
    assert (await bench.request(request.number)).state is RequestState.COMPLETED
    assert delivery.still_good((handed,), bench.store.steady())


@pytest.mark.usefixtures("delivery")
async def test_what_waits_already_is_handed_over_first(bench: Bench, stream: AdapterStream) -> None:
    assert not await bench.claim("SAT", stream=stream.id)
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    (first,), (_,) = event_of(stream), event_of(stream)
    await bench.accept(first)
    await bench.become(viewer("S4"))

    assert stream.events.empty()
    waiting = [await bench.claim("SAT", stream=stream.id, credit=1) for _ in range(2)]
    assert [each.lane.subscription for (each,) in waiting] == ["S3", "S4"]


@pytest.mark.usefixtures("delivery")
async def test_what_is_ready_again_is_handed_over_before_what_its_group_performs_later(
    bench: Bench, stream: AdapterStream
) -> None:
    """The repeated action is read from the tables, so the release is written before."""
    known = performing(viewer("S1"), "S1", request_id="known")
    await bench.store.do(known)
    (old,) = await bench.claim("SAT", stream="another")
    assert not await bench.claim("SAT", stream=stream.id)
    group: list[Command[Any]] = [Release(leases=(old.lane.lease,)), known]
    group += [performing(viewer(each), each) for each in ("S2", "S3")]
    await bench.store.do_all(group)

    assert stream.events.empty()
    handed = await bench.claim("SAT", stream=stream.id, credit=2)
    assert [each.lane.subscription for each in handed] == ["S1", "S2"]


@pytest.mark.usefixtures("delivery")
async def test_an_action_is_performed_although_its_request_cannot_be_handed_over_at_once(
    bench: Bench, stream: AdapterStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not await bench.claim("SAT", stream=stream.id)
    monkeypatch.setattr(Claim, "hand_over", lambda *_: 1 // 0)
    await bench.become(viewer("S1"))

    assert stream.events.empty()
    (handed,) = await bench.claim("SAT", stream=stream.id)
    assert handed.attempt == 1


@pytest.mark.usefixtures("delivery")
async def test_a_failed_hand_over_keeps_those_before_it(
    bench: Bench, stream: AdapterStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not await bench.claim("SAT", stream=stream.id)
    give = Claim._lease  # noqa: SLF001 - the second lease cannot be given

    def give_one(*args: Any, **kwargs: Any) -> Handed:
        monkeypatch.setattr(Claim, "_lease", lambda *_, **__: 1 // 0)
        return give(*args, **kwargs)

    monkeypatch.setattr(Claim, "_lease", give_one)
    asked = [bench.ask(performing(viewer(each), each)) for each in ("S1", "S2")]
    await asyncio.gather(*asked)
    monkeypatch.setattr(Claim, "_lease", give)

    (first,) = event_of(stream)
    (second,) = await bench.claim("SAT", stream=stream.id)
    assert {first.lane.subscription, second.lane.subscription} == {"S1", "S2"}
    assert second.attempt == 1


@pytest.mark.parametrize("ending", ["stopped", "gone", "drained"])
async def test_what_is_handed_over_with_its_action_to_a_stream_that_ends_goes_back(
    ending: str, bench: Bench, stream: AdapterStream
) -> None:
    delivery = Delivery(bench.store)
    reached, ended = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait_for_the_end(_: object) -> None:
        loop.call_soon_threadsafe(reached.set)
        ended.wait(20)

    with ExitStack() as until_it_ends:
        until_it_ends.enter_context(delivery.stream(stream))
        assert not await bench.claim("SAT", stream=stream.id)
        bench.store.listeners.before_commit.append(wait_for_the_end)
        asked = bench.ask(performing(viewer("S1"), "S1"))
        await reached.wait()
        draining = None
        if ending == "stopped":
            delivery.stop_streams([stream.id])
        elif ending == "gone":
            until_it_ends.close()
        else:
            draining = asyncio.create_task(delivery.drain("the test is over"))
            await asyncio.sleep(0)
        ended.set()
        if draining is not None:
            await draining
            (request,) = await bench.requests()
            assert request.waiting_for is WaitingFor.ADAPTER, "the lease ends before the drain"
        (request,) = (await asked).requests
        async with asyncio.timeout(20):
            while (await bench.request(request.number)).waiting_for is not WaitingFor.ADAPTER:
                await asyncio.sleep(0.01)

    assert (await bench.request(request.number)).attempts == 0


@pytest.mark.usefixtures("delivery")
async def test_a_lease_that_is_more_than_half_over_is_not_sent(
    bench: Bench, stream: AdapterStream, delivery: Delivery
) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    old = await bench.claim("SAT", stream=stream.id, credit=1)
    bench.clock.advance(16)
    new = await bench.claim("SAT", stream=stream.id, credit=1)

    assert delivery.still_good((*old, *new), bench.store.steady()) == new
    async with asyncio.timeout(20):
        while stream.credit.left() < 1:
            await asyncio.sleep(0.01)
    (again,) = await bench.claim("SAT", stream=stream.id)
    assert (again.lane.subscription, again.attempt) == (old[0].lane.subscription, 1)


def event_of(stream: AdapterStream) -> tuple[Handed, ...]:
    event = stream.events.get_nowait()
    assert isinstance(event, tuple)
    return event


def _answer(bench: Bench, lease: Handed, status: ResponseStatus) -> Respond:
    response = Response(
        request=lease.requests[0].number,
        lease_token=bench.token(lease),
        status=status,
        retry_delay=60 * SECOND,
    )
    return respond("SAT", (response,), key=bench.store.token_key)


def _cancel(lease: Handed) -> CancelRequest:
    return CancelRequest(request=lease.requests[0].number, reason="stuck", end_lease=True)


FREEING: dict[str, Callable[[Bench, Handed], Command[object]]] = {
    "accepted": lambda bench, lease: _answer(bench, lease, ResponseStatus.ACCEPTED),
    "rejected": lambda bench, lease: _answer(bench, lease, ResponseStatus.REJECTED),
    "retried": lambda bench, lease: _answer(bench, lease, ResponseStatus.RETRY_LATER),
    "released": lambda _, lease: Release(leases=(lease.lane.lease,)),
    "cancelled": lambda _, lease: _cancel(lease),
    "ran out and heard": lambda bench, lease: Extend(
        leases=(lease.lane.lease,), server=bench.store.server
    ),
}


@pytest.mark.usefixtures("delivery")
@pytest.mark.parametrize("freeing", FREEING)
async def test_a_claim_sees_what_was_freed_since_it_was_asked_for(
    bench: Bench, stream: AdapterStream, freeing: str
) -> None:
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    (lease,) = await bench.claim("SAT", stream=stream.id, credit=1, lease=30)
    demand = stream.demand()
    bench.clock.advance(31 if freeing.startswith("ran out") else 0)
    claim = Claim(provider="SAT", server=bench.store.server, demands=(demand,), turn=0)
    commands: list[Command[Any]] = [claim, FREEING[freeing](bench, lease)]
    asked = await bench.store.do_all(commands)
    (handed,) = asked[0].outcome()

    assert sum(len(each.requests) for each in handed) == 2
    assert stream.credit.left() == 0


async def test_what_a_pull_claims_while_its_caller_leaves_goes_back(bench: Bench) -> None:
    delivery, go_on = Delivery(bench.store), threading.Event()
    (request,) = (await bench.become(viewer("S1"))).requests
    bench.store.listeners.before_commit.append(lambda _: _wait_for(go_on))
    demand = Demand(stream="", adapter="polling", credit=lambda _: 1, lease_duration=30 * SECOND)
    pull = asyncio.create_task(delivery.pull("SAT", demand, wait=20))
    for _ in range(5):
        await asyncio.sleep(0)
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    go_on.set()
    async with asyncio.timeout(20):
        while not await bench.claim("SAT"):
            await asyncio.sleep(0.01)

    assert (await bench.request(request.number)).attempts == 1, "only the last claim counts"


def _wait_for(event: threading.Event) -> None:
    event.wait(20)
