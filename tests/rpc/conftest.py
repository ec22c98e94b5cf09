from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from generic_provider.v1 import provider_service_pb2 as providers
from generic_provider.v1 import resources_pb2 as pb
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from support.calling import Caller

GOODS = ("SMARTCARD", "DECODER")
CHAIN = ("MAIN", "TWIN1", "TWIN2", "TWIN3")


@pytest.fixture
async def address(url: str, tmp_path: Path) -> AsyncIterator[str]:
    settings = Settings(listen="127.0.0.1:0", database=url, archive_folder=tmp_path)
    async with running(settings) as served:
        yield served


@pytest.fixture
async def caller(address: str) -> AsyncIterator[Caller]:
    """Yields a caller of a server with two providers: P is effective; Q has no distributors and no
    services, and is not effective.
    """
    async with grpc.aio.insecure_channel(address) as channel:
        caller = Caller(channel)
        for provider in (provider_p(), pb.Provider(code="Q")):
            request = providers.CreateProviderRequest(provider=provider)
            await caller.call("CreateProvider", request)
        effective = providers.SetProviderStateRequest(
            provider="P", state=pb.PROVIDER_STATE_EFFECTIVE
        )
        await caller.call("SetProviderState", effective)
        yield caller


def provider_p() -> pb.Provider:
    return pb.Provider(
        code="P",
        distributors=[
            pb.Distributor(
                code=code,
                required_distributor=CHAIN[n - 1] if n else "",
                required_goods_types=GOODS,
            )
            for n, code in enumerate(CHAIN)
        ],
        services=[pb.Service(code=f"S{n}", provider_service_id=f"id-{n}") for n in range(20)]
        + [pb.Service(code="VOD", provider_service_id="vod", kind=pb.SERVICE_KIND_USAGE)],
        goods=[pb.GoodsMapping(goods_type=each, provider_goods_type=each) for each in GOODS],
    )
