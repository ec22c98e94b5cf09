from __future__ import annotations

import logging
import time
from datetime import timedelta

import pytest

from generic_provider import (
    PlatformDown,
    ProvisioningRequest,
    RequestType,
    ResponseCode,
    ResponseStatus,
    RetryLater,
    Work,
)
from generic_provider.v1.provisioning_service_pb2 import ProvisioningResponse
from support.bundled_adapter import Platform, make, until
from support.provisioning_server import Server, serving


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


async def test_answers_to_a_server_with_too_many_calls_are_sent_again(server: Server) -> None:
    server.busy = True
    adapter = make(server)
    adapter.otherwise(lambda _: None)
    async with serving(adapter):
        (await server.stream()).give("S1", "T1", "R1")
        assert await server.answers(1) == [("R1", "T1")]


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
        stream.give("S1", "T2", "R1")  # this hand-over arrives before the first verdict
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
        "there is no routine for requests of the type ACTIVATE_SERVICE: they are given back"
    ]


@pytest.mark.parametrize("rest", ["otherwise", "target"])
async def test_the_rest_never_gets_a_type_that_this_version_does_not_know(
    rest: str, server: Server
) -> None:
    adapter, done = make(server), list[str]()

    def do(work: Work | ProvisioningRequest) -> None:
        requests = work.requests if isinstance(work, Work) else [work]
        done.extend(each.number for each in requests)

    getattr(adapter, rest)(do)
    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1")
        assert await server.answers(1) == [("R1", "T1")]
        for number in (99, 0):
            stream.give("S2", "T2", "R2", type=RequestType.ValueType(number))
            answer = await server.received.get()
            assert (answer.status, answer.error_code) == (
                ResponseStatus.RETRY_LATER,
                "UNKNOWN_TYPE",
            )
            assert answer.error_description == f"no routine for TYPE {number}"
    assert done == ["R1"]


async def test_a_target_routine_never_gets_usage(server: Server) -> None:
    adapter, done = make(server), list[str]()

    @adapter.target
    def put(work: Work) -> None:
        done.extend(each.number for each in work.requests)

    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1", type=RequestType.ADD_UDR)
        assert (await server.received.get()).error_code == "UNKNOWN_TYPE"
        adapter.on(RequestType.ADD_UDR)(lambda _: None)
        stream.give("S1", "T2", "R1", type=RequestType.ADD_UDR)
        assert (await server.received.get()).status == ResponseStatus.ACCEPTED
    assert done == []


async def test_a_silent_stream_is_replaced(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generic_provider._streams.SILENCE_SECONDS", 0.05)
    adapter = make(server)
    server.silent = True
    async with serving(adapter):
        frozen = await server.stream()
        await frozen.closed.wait()
        await server.stream()
    assert adapter.stats.connects == 0


async def test_a_server_with_too_many_streams_has_the_time_that_it_asks_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider._streams.RECONNECT_SECONDS", (0.01, 0.01))
    server.full = True
    async with serving(make(server)):
        await server.stream()
        refused = time.monotonic()
        await server.stream()
        assert time.monotonic() - refused >= 1


async def test_details_that_cannot_be_decoded_do_not_end_an_adapter(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider._streams.RECONNECT_SECONDS", (0.01, 0.01))
    monkeypatch.setattr("support.provisioning_server.details", _damaged)
    server.full = True
    adapter = make(server)
    adapter.otherwise(lambda _: None)
    async with serving(adapter):
        await server.stream()
        (await server.stream()).give("S1", "T1", "R1")
        assert await server.answers(1) == [("R1", "T1")]


def _damaged(*_: object, **__: object) -> tuple[tuple[str, bytes], ...]:
    return (("grpc-status-details-bin", b"\xff"),)


async def test_leases_are_extended_while_work_goes_on(server: Server) -> None:
    adapter, platform = make(server, lease_duration=timedelta(seconds=1)), Platform()
    adapter.otherwise(platform.do)
    async with serving(adapter):
        (await server.stream()).give("S1", "T1", "R1", seconds=0.5)
        assert await server.extended.get() == ["T1"]
        assert await server.extended.get() == ["T1"]
        platform.finish.set()


async def test_a_lease_that_is_shorter_than_asked_for_is_extended_in_its_own_time(
    server: Server,
) -> None:
    adapter, platform = make(server, lease_duration=timedelta(hours=1)), Platform()
    adapter.otherwise(platform.do)
    server.most_seconds = 0.5
    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1", seconds=3600)
        await platform.begun.get()
        stream.give("S2", "T2", "R2", seconds=0.5)
        for _ in range(3):
            assert set(await server.extended.get()) == {"T1", "T2"}
        platform.finish.set()


async def test_of_a_lease_that_has_ended_nothing_more_is_started(server: Server) -> None:
    adapter, platform = make(server, lease_duration=timedelta(seconds=1)), Platform()
    adapter.otherwise(platform.do)
    server.dead.add("T1")
    async with serving(adapter):
        stream = await server.stream()
        stream.give("S1", "T1", "R1", "R2", seconds=0.5)
        assert await platform.begun.get() == "R1"
        await server.extended.get()
        stream.give("S2", "T2", "R3", seconds=0.5)
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
