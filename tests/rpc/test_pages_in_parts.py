"""Tests lists whose filter has no index: such a list is read in parts, and its pages together have
all entries.
"""

from __future__ import annotations

from typing import Any

import pytest

from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from support.calling import Caller, Refusal

RARE = {"S03", "S08"}
LISTS = (
    ("ListSubscriptions", subscriptions.ListSubscriptionsRequest(type="RARE"), "subscriptions"),
    ("ListActions", subscriptions.ListActionsRequest(performed_by="rare"), "actions"),
    ("ListRequests", requests.ListRequestsRequest(item_serial="rare S03"), "requests"),
)


@pytest.mark.parametrize(("rpc", "listed", "field"), LISTS, ids=[rpc for rpc, *_ in LISTS])
async def test_every_match_comes_although_no_page_examines_many(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, rpc: str, listed: Any, field: str
) -> None:
    monkeypatch.setattr("generic_provider_server.store.read.base.MOST_EXAMINED", 4)
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
    found, pages, wanted = set[str](), 0, type(listed)()
    wanted.CopyFrom(listed)
    while not pages or wanted.page_token:
        page = await caller.call(rpc, wanted)
        found |= {getattr(each, "subscription", "") or each.number for each in getattr(page, field)}
        wanted.page_token = page.next_page_token
        pages += 1

    assert found == (RARE if rpc != "ListRequests" else {"S03"})
    assert pages == 3
