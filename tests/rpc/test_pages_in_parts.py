"""Tests lists whose filter has no index: such a list is read in parts, and its pages together have
all entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import reset_service_pb2 as resets
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from generic_provider_server.store.read import resets as read_resets
from support.calling import Caller, Refusal

RARE = {"S03", "S08"}
LISTS = (
    ("ListSubscriptions", subscriptions.ListSubscriptionsRequest(type="RARE"), "subscriptions"),
    ("ListActions", subscriptions.ListActionsRequest(performed_by="rare"), "actions"),
    ("ListRequests", requests.ListRequestsRequest(item_serial="rare S03"), "requests"),
)
LONG_AGO = Timestamp(seconds=1)
EMPTY_LISTS = (
    subscriptions.ListSubscriptionsRequest(provider="Q"),
    subscriptions.ListSubscriptionsRequest(states=[pb.SUBSCRIPTION_STATE_DRAFT]),
    subscriptions.ListSubscriptionsRequest(sync_states=[pb.SYNC_STATE_IN_SYNC]),
    subscriptions.ListSubscriptionsRequest(created_to=LONG_AGO),
    subscriptions.ListActionsRequest(kinds=[subscriptions.ACTION_KIND_TERMINATE]),
    subscriptions.ListActionsRequest(states=[subscriptions.ACTION_STATE_REJECTED]),
    subscriptions.ListActionsRequest(created_to=LONG_AGO),
    requests.ListRequestsRequest(provider="Q"),
    requests.ListRequestsRequest(types=[pb.REQUEST_TYPE_UPDATE_ADDRESS]),
    requests.ListRequestsRequest(states=[pb.REQUEST_STATE_REJECTED]),
    requests.ListRequestsRequest(origins=[pb.REQUEST_ORIGIN_RESET]),
    requests.ListRequestsRequest(settled_from=LONG_AGO),
)
"""Lists without an entry, whose filters have no index."""


@pytest.mark.parametrize(("rpc", "listed", "field"), LISTS, ids=[rpc for rpc, *_ in LISTS])
async def test_every_match_comes_although_no_page_examines_many(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, rpc: str, listed: Any, field: str
) -> None:
    monkeypatch.setattr("generic_provider_server.store.read.base.MOST_EXAMINED", 4)
    await _make_ten(caller)
    found, pages = set[str](), 0
    async for page in _pages(caller, rpc, listed):
        found |= {getattr(each, "subscription", "") or each.number for each in getattr(page, field)}
        pages += 1

    assert found == (RARE if rpc != "ListRequests" else {"S03"})
    assert pages == 3


async def test_no_page_of_an_empty_list_examines_many(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.store.read.base.MOST_EXAMINED", 4)
    await _make_ten(caller)
    for listed in EMPTY_LISTS:
        rpc = type(listed).__name__.removesuffix("Request")
        pages = [page async for page in _pages(caller, rpc, listed)]
        assert len(pages) == 3, listed


async def _pages(caller: Caller, rpc: str, listed: Any) -> AsyncIterator[Any]:
    wanted = type(listed)()
    wanted.CopyFrom(listed)
    while True:
        page = await caller.call(rpc, wanted)
        yield page
        wanted.page_token = page.next_page_token
        if not wanted.page_token:
            return


async def _make_ten(caller: Caller) -> None:
    for n in range(10):
        number = f"S{n:02}"
        rare = number in RARE
        action = subscriptions.PerformActionRequest(
            subscription=number, performed_by="rare" if rare else "usual"
        )
        action.become_subscriber.type = "RARE" if rare else "USUAL"
        action.become_subscriber.provider = "P"
        serial = f"rare {number}" if rare else number
        action.become_subscriber.items.add(
            distributor="MAIN", goods_type="SMARTCARD", serial_number=serial
        )
        assert not isinstance(await caller.call("PerformAction", action), Refusal)


@pytest.mark.parametrize("kind", ["definition", "run"])
async def test_a_page_of_long_definitions_reads_little_more_than_it_shows(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The limit of a page is so low that a page has about 15 definitions."""
    monkeypatch.setattr("generic_provider_server.rpc.paging.MOST_BYTES", 20_000)
    read = Counter[str]()

    def counting(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def count(row: Any) -> Any:
            read["rows"] += 1
            return decode(row)

        return count

    for decode in ("definition_of_row", "run_of_row"):
        path = f"generic_provider_server.store.read.resets.{decode}"
        monkeypatch.setattr(path, counting(getattr(read_resets, decode)))
    definition = resets.ResetRunDefinition(
        name="long", provider="P", subscriptions=[f"S{n:010}" for n in range(100)]
    )
    for _ in range(50):
        create = resets.CreateResetRunDefinitionRequest(definition=definition)
        made = (await caller.call("CreateResetRunDefinition", create)).definition
        if kind == "run":
            submit = resets.SubmitResetRunDefinitionRequest(definition=made.id)
            await caller.call("SubmitResetRunDefinition", submit)
    rpc = "ListResetRuns" if kind == "run" else "ListResetRunDefinitions"
    wanted: Any = getattr(resets, f"{rpc}Request")(page_size=1_000)
    field = "reset_runs" if kind == "run" else "definitions"
    found = list[str]()
    while not found or wanted.page_token:
        read.clear()
        page = await caller.call(rpc, wanted)
        assert read["rows"] <= 40
        found += [each.id for each in getattr(page, field)]
        wanted.page_token = page.next_page_token

    letter = "U" if kind == "run" else "D"
    assert found == [f"{letter}{n:010}" for n in range(50, 0, -1)]
