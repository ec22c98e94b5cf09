from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from generic_provider import (
    AsyncClient,
    Distributor,
    ExistingAccount,
    PerformActionRequest,
    PlatformEntitlement,
    PlatformSubscription,
    Provider,
    ReportPlatformStateResponse,
    ServerUnavailable,
    Service,
    actions,
)
from support.fresh import dice
from support.processes import Server
from support.soak import forms

PROVIDER = Provider(
    code="P",
    distributors=[Distributor(code="MAIN")],
    services=[Service(code="SPORT", provider_service_id="1")],
)
SUBSCRIBERS, DRIFTED = 3_000, 100


@pytest.mark.timeout(600)
@forms("rounds", suite=1, soak=10)
async def test_a_report_whose_server_is_killed_is_sent_again_and_misses_nobody_before(
    url: str, tmp_path: Path, rounds: int
) -> None:
    chance = dice("killed reports")
    with Server(tmp_path, database=url) as server:
        async with AsyncClient(server.address) as crm:
            await crm.create_provider(PROVIDER)
            await crm.set_provider_state("P", state="EFFECTIVE")
            for start in range(0, SUBSCRIBERS, 1_000):
                await crm.batch_perform([_served(n) for n in range(start, start + 1_000)])
            for _ in range(rounds):
                await _killed(server, chance)
                assert (await crm.get_backlog("P")).out_of_sync_subscriptions <= DRIFTED
            told = await _report(crm, _entries())
            assert (told.received, told.missing) == (SUBSCRIBERS - 1, 1)
            assert told.out_of_sync == DRIFTED + 1
            again = await _report(crm, _entries())
            assert (again.unchanged, again.out_of_sync) == (SUBSCRIBERS - 1, DRIFTED + 1)


async def _killed(server: Server, chance: random.Random) -> None:
    """Kills the server while a report arrives."""
    last, sent = chance.randrange(1, SUBSCRIBERS), asyncio.Event()

    async def entries() -> AsyncIterator[PlatformSubscription]:
        async for entry in _entries():
            yield entry
            if entry.subscription == f"K{last:05}":
                sent.set()
        await asyncio.Event().wait()

    async with AsyncClient(server.address) as client:
        report = asyncio.create_task(_report(client, entries()))
        await sent.wait()
        await asyncio.sleep(chance.uniform(0, 0.2))
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        with pytest.raises(ServerUnavailable):
            await report
    await asyncio.to_thread(server.start)


async def _entries() -> AsyncIterator[PlatformSubscription]:
    """Yields an entry for every subscriber except the first. In some entries the service is
    missing.
    """
    for n in range(1, SUBSCRIBERS):
        on = (
            []
            if n % (SUBSCRIBERS // DRIFTED) == 1
            else [PlatformEntitlement(provider_service_id="1")]
        )
        yield PlatformSubscription(subscription=f"K{n:05}", entitlements=on)


async def _report(
    client: AsyncClient, entries: AsyncIterator[PlatformSubscription]
) -> ReportPlatformStateResponse:
    later = datetime.now(UTC) + timedelta(minutes=4)
    return await client.report_platform_state("P", entries, observed_time=later, complete=True)


def _served(n: int) -> PerformActionRequest:
    account = ExistingAccount(provider="P", account_number=f"A{n}", holds_everything=True)
    become = actions.BecomeSubscriber(
        type="OTT", provider="P", services=[("MAIN", "SPORT")], existing=[account]
    )
    return actions.request(become, subscription=f"K{n:05}")
