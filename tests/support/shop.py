"""Contains a CRM that makes subscribers on a real server. An adapter gets the requests of these
subscribers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from generic_provider import (
    AsyncClient,
    DeliverySettings,
    Distributor,
    Provider,
    ProvisioningRequest,
    RequestState,
    Service,
    actions,
)
from generic_provider_server.app import running
from generic_provider_server.config import Settings


@dataclass(frozen=True)
class Shop:
    address: str
    crm: AsyncClient

    async def open(self, *, max_delivery_attempts: int = 0) -> None:
        provider = Provider(
            code="P",
            distributors=[Distributor(code="MAIN")],
            services=[Service(code="SPORT", provider_service_id="1")],
            delivery_settings=DeliverySettings(max_delivery_attempts=max_delivery_attempts),
        )
        await self.crm.create_provider(provider)
        await self.crm.set_provider_state("P", state="EFFECTIVE")

    async def subscribe(self, numbers: Iterable[str]) -> None:
        """Makes subscribers. Each subscriber has one request: BECOME_SUBSCRIBER with SPORT."""
        become = actions.BecomeSubscriber(type="DTH", provider="P", services=[("MAIN", "SPORT")])
        orders = [actions.request(become, subscription=number) for number in numbers]
        await self.crm.batch_perform(orders)

    async def requests(self) -> dict[str, ProvisioningRequest]:
        """Returns the newest request of each subscription."""
        found = [each async for each in self.crm.list_requests(oldest_first=True)]
        return {each.subscription: each for each in found}

    async def tried(self) -> dict[str, ProvisioningRequest]:
        """Waits until each request is settled or had a failed attempt, and returns all requests."""
        while not all(map(_tried, (found := await self.requests()).values())):
            await asyncio.sleep(0.02)
        return found


def _tried(request: ProvisioningRequest) -> bool:
    given_back = request.error_code or request.delivery_attempts > 1
    return request.state != RequestState.PENDING or bool(given_back)


@asynccontextmanager
async def shop(folder: Path) -> AsyncIterator[Shop]:
    settings = Settings(listen="127.0.0.1:0", database=f"sqlite:///{folder / 'x.db'}")
    async with running(settings) as address, AsyncClient(address) as crm:
        opened = Shop(address, crm)
        await opened.open()
        yield opened
