from __future__ import annotations

from pathlib import Path

import pytest

from generic_provider import AsyncClient, Distributor, Provider, ProviderInUse, Service, actions
from generic_provider_server.app import running
from generic_provider_server.config import Settings


def provider(code: str, *services: str) -> Provider:
    return Provider(
        code=code,
        distributors=[Distributor(code="MAIN")],
        services=[Service(code=each, provider_service_id=each) for each in services],
    )


async def test_a_service_that_only_an_unsettled_swap_names_cannot_be_removed(
    tmp_path: Path,
) -> None:
    settings = Settings(listen="127.0.0.1:0", database=f"sqlite:///{tmp_path / 'x.db'}")
    async with running(settings) as address, AsyncClient(address) as crm:
        await crm.create_provider(provider("X", "A"))
        await crm.set_provider_state("X", state="EFFECTIVE")
        await crm.create_provider(provider("Y", "A", "B", "C"))
        become = actions.BecomeSubscriber(
            type="DTH", services=[("X", "MAIN", "A"), ("Y", "MAIN", "A")]
        )
        number = (await crm.perform(become)).subscription.number
        for old, new in ("A", "B"), ("B", "C"):
            swap = actions.SwapService(
                provider="Y", distributor="MAIN", old_service=old, new_service=new
            )
            await crm.perform(swap, subscription=number)

        with pytest.raises(ProviderInUse) as refused:
            await crm.update_provider(provider("Y", "A", "C"))

        assert refused.value.metadata == {"provider": "Y", "thing": "service B", "count": "1"}
