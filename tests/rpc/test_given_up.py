"""Tests that the server ends the work for a call when the caller gives the call up."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio
import pytest

from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1.request_service_pb2_grpc import RequestServiceStub
from generic_provider_server.store.read.queries import Queries
from generic_provider_server.store.readers import READERS
from support.calling import Caller
from support.slow import FOREVER


async def test_lists_given_up_by_their_callers_delay_nobody_else(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def requests_at_last(queries: Any, *_: object, **__: object) -> None:
        queries._database.execute_sql(FOREVER).fetchall()  # noqa: SLF001 - a slow query

    monkeypatch.setattr(Queries, "requests", requests_at_last)
    stub = RequestServiceStub(caller.channel)
    calls = [stub.ListRequests(requests.ListRequestsRequest(), timeout=0.5) for _ in range(40)]
    given_up = await asyncio.gather(*calls, return_exceptions=True)
    async with asyncio.timeout(30):
        wanted = requests.GetBacklogRequest(provider="P")
        backlogs = [await stub.GetBacklog(wanted) for _ in range(2 * READERS)]

    assert not any(backlog.pending for backlog in backlogs)
    codes = {each.code() for each in given_up if isinstance(each, grpc.aio.AioRpcError)}
    assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}
