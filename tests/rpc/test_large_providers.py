"""Other callers are answered while a large provider is decoded from a message, or encoded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from generic_provider.v1 import provider_service_pb2 as api
from generic_provider.v1 import resources_pb2 as pb
from generic_provider_server.rpc import provider_service
from support.calling import Caller, Refusal

PATIENCE = 20.0
CREATE = api.CreateProviderRequest(
    provider=pb.Provider(
        code="LARGE",
        distributors=[pb.Distributor(code="MAIN")],
        services=[pb.Service(code=f"S{n}", provider_service_id=f"{n}") for n in range(5_000)],
    )
)


@pytest.mark.parametrize("step", ["provider_of", "provider_message"])
async def test_other_calls_are_answered_during_a_long_step(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    begun, answered = threading.Event(), threading.Event()
    usual: Callable[..., object] = getattr(provider_service, step)

    def long(*arguments: object) -> object:
        if not begun.is_set():
            begun.set()
            assert answered.wait(PATIENCE), "nobody was answered during this step"
        return usual(*arguments)

    monkeypatch.setattr(provider_service, step, long)
    creating = asyncio.create_task(caller.call("CreateProvider", CREATE))
    while not begun.is_set():
        await asyncio.sleep(0)
    listed = await caller.call("ListProviders", api.ListProvidersRequest(page_size=1))
    answered.set()

    assert not isinstance(listed, Refusal)
    created = await creating
    assert len(created.provider.services) == len(CREATE.provider.services)
