"""Tests how `adapter check` judges what it has observed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from generic_provider.v1.provisioning_service_pb2 import (
    RESPONSE_STATUS_ACCEPTED,
    RESPONSE_STATUS_REJECTED,
    RESPONSE_STATUS_RETRY_LATER,
    ProvisioningResponse,
    PullPendingRequestsRequest,
    ReleaseLeasesRequest,
    ResponseStatus,
    SendResponsesRequest,
    StreamPendingRequestsRequest,
)
from generic_provider.v1.resources_pb2 import REQUEST_TYPE_ACTIVATE_SERVICE, ProvisioningRequest
from generic_provider_server.conformance import answering, connecting, scenario_steps, working
from generic_provider_server.conformance.check import Check, NotJudged
from generic_provider_server.conformance.connecting import judge_pauses, one_stream
from generic_provider_server.conformance.fake_service import FakeService
from generic_provider_server.conformance.lease import CheckedLease, CheckedStream, Message
from generic_provider_server.conformance.named_parts import offer_of
from generic_provider_server.conformance.rules import Broken, Findings, Untested
from generic_provider_server.conformance.scenario_steps import Play, Terms
from generic_provider_server.conformance.subscriber import Subscriber


def play(findings: Findings, *, patience: float = 1, down: str | None = None) -> Play:
    terms = Terms(offer=offer_of(None, None), patience=timedelta(seconds=patience), down=down)
    return Play(FakeService(findings), findings, terms)


def _context(refused: list[grpc.StatusCode]) -> Any:
    """Returns the context of a call that appends to `refused` the status with which it ends."""

    async def abort(code: grpc.StatusCode, _: str) -> None:
        refused.append(code)
        raise RuntimeError

    return SimpleNamespace(time_remaining=lambda: None, abort=abort)


@pytest.mark.parametrize(
    ("pauses", "said"),
    [
        ([0.0] * 12, "reconnected without a pause 12 times"),
        ([0.5, 0.53] * 6, "reconnected without jitter 12 times"),
        ([0.1, 0.4] * 6, "reconnected 12 times"),
    ],
)
def test_pauses_that_differ_only_by_the_load_of_the_machine_have_no_jitter(
    pauses: Sequence[float], said: str
) -> None:
    findings = Findings()
    judge_pauses(play(findings), [*pauses])
    assert findings.verdicts()[0].seen.startswith(said)


async def test_a_second_stream_is_found_that_is_just_being_opened_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    played = play(Findings())
    streams = played.service.streams

    async def open_one(_: Play) -> None:
        streams.append(CheckedStream(StreamPendingRequestsRequest()))

    streams.append(CheckedStream(StreamPendingRequestsRequest()))
    monkeypatch.setattr(Play, "quiet", open_one)
    with pytest.raises(Broken, match="2 streams at once"):
        await one_stream(played)


async def test_an_adapter_that_polls_is_told_why_it_is_not_judged() -> None:
    findings = Findings()
    service = FakeService(findings)
    terms = Terms(offer=offer_of(None, None), first_stream=timedelta(milliseconds=1))
    check = Check("here", service, findings, terms=terms)
    with pytest.raises(NotJudged, match=r"^no adapter connected to here within 0\.001 s$"):
        await check.connected()
    with pytest.raises(RuntimeError):
        await service.PullPendingRequests(PullPendingRequestsRequest(), _context([]))
    polls = "^no adapter opened a stream to here .* one polls, but the check tests only streams$"
    with pytest.raises(NotJudged, match=polls):
        await check.connected()


async def test_no_stream_begins_at_the_end_of_the_check() -> None:
    service, refused = FakeService(Findings()), list[grpc.StatusCode]()
    service.cut_all()
    request = StreamPendingRequestsRequest()
    with pytest.raises(RuntimeError):
        await anext(service.StreamPendingRequests(request, _context(refused)))
    assert refused == [grpc.StatusCode.UNAVAILABLE]


async def _answer(
    played: Play,
    lease: CheckedLease,
    request: ProvisioningRequest,
    *,
    status: ResponseStatus.ValueType,
) -> None:
    answer = ProvisioningResponse(request=request.number, lease_token=lease.token, status=status)
    sent = SendResponsesRequest(provider="P", responses=[answer])
    await played.service.SendResponses(sent, None)


async def test_the_patience_begins_anew_with_each_answer() -> None:
    played = play(Findings())
    one = Subscriber("P", count(), offer=played.terms.offer)
    requests = [one.become(), one.activate(), one.deactivate(), one.activate()]
    on = CheckedStream(StreamPendingRequestsRequest())
    lease = played.service.give(requests, on=on, timed=False)

    async def work() -> None:
        for each in requests:
            await asyncio.sleep(0.4 * played.patience)
            await _answer(played, lease, each, status=RESPONSE_STATUS_ACCEPTED)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work())
        assert await played.answered(lease, rule=3) is lease
    assert lease.done


@pytest.mark.parametrize("is_about_service", [True, False])
async def test_another_service_is_advised_only_if_the_rejected_request_names_one(
    is_about_service: bool,  # noqa: FBT001 - parametrize passes it by name
) -> None:
    played = play(Findings())
    one = Subscriber("P", count(), offer=played.terms.offer)
    rejected = one.activate() if is_about_service else one.become()
    on = CheckedStream(StreamPendingRequestsRequest())
    lease = played.service.give([rejected, one.deactivate()], on=on, timed=False)
    await _answer(played, lease, rejected, status=RESPONSE_STATUS_REJECTED)
    with pytest.raises(Untested) as untested:
        await played.answered(lease, rule=3)
    assert "was answered REJECTED, so the test could not continue" in str(untested.value)
    assert ("--service" in str(untested.value)) is is_about_service


Choose = Callable[[ProvisioningRequest], "ResponseStatus.ValueType | None"]


@asynccontextmanager
async def adapter(played: Play, choose: Choose) -> AsyncIterator[None]:
    """Runs an adapter with one stream while the `with` block runs. `choose` returns the status of
    the answer to a request, or None if the adapter does not answer the request.
    """
    stream = CheckedStream(StreamPendingRequestsRequest(provider="P"))
    played.service.streams.append(stream)

    async def work() -> None:
        async for message in stream.messages():
            assert isinstance(message, Message)
            for given in message.batch.subscriptions:
                lease = played.service._leases[given.lease_token]  # noqa: SLF001
                for each in given.requests:
                    if (status := choose(each)) is None:
                        break
                    await _answer(played, lease, each, status=status)
                    if status != RESPONSE_STATUS_ACCEPTED:
                        break

    working_ = asyncio.create_task(work())
    try:
        yield
    finally:
        working_.cancel()


def words(findings: Findings) -> dict[int, str]:
    return {each.rule: each.word for each in findings.verdicts() if each.seen}


def activations(status: ResponseStatus.ValueType | None) -> Choose:
    """Returns a function that chooses the status for ACTIVATE_SERVICE, and accepts every other
    request.
    """
    return lambda each: (
        status if each.type == REQUEST_TYPE_ACTIVATE_SERVICE else RESPONSE_STATUS_ACCEPTED
    )


@pytest.mark.parametrize(
    ("scenario", "rule"),
    [
        (answering.in_order, 3),
        (answering.done_twice, 5),
        (connecting.large_message, 2),
        (answering.unknown_type, 12),
        (answering.lost_answers, 8),
        (working.old_lease, 13),
    ],
)
async def test_a_test_that_did_not_begin_breaks_no_rule_but_rule_3(
    scenario: Callable[[Play], Awaitable[None]], rule: int
) -> None:
    findings = Findings()
    played = play(findings, patience=0.05)
    async with adapter(played, lambda _: None):
        with pytest.raises(Broken, match=r"was not answered within 0\.05 s") as broken:
            await scenario(played)
    assert broken.value.rule == 3
    assert words(findings) == {rule: "not seen"}


@pytest.mark.parametrize("status", [RESPONSE_STATUS_REJECTED, RESPONSE_STATUS_RETRY_LATER])
async def test_a_refused_newcomer_breaks_no_rule(
    status: ResponseStatus.ValueType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenario_steps, "QUIET_SECONDS", 0)
    played = play(Findings())
    async with adapter(played, lambda _: status):
        with pytest.raises(Untested, match="BECOME_SUBSCRIBER was answered") as untested:
            await answering.unknown_type(played)
    assert untested.value.rule == 12


@pytest.mark.parametrize("status", [RESPONSE_STATUS_REJECTED, RESPONSE_STATUS_RETRY_LATER])
@pytest.mark.parametrize("scenario", [answering.done_twice, answering.unknown_type])
async def test_a_refused_activation_breaks_no_rule(
    scenario: Callable[[Play], Awaitable[None]],
    status: ResponseStatus.ValueType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scenario_steps, "QUIET_SECONDS", 0)
    played = play(Findings())
    async with adapter(played, activations(status)):
        with pytest.raises(Untested, match="ACTIVATE_SERVICE SPORT was answered RE"):
            await scenario(played)


async def test_a_refused_repeat_breaks_rule_5() -> None:
    seen = list[int]()

    def second_time_not(request: ProvisioningRequest) -> ResponseStatus.ValueType:
        seen.append(request.type)
        again = seen.count(REQUEST_TYPE_ACTIVATE_SERVICE) > 1
        return RESPONSE_STATUS_REJECTED if again else RESPONSE_STATUS_ACCEPTED

    played = play(Findings())
    async with adapter(played, second_time_not):
        with pytest.raises(Broken, match="a second ACTIVATE_SERVICE of the same element") as broken:
            await answering.done_twice(played)
    assert broken.value.rule == 5


async def test_an_answer_that_was_never_sent_was_not_lost() -> None:
    findings = Findings()
    played = play(findings, patience=0.5)
    async with adapter(played, activations(None)):
        await answering.lost_answers(played)
    assert words(findings) == {3: "broken", 8: "not seen"}


@pytest.mark.parametrize(
    ("status", "word"),
    [(RESPONSE_STATUS_ACCEPTED, "not seen"), (RESPONSE_STATUS_RETRY_LATER, "broken")],
)
async def test_a_platform_that_accepts_is_not_down(
    status: ResponseStatus.ValueType, word: str
) -> None:
    findings = Findings()
    played = play(findings, down="PPV")
    async with adapter(played, activations(status)):
        try:
            await working.platform_down(played)
        except Broken as broken:
            findings.broken(broken.rule, str(broken))
    assert words(findings) == {10: word}


async def test_a_lease_that_ends_before_a_third_of_its_time_need_not_be_extended() -> None:
    findings = Findings()
    played = play(findings)
    one = Subscriber("P", count(), offer=played.terms.offer)
    on = CheckedStream(StreamPendingRequestsRequest())
    lease = played.service.give([one.activate()], on=on, timed=True, seconds=60)
    released = ReleaseLeasesRequest(lease_tokens=[lease.token])
    await played.service.ReleaseLeases(released, None)
    await working._extended(played, lease)  # noqa: SLF001 - the other steps take seconds
    assert words(findings) == {7: "not seen"}


def test_rules_that_could_not_be_tested_have_a_reason() -> None:
    findings = Findings()
    findings.broken(1, "no stream within 1 s")
    findings.ended_early("the check ended early")
    assert {each.seen for each in findings.verdicts()[1:]} == {"the check ended early"}
