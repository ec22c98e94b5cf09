"""Tests that a refused change has an audit entry if its caller has not waited for the refusal."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from generic_provider import ErrorReason
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from generic_provider.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from generic_provider_server.commands.perform import Perform
from support.calling import Caller

UNKNOWN = subscriptions.PerformActionRequest(subscription="NONE", activate=subscriptions.Activate())
PREVIEW = subscriptions.PerformActionRequest(
    subscription="NONE", activate=subscriptions.Activate(), validate_only=True
)


async def test_a_refusal_that_its_caller_does_not_wait_for_is_recorded(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, given_up = asyncio.Event(), threading.Event()
    loop, run = asyncio.get_running_loop(), Perform.run

    def run_later(*arguments: Any) -> Any:
        loop.call_soon_threadsafe(begun.set)
        given_up.wait(20)
        return run(*arguments)

    monkeypatch.setattr(Perform, "run", run_later)
    stub = SubscriptionServiceStub(caller.channel)
    calls = [stub.PerformAction(each) for each in (UNKNOWN, PREVIEW)]
    await begun.wait()
    for each in calls:
        each.cancel()
    await caller.call("ListAuditEntries", requests.ListAuditEntriesRequest())
    given_up.set()

    wanted = requests.ListAuditEntriesRequest(methods=["PerformAction"])
    async with asyncio.timeout(20):
        while not (found := (await caller.call("ListAuditEntries", wanted)).entries):
            await asyncio.sleep(0.05)
    assert [(each.subscription, ErrorReason.name_of(each.reason)) for each in found] == [
        ("NONE", "SUBSCRIPTION_NOT_FOUND")
    ]
