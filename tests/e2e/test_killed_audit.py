"""Tests that every change has its entry in the audit trail, whenever the server is killed."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import grpc.aio
import pytest

from generic_provider import (
    Address,
    AsyncClient,
    Distributor,
    PerformActionRequest,
    Provider,
    actions,
)
from generic_provider.v1 import subscription_service_pb2 as api
from generic_provider.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from support.fresh import dice
from support.processes import Server
from support.soak import ROUNDS, forms

CALLERS, BATCH = 6, 300


@pytest.mark.timeout(600)
@forms("rounds", suite=1, soak=40 * ROUNDS)
async def test_every_change_has_its_entry_when_the_server_is_killed_under_load(
    url: str, tmp_path: Path, rounds: int
) -> None:
    """The audit entries together count exactly as many changes as the database has actions,
    although the kill cut some calls off, and their callers did not repeat them.
    """
    chance = dice("killed audit", rounds)
    acknowledged: list[str] = []
    with Server(tmp_path, database=url) as server:
        async with AsyncClient(server.address) as crm:
            await crm.create_provider(Provider(code="P", distributors=[Distributor(code="MAIN")]))
            for n in range(CALLERS):
                become = actions.BecomeSubscriber(type="OTT", provider="P")
                await crm.perform(become, subscription=f"K{n}")
        for _ in range(rounds):
            before = len(acknowledged)
            loads = [load(server.address, n, acknowledged) for n in range(CALLERS)]
            running = asyncio.gather(*loads)
            while len(acknowledged) == before:
                await asyncio.sleep(0.01)
            await asyncio.sleep(chance.uniform(0, 0.8))
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            await running
            await asyncio.to_thread(server.start)
        async with AsyncClient(server.address) as crm:
            await check(crm, acknowledged)


async def load(address: str, number: int, acknowledged: list[str]) -> None:
    """Changes a subscription until the server is killed. Callers with odd numbers send batches."""
    async with grpc.aio.insecure_channel(address) as channel:
        crm = SubscriptionServiceStub(channel)
        try:
            while True:
                if number % 2:
                    moves = [move(number) for _ in range(BATCH)]
                    await crm.BatchPerformActions(api.BatchPerformActionsRequest(actions=moves))
                else:
                    acknowledged.append((await crm.PerformAction(move(number))).action.id)
        except grpc.aio.AioRpcError:
            return


def move(number: int) -> PerformActionRequest:
    address = Address(lines=["Lange 1"], city="Tallinn")
    return actions.request(actions.ChangeLocation(address=address), subscription=f"K{number}")


async def check(crm: AsyncClient, acknowledged: list[str]) -> None:
    methods = ["PerformAction", "BatchPerformActions"]
    entries = [each async for each in crm.list_audit_entries(methods=methods)]
    stored = [each.id async for each in crm.list_actions()]

    assert set(acknowledged) <= {each.resource for each in entries}
    assert sum(each.done for each in entries) == len(stored)
    assert len(stored) > len(acknowledged) > 0
    assert not any(each.refused for each in entries)
