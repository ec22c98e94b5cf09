"""Tests every RPC with wrong input: the refusal is right and small, and nothing is changed."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from generic_provider.v1 import provider_service_pb2 as providers
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from support.calling import METHODS, Caller, Refusal
from support.chance import fill
from support.fresh import dice
from support.soak import forms
from support.wrong_actions import Act, become
from support.wrong_input import CASES

STATUS = {
    "INVALID_FIELD": "INVALID_ARGUMENT",
    "PROVIDER_EXISTS": "ALREADY_EXISTS",
    "ETAG_MISMATCH": "ABORTED",
    "CURSOR_UNKNOWN": "OUT_OF_RANGE",
}


def test_every_rpc_is_in_the_table() -> None:
    assert CASES.keys() == METHODS.keys()


async def test_wrong_input_is_refused_with_what_is_wrong_and_changes_nothing(
    caller: Caller, subtests: pytest.Subtests
) -> None:
    before = await everything(caller)
    for rpc in METHODS:
        with subtests.test(rpc=rpc):
            for request, reason, named in CASES[rpc]:
                await check_refusal(caller, rpc, request, reason=reason, named=named)
            assert await everything(caller) == before


async def check_refusal(
    caller: Caller, rpc: str, request: Message, *, reason: str, named: str
) -> None:
    refusal = await caller.call(rpc, request)
    assert isinstance(refusal, Refusal), request
    assert refusal.reason == reason, (refusal, request)
    expected = "NOT_FOUND" if reason.endswith("_NOT_FOUND") else "FAILED_PRECONDITION"
    assert refusal.code == STATUS.get(reason, expected)
    assert any(each.startswith(named) for each in (*refusal.fields, *refusal.metadata)), refusal
    assert refusal.size < 4_096


async def test_a_refusal_names_the_longest_reference_whole(caller: Caller) -> None:
    usage = "😀" * 200
    await caller.call("PerformAction", become(provider="P"))
    cancel = Act(subscription="S0000000001", cancel_usage={"usage": usage})
    refusal = await caller.call("PerformAction", cancel)
    assert refusal.metadata == {"subscription": "S0000000001", "usage": usage}
    assert refusal.size < 4_096


MANY = forms("many", suite=30, soak=600)
"""The number of random messages for each RPC."""


@MANY
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # no call reaches the database
async def test_bytes_that_are_no_message_are_refused(
    caller: Caller, many: int, subtests: pytest.Subtests
) -> None:
    not_utf8 = b"\x0a\x02\xff\xfe"  # field 1, a text of two bytes
    for rpc in METHODS:
        chance = dice("bytes", rpc)
        noise = [chance.randbytes(chance.randint(1, 80)) for _ in range(many)]
        with subtests.test(rpc=rpc):
            for raw in (not_utf8, b"\xff" * 9, *noise):
                answer = await caller.call(rpc, raw)
                if isinstance(answer, Refusal):
                    assert answer.reason not in ("", "INTERNAL"), (raw, answer)


@MANY
async def test_messages_made_up_by_chance_are_never_a_fault_of_ours(
    caller: Caller, many: int, subtests: pytest.Subtests
) -> None:
    for rpc in METHODS:
        chance, kind = dice("messages", rpc), GetMessageClass(METHODS[rpc].input_type)
        with subtests.test(rpc=rpc):
            for _ in range(many):
                request = kind()
                fill(request, chance, depth=4)
                answer = await caller.call(rpc, request)
                if isinstance(answer, Refusal):
                    assert answer.reason not in ("", "INTERNAL"), (request, answer)
                    assert answer.size < 4_096


async def everything(caller: Caller) -> list[Any]:
    return [
        await caller.call("ListProviders", providers.ListProvidersRequest()),
        await caller.call("ListSubscriptions", subscriptions.ListSubscriptionsRequest()),
        await caller.call("ListActions", subscriptions.ListActionsRequest()),
        await caller.call("ListRequests", requests.ListRequestsRequest()),
    ]
