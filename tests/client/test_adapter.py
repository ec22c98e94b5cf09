from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from generic_provider import (
    Accepted,
    Adapter,
    InstalledItem,
    PlatformDown,
    PlatformTarget,
    ProvisioningRequest,
    Reject,
    RequestType,
    ResponseCode,
    ResponseStatus,
    RetryLater,
    Work,
)
from generic_provider.v1.provisioning_service_pb2 import ProvisioningResponse
from support.provisioning_server import Server, provisioning_server, serving


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generic_provider._streams.RECONNECT_SECONDS", (0.01, 0.05))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with provisioning_server() as running:
        yield running


def make(server: Server, **settings: int | timedelta) -> Adapter:
    return Adapter(server.address, provider="P", name="a", **settings)  # type: ignore[arg-type]


class Platform:
    """Begins, and finishes when told to."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.finish = asyncio.Event()

    async def do(self, request: ProvisioningRequest) -> None:
        self.begun.put_nowait(request.number)
        await self.finish.wait()


async def until(reached: Callable[[], bool]) -> None:
    while not reached():  # noqa: ASYNC110 - what is waited for tells nobody
        await asyncio.sleep(0.001)


async def test_requests_of_one_subscription_are_done_and_answered_in_order(server: Server) -> None:
    adapter, done = make(server), list[str]()

    @adapter.otherwise
    async def do(request: ProvisioningRequest) -> None:
        await asyncio.sleep(0)
        done.append(request.number)

    async with serving(adapter):
        (await server.stream()).give("S1", "T1", "R1", "R2", "R3")
        assert await server.answers(3) == [("R1", "T1"), ("R2", "T1"), ("R3", "T1")]
    assert done == ["R1", "R2", "R3"]


async def test_requests_of_different_subscriptions_are_done_side_by_side(server: Server) -> None:
    adapter, both = make(server), asyncio.Barrier(2)

    @adapter.otherwise
    async def do(_: ProvisioningRequest) -> None:
        await both.wait()

    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1")
        stream.give("S2", "T2", "R2")
        assert sorted(await server.answers(2)) == [("R1", "T1"), ("R2", "T2")]


async def test_no_more_than_max_in_flight_are_in_work(server: Server) -> None:
    adapter, platform = make(server, max_in_flight=1), Platform()
    adapter.otherwise(platform.do)
    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1")
        stream.give("S2", "T2", "R2")
        assert await platform.begun.get() == "R1"
        assert adapter.stats.in_work == 1
        platform.finish.set()
        assert await server.answers(2) == [("R1", "T1"), ("R2", "T2")]


async def test_plain_functions_run_in_threads_and_give_the_account_number(server: Server) -> None:
    adapter, seen = make(server), list[str]()

    @adapter.on(RequestType.BECOME_SUBSCRIBER)
    def become(request: ProvisioningRequest) -> str:
        assert threading.current_thread() is not threading.main_thread()
        seen.append(request.account_number)
        return "A17"

    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1", "R2", type=RequestType.BECOME_SUBSCRIBER)
        assert (await server.received.get()).account_number == "A17"
        await server.answers(1)
    assert seen == ["", "A17"]


async def test_what_a_routine_says_is_answered(server: Server) -> None:
    adapter = make(server)

    @adapter.otherwise
    async def do(request: ProvisioningRequest) -> Accepted:
        match request.number:
            case "accepted":
                return Accepted(account_number="A", reference_number="X")
            case "rejected":
                raise Reject("E42", "not on this card")
            case "later":
                raise RetryLater(timedelta(seconds=5), code="BUSY")
            case _:
                raise KeyError(request.number)

    async with serving(adapter):
        stream = await server.stream()
        answers = {}
        for number in ("accepted", "rejected", "later", "broken"):
            stream.give(number, "T", number)
            answers[number] = await server.received.get()
    assert answers["accepted"].reference_number == "X"
    assert answers["rejected"].status == ResponseStatus.REJECTED
    assert answers["rejected"].error_code == "E42"
    assert answers["later"].retry_delay.seconds == 5
    assert answers["broken"].status == ResponseStatus.RETRY_LATER
    assert answers["broken"].error_code == "KeyError"
    assert (adapter.stats.accepted, adapter.stats.rejected, adapter.stats.retry_later) == (1, 1, 2)


async def test_after_a_rejection_the_rest_of_the_lease_is_dropped(server: Server) -> None:
    adapter, done = make(server), list[str]()

    @adapter.otherwise
    async def do(request: ProvisioningRequest) -> None:
        done.append(request.number)
        if request.number == "R2":
            raise Reject("E")

    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1", "R2", "R3")
        assert await server.answers(2) == [("R1", "T1"), ("R2", "T1")]
        stream.give("S1", "T2", "R4", "R3")
        assert await server.answers(2) == [("R4", "T2"), ("R3", "T2")]
    assert done == ["R1", "R2", "R4", "R3"]


async def test_what_comes_again_in_work_is_not_started_twice(server: Server) -> None:
    adapter, platform = make(server), Platform()
    adapter.otherwise(platform.do)
    async with serving(adapter):
        first = await server.stream()
        first.give("S1", "T1", "R1", "R2")
        assert await platform.begun.get() == "R1"
        first.cut()
        second = await server.stream()
        second.give("S1", "T2", "R1", "R2")
        second.give("S2", "T3", "R3")
        assert await platform.begun.get() == "R3"
        platform.finish.set()
        answers = await server.answers(3)
    assert sorted(answers) == [("R1", "T2"), ("R2", "T2"), ("R3", "T3")]
    assert platform.begun.get_nowait() == "R2"
    assert platform.begun.empty()


async def test_a_cut_stream_starts_nothing_more_of_its_leases(server: Server) -> None:
    adapter, platform = make(server), Platform()
    adapter.otherwise(platform.do)
    async with serving(adapter):
        first = await server.stream()
        first.give("S1", "T1", "R1", "R2")
        await platform.begun.get()
        first.cut()
        await server.stream()
        platform.finish.set()
        assert await server.answers(1) == [("R1", "T1")]
    assert platform.begun.empty()


async def test_lost_answers_are_sent_again_as_they_were(server: Server) -> None:
    adapter = make(server)
    adapter.otherwise(lambda _: None)
    server.losing = 2
    async with serving(adapter):
        (await server.stream()).give("S1", "T1", "R1")
        assert await server.answers(3) == [("R1", "T1")] * 3


async def test_what_was_answered_too_late_is_answered_again_without_being_done(
    server: Server,
) -> None:
    adapter, platform = make(server), Platform()
    adapter.otherwise(platform.do)
    platform.finish.set()

    def stale(answer: ProvisioningResponse) -> ResponseCode.ValueType:
        return ResponseCode.STALE if answer.lease_token.endswith("1") else ResponseCode.APPLIED

    server.judge = stale
    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1")
        assert await server.answers(1) == [("R1", "T1")]
        stream.give("S1", "T2", "R1")
        assert await server.answers(1) == [("R1", "T2")]
    assert platform.begun.qsize() == 1


async def test_what_was_to_be_retried_is_done_again(server: Server) -> None:
    adapter, attempts = make(server), list[str]()

    @adapter.otherwise
    async def do(request: ProvisioningRequest) -> None:
        attempts.append(request.number)
        if len(attempts) == 1:
            raise RetryLater

    server.may_answer.clear()
    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1")
        await until(lambda: bool(server.batches))
        stream.give("S1", "T2", "R1")  # overtakes the verdict on the first answer
        await until(lambda: len(attempts) == 2)
        server.may_answer.set()
        assert await server.answers(2) == [("R1", "T1"), ("R1", "T2")]


async def test_during_a_drain_a_new_stream_is_opened_and_old_work_is_answered(
    server: Server,
) -> None:
    adapter, platform = make(server), Platform()
    adapter.otherwise(platform.do)
    async with serving(adapter):
        old = await server.stream()
        old.give("S1", "T1", "R1", "R2")
        await platform.begun.get()
        old.drain()
        new = await server.stream()
        new.give("S2", "T2", "R3")
        await platform.begun.get()
        old.cut()
        await old.closed.wait()
        platform.finish.set()
        answers = await server.answers(3)
    assert sorted(answers) == [("R1", "T1"), ("R2", "T1"), ("R3", "T2")]


async def test_an_unknown_type_is_given_back_and_reported_once(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = make(server)
    adapter.on(RequestType.ADD_UDR)(lambda _: None)
    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1")
        stream.give("S2", "T2", "R2")
        answers = [await server.received.get() for _ in range(2)]
    assert {each.error_code for each in answers} == {"UNKNOWN_TYPE"}
    assert {each.status for each in answers} == {ResponseStatus.RETRY_LATER}
    loud = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert [each.getMessage() for each in loud] == [
        "NO ROUTINE FOR ACTIVATE_SERVICE: all of them are given back"
    ]


async def test_a_silent_stream_is_replaced(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generic_provider._streams.SILENCE_SECONDS", 0.05)
    adapter = make(server)
    server.silent = True
    async with serving(adapter):
        frozen = await server.stream()
        await frozen.closed.wait()
        await server.stream()
    assert adapter.stats.connects == 0


async def test_leases_are_extended_while_work_goes_on(server: Server) -> None:
    adapter, platform = make(server, lease_duration=timedelta(milliseconds=90)), Platform()
    adapter.otherwise(platform.do)
    async with serving(adapter):
        (await server.stream()).give("S1", "T1", "R1")
        assert await server.extended.get() == ["T1"]
        assert await server.extended.get() == ["T1"]
        platform.finish.set()


async def test_of_a_lease_that_has_ended_nothing_more_is_started(server: Server) -> None:
    adapter, platform = make(server, lease_duration=timedelta(milliseconds=90)), Platform()
    adapter.otherwise(platform.do)
    server.dead.add("T1")
    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1", "R2")
        assert await platform.begun.get() == "R1"
        await server.extended.get()
        stream.give("S2", "T2", "R3")
        while await server.extended.get() != ["T2"]:
            pass
        platform.finish.set()
        assert await platform.begun.get() == "R3"
        assert sorted(await server.answers(2)) == [("R1", "T1"), ("R3", "T2")]
    assert platform.begun.empty()


async def test_when_the_platform_is_down_everything_is_given_back_for_a_while(
    server: Server,
) -> None:
    adapter, tries = make(server), list[str]()

    @adapter.otherwise
    async def do(request: ProvisioningRequest) -> None:
        tries.append(request.number)
        if len(tries) == 1:
            raise PlatformDown(timedelta(milliseconds=20))

    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1", "R2")
        assert list((await server.released.get()).lease_tokens) == ["T1"]
        await stream.closed.wait()
        (await server.stream()).give("S1", "T2", "R1")
        assert await server.answers(1) == [("R1", "T2")]
    assert tries == ["R1", "R1"]


async def test_stopping_gives_back_what_has_not_begun_and_finishes_the_rest(
    server: Server,
) -> None:
    adapter, platform = make(server, max_in_flight=1), Platform()
    adapter.otherwise(platform.do)
    async with serving(adapter) as run:
        stream = await server.stream()
        stream.give("S1", "T1", "R1", "R2")
        stream.give("S2", "T2", "R3")
        await platform.begun.get()
        adapter.stop()
        unbegun = await server.released.get()
        assert (list(unbegun.lease_tokens), unbegun.stop) == (["T2"], True)
        stream.give("S3", "T3", "R4")
        assert list((await server.released.get()).lease_tokens) == ["T3"]
        platform.finish.set()
        assert await server.answers(1) == [("R1", "T1")]
        assert list((await server.released.get()).lease_tokens) == ["T1"]
        await run
    assert platform.begun.empty()
    assert server.received.empty()


async def test_answers_collect_while_others_are_on_their_way(server: Server) -> None:
    adapter = make(server)
    adapter.otherwise(lambda _: None)
    server.may_answer.clear()
    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1")
        await until(lambda: server.batches == [["R1"]])
        stream.give("S2", "T2", "R2", "R3", "R4")
        await until(lambda: adapter.stats.accepted == 4)
        server.may_answer.set()
        await server.answers(4)
    assert server.batches == [["R1"], ["R2", "R3", "R4"]]


async def test_an_answer_that_is_refused_does_not_take_others_with_it(server: Server) -> None:
    adapter = make(server)
    adapter.otherwise(lambda _: None)
    server.refused = {"R2"}
    server.may_answer.clear()
    async with serving(adapter):
        stream = await server.stream()
        stream.give("S0", "T0", "R0")
        await until(lambda: bool(server.batches))
        for number in "123":
            stream.give(f"S{number}", f"T{number}", f"R{number}")
        await until(lambda: adapter.stats.accepted == 4)
        server.may_answer.set()
        assert await server.answers(3) == [("R0", "T0"), ("R1", "T1"), ("R3", "T3")]


async def test_a_target_routine_gets_all_that_come_in_a_row(server: Server) -> None:
    adapter, seen = make(server), list[tuple[list[str], str]]()

    @adapter.target
    async def put(work: Work) -> None:
        numbers = [each.number for each in work.requests]
        seen.append((numbers, work.target.items[0].serial_number))

    async with serving(adapter):
        stream = await server.stream()
        target = PlatformTarget(items=[InstalledItem(serial_number="17")])
        stream.give("S1", "T1", "R1", "R2", target=target)
        assert await server.answers(2) == [("R1", "T1"), ("R2", "T1")]
    assert stream.request.include_target
    assert seen == [(["R1", "R2"], "17")]


async def test_watchers_are_told_of_streams(server: Server) -> None:
    adapter, told = make(server), list[str]()
    adapter.on_connect(lambda: told.append("open"))
    adapter.on_disconnect(told.append)
    async with serving(adapter):
        (await server.stream()).cut()
        await server.stream()
        await until(lambda: adapter.stats.connects == 2)
        assert (adapter.stats.streams, adapter.stats.backlog) == (1, 7)
    assert told == ["open", "cut", "open", "closed"]


async def test_cancelling_serve_leaves_nothing_behind(server: Server) -> None:
    adapter, platform = make(server), Platform()
    adapter.otherwise(platform.do)
    run = asyncio.create_task(adapter.serve())
    stream = await server.stream()
    stream.give("S1", "T1", "R1")
    await platform.begun.get()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await stream.closed.wait()


PROGRAM = """
import sys, time
from generic_provider import Adapter

adapter = Adapter(sys.argv[1], provider="P", name="a")

@adapter.otherwise
def do(request):
    print("begun", flush=True)
    time.sleep(0.1)

adapter.run()
print("over", flush=True)
"""


async def test_sigterm_ends_a_running_adapter_after_its_work(server: Server) -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, server.address, stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    (await server.stream()).give("S1", "T1", "R1")
    assert await program.stdout.readline() == b"begun\n"
    program.terminate()
    assert await server.answers(1) == [("R1", "T1")]
    assert await program.stdout.readline() == b"over\n"
    assert await program.wait() == 0


def test_a_type_has_one_routine() -> None:
    adapter = Adapter("localhost:1", provider="P", name="a")
    adapter.on(RequestType.ADD_UDR, RequestType.CANCEL_UDR)(lambda _: None)
    with pytest.raises(ValueError, match="CANCEL_UDR has its routine already"):
        adapter.on(RequestType.CANCEL_UDR)(lambda _: None)
    adapter.otherwise(lambda _: None)
    with pytest.raises(ValueError, match="the rest has its routine already"):
        adapter.target(lambda _: None)
