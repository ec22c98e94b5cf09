"""Tests how `adapter check` judges what it has observed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from generic_provider.v1.provisioning_service_pb2 import (
    RESPONSE_STATUS_ACCEPTED,
    RESPONSE_STATUS_REJECTED,
    ProvisioningResponse,
    PullPendingRequestsRequest,
    ResponseStatus,
    SendResponsesRequest,
    StreamPendingRequestsRequest,
)
from generic_provider.v1.resources_pb2 import ProvisioningRequest
from generic_provider_server.conformance.check import Check, NotJudged
from generic_provider_server.conformance.connecting import judge_pauses, one_stream
from generic_provider_server.conformance.fake_service import FakeService
from generic_provider_server.conformance.lease import CheckedLease, CheckedStream
from generic_provider_server.conformance.named_parts import offer_of
from generic_provider_server.conformance.rules import Broken, Findings
from generic_provider_server.conformance.scenario_steps import Play, Terms
from generic_provider_server.conformance.subscriber import Subscriber


def play(findings: Findings) -> Play:
    terms = Terms(offer=offer_of(None, None), patience=timedelta(seconds=1))
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
    with pytest.raises(Broken) as broken:
        await played.answered(lease, rule=3)
    assert "was answered REJECTED, so this rule could not be tested" in str(broken.value)
    assert ("--service" in str(broken.value)) is is_about_service


def test_rules_that_could_not_be_tested_have_a_reason() -> None:
    findings = Findings()
    findings.broken(1, "no stream within 1 s")
    findings.ended_early("the check ended early")
    assert {each.seen for each in findings.verdicts()[1:]} == {"the check ended early"}
