from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
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
        assert refused.value.message.endswith(f"provider Y use it (1 in all): {number}")


async def test_a_refusal_names_examples_of_the_users(tmp_path: Path) -> None:
    settings = Settings(listen="127.0.0.1:0", database=f"sqlite:///{tmp_path / 'x.db'}")
    async with running(settings) as address, AsyncClient(address) as crm:
        await crm.create_provider(provider("X", "A", "B"))
        for n in range(10, 25):
            services = [("X", "MAIN", "A" if n < 22 else "B")]
            become = actions.BecomeSubscriber(type="DTH", services=services)
            await crm.perform(become, subscription=f"S{n}")
        later = datetime.now(UTC) + timedelta(days=1)
        add = actions.AddServices(services=[("X", "MAIN", "B")])
        scheduled = (await crm.perform(add, subscription="S10", schedule_time=later)).action.id

        said = list[str]()
        for left in "A", "B":
            with pytest.raises(ProviderInUse) as refused:
                await crm.update_provider(provider("X", left))
            said.append(refused.value.message.partition("use it ")[2])

    assert said[0] == f"(4 in all): S22, S23, S24, {scheduled}"
    named = ", ".join([f"S{n}" for n in range(10, 20)])
    assert said[1] == f"(12 in all), for example {named}"


async def test_a_subscription_that_cannot_be_read_does_not_change_the_refusal(
    tmp_path: Path,
) -> None:
    settings = Settings(listen="127.0.0.1:0", database=f"sqlite:///{tmp_path / 'x.db'}")
    async with running(settings) as address, AsyncClient(address) as crm:
        await crm.create_provider(provider("X", "A", "B"))
        become = actions.BecomeSubscriber(type="DTH", services=[("X", "MAIN", "A")])
        await crm.perform(become, subscription="S1")
        with closing(sqlite3.connect(tmp_path / "x.db")) as database, database:
            database.execute("UPDATE subscription SET document = ?", (b"{}",))

        with pytest.raises(ProviderInUse) as refused:
            await crm.update_provider(provider("X", "B"))

    assert refused.value.message.endswith("use it (1 in all)")
