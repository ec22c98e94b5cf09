from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from generic_provider import (
    Adapter,
    AsyncClient,
    Distributor,
    Provider,
    ProvisioningRequest,
    RequestState,
    Service,
    actions,
)
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from support.proxy import proxy_to

SUBSCRIPTIONS = 30
CUTS = 12
PROVIDER = Provider(
    code="P",
    distributors=[Distributor(code="MAIN")],
    services=[Service(code="SPORT", provider_service_id="1")],
)


@pytest.fixture(autouse=True)
def _back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generic_provider._streams.RECONNECT_SECONDS", (0.01, 0.05))


async def test_a_stream_cut_again_and_again_has_nothing_done_twice_and_loses_nothing(
    tmp_path: Path,
) -> None:
    settings = Settings(listen="127.0.0.1:0", database=f"sqlite:///{tmp_path / 'x.db'}")
    begun: Counter[str] = Counter()

    async with running(settings) as address, proxy_to(address) as proxy:
        adapter = Adapter(proxy.address, provider="P", name="cut")

        @adapter.otherwise
        async def do(request: ProvisioningRequest) -> None:
            begun[request.number] += 1
            await asyncio.sleep(0.3)

        async with AsyncClient(address) as crm:
            await crm.create_provider(PROVIDER)
            await crm.set_provider_state("P", state="EFFECTIVE")
            serving = asyncio.create_task(adapter.serve())
            numbers = [f"C{n}" for n in range(SUBSCRIPTIONS)]
            await asyncio.gather(*[_subscribe(crm, number) for number in numbers])
            cut = 0
            while cut < CUTS:
                await asyncio.sleep(0.15)
                cut += proxy.cut()
            while (await crm.get_backlog("P")).pending:
                await asyncio.sleep(0.05)
            requests = [each async for each in crm.list_requests(provider="P")]
        adapter.stop()
        await serving

    assert {each.state for each in requests} == {RequestState.COMPLETED}
    assert len(requests) == 2 * SUBSCRIPTIONS
    assert begun == Counter(each.number for each in requests)


async def _subscribe(crm: AsyncClient, number: str) -> None:
    become = actions.BecomeSubscriber(type="DTH", provider="P")
    await crm.perform(become, subscription=number)
    await crm.perform(actions.AddServices(services=[("MAIN", "SPORT")]), subscription=number)
