from __future__ import annotations

import asyncio
import signal
import sys
import threading
from datetime import timedelta

import pytest

from generic_provider import (
    Accepted,
    Adapter,
    InstalledItem,
    PlatformTarget,
    ProvisioningRequest,
    Reject,
    RequestType,
    ResponseStatus,
    RetryLater,
    Work,
)
from support.bundled_adapter import Platform, make, until
from support.provisioning_server import Server, serving


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


ENDLESS = """
import sys, time
from generic_provider import Adapter

class Told(Adapter):
    def stop(self):
        super().stop()
        print("stopping", flush=True)

adapter = Told(sys.argv[1], provider="P", name="a")

@adapter.otherwise
def do(request):
    print("begun", flush=True)
    time.sleep(60)

adapter.run()
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_waits_for_no_routine(server: Server, number: signal.Signals) -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ENDLESS, server.address, stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    (await server.stream()).give("S1", "T1", "R1")
    assert await program.stdout.readline() == b"begun\n"
    program.send_signal(number)
    assert await program.stdout.readline() == b"stopping\n"
    program.send_signal(number)
    async with asyncio.timeout(10):
        assert await program.wait() == -number


def test_a_type_has_one_routine() -> None:
    adapter = Adapter("localhost:1", provider="P", name="a")
    adapter.on(RequestType.ADD_UDR, RequestType.CANCEL_UDR)(lambda _: None)
    with pytest.raises(ValueError, match="CANCEL_UDR has its routine already"):
        adapter.on(RequestType.CANCEL_UDR)(lambda _: None)
    adapter.otherwise(lambda _: None)
    with pytest.raises(ValueError, match="all other types have a routine already"):
        adapter.target(lambda _: None)


def test_types_are_given_as_members_or_by_name_and_others_are_refused_at_once() -> None:
    adapter = Adapter("localhost:1", provider="P", name="a")
    adapter.on("ADD_UDR")(lambda _: None)
    with pytest.raises(ValueError, match="ADD_UDR has its routine already"):
        adapter.on(RequestType.ADD_UDR)(lambda _: None)
    for wrong in ("ADD_UDRS", "add_udr", 99, 0, True, None, [RequestType.ADD_UDR], print):
        with pytest.raises(ValueError, match="is none of BECOME_SUBSCRIBER, ACTIVATE_SERVICE"):
            adapter.on(RequestType.CANCEL_UDR, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs the types"):
        adapter.on()


@pytest.mark.parametrize("most", [-1, 0, 10_001])
def test_an_adapter_without_possible_requests_in_flight_is_refused_at_once(most: int) -> None:
    with pytest.raises(ValueError, match=f"max_in_flight must be from 1 to 10000, not {most}"):
        Adapter("localhost:1", provider="P", name="a", max_in_flight=most)


def test_a_credit_that_is_a_text_is_named() -> None:
    with pytest.raises(TypeError, match="max_in_flight must be an integer, not '5'"):
        Adapter("localhost:1", provider="P", name="a", max_in_flight="5")  # type: ignore[arg-type]


@pytest.mark.parametrize("lease", [timedelta(0), timedelta(seconds=0.9), timedelta(hours=2)])
def test_a_lease_that_no_server_gives_is_refused_at_once(lease: timedelta) -> None:
    limits = f"lease_duration must be from 0:00:01 to 1:00:00, not {lease}"
    with pytest.raises(ValueError, match=limits):
        Adapter("localhost:1", provider="P", name="a", lease_duration=lease)


@pytest.mark.parametrize("code", ["", " ", "P ", "P" * 65])
def test_a_code_that_no_server_accepts_is_refused_at_once(code: str) -> None:
    with pytest.raises(ValueError, match=r"^provider must (not be|have at most 64)"):
        Adapter("localhost:1", provider=code, name="a")
    with pytest.raises(ValueError, match=r"^name must (not be|have at most 64)"):
        Adapter("localhost:1", provider="P", name=code)
