"""Tests the pages of a preview: each finding is on one page, the first page has the totals, and the
preview changes nothing.
"""

from __future__ import annotations

from typing import Any

import pytest

from generic_provider.v1 import provider_service_pb2 as providers
from generic_provider.v1 import reset_service_pb2 as resets
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from support.calling import Caller

COUNT = 230


@pytest.fixture
async def drifted(caller: Caller) -> Caller:
    """Creates many subscribers whom P serves already; P lacks one service of each."""
    await _set_state(caller, pb.PROVIDER_STATE_NOT_EFFECTIVE)
    acts = []
    for n in range(COUNT):
        become = subscriptions.BecomeSubscriber(
            type="DTH",
            provider="P",
            existing=[
                subscriptions.ExistingAccount(
                    provider="P", account_number=f"{n}", holds_everything=True
                )
            ],
            services=[subscriptions.ServiceSelection(distributor="MAIN", service="S0")],
            items=[
                pb.InstalledItem(distributor="MAIN", goods_type=goods, serial_number=f"{goods}{n}")
                for goods in ("SMARTCARD", "DECODER")
            ],
        )
        add = subscriptions.AddServices(
            services=[subscriptions.ServiceSelection(distributor="MAIN", service="S1")]
        )
        act = subscriptions.PerformActionRequest
        acts += [
            act(subscription=f"S{n:03d}", become_subscriber=become),
            act(subscription=f"S{n:03d}", add_services=add),
        ]
    batch = subscriptions.BatchPerformActionsRequest(actions=acts)
    answer = await caller.call("BatchPerformActions", batch)
    assert all(result.HasField("action") for result in answer.results), answer.results[:1]
    await _set_state(caller, pb.PROVIDER_STATE_EFFECTIVE)
    return caller


async def _set_state(caller: Caller, state: pb.ProviderState.ValueType) -> None:
    request = providers.SetProviderStateRequest(provider="P", state=state)
    await caller.call("SetProviderState", request)


async def _pages(caller: Caller, page_size: int, **fields: Any) -> list[Any]:
    definition = resets.ResetRunDefinition(name="n", provider="P", **fields)
    pages, token = list[Any](), ""
    while token or not pages:
        request = resets.PreviewResetRunRequest(
            definition_fields=definition, page_size=page_size, page_token=token
        )
        pages.append(await caller.call("PreviewResetRun", request))
        token = pages[-1].next_page_token
    return pages


@pytest.mark.parametrize("page_size", [100, 115, 1000])
async def test_pages_hold_everything_once_and_the_first_one_the_totals(
    drifted: Caller, page_size: int
) -> None:
    pages = await _pages(drifted, page_size)

    numbers = [entry.subscription for page in pages for entry in page.entries]
    assert numbers == [f"S{n:03d}" for n in range(COUNT)]
    assert [page.HasField("totals") for page in pages] == [True] + [False] * (len(pages) - 1)
    totals = pages[0].totals
    assert (totals.subscriptions, totals.holding, totals.losing) == (COUNT, COUNT, 0)
    assert [(each.type, each.count) for each in totals.requests] == [
        (pb.REQUEST_TYPE_ACTIVATE_SERVICE, COUNT)
    ]


async def test_a_sample_ends_where_it_is_complete(drifted: Caller) -> None:
    pages = await _pages(drifted, 50, first=120)
    assert [len(page.entries) for page in pages] == [50, 50, 20]
    assert pages[0].totals.subscriptions == 120


async def test_pages_of_few_findings_continue_after_what_was_examined(drifted: Caller) -> None:
    pages = await _pages(drifted, 10, services=["S1"], subscriptions=["S007", "S229"])
    assert [entry.subscription for page in pages for entry in page.entries] == ["S007", "S229"]


async def test_the_totals_count_listed_subscriptions_that_the_provider_does_not_serve(
    drifted: Caller,
) -> None:
    listed = ["S007", "S007", "S7", "S08", "S009"]
    (page,) = await _pages(drifted, 10, subscriptions=listed, subscription_types=["OTT"])
    assert (page.totals.subscriptions, page.totals.unknown_subscriptions) == (0, 2)
    assert page.totals.unknown_subscription_numbers == ["S08", "S7"]
    (page,) = await _pages(drifted, 10, subscriptions=[f"X{n:02}" for n in range(30, 0, -1)])
    assert page.totals.unknown_subscriptions == 30
    assert page.totals.unknown_subscription_numbers == [f"X{n:02}" for n in range(1, 11)]
    (page,) = await _pages(drifted, 10, first=1, subscriptions=["S007"])
    assert page.totals.unknown_subscriptions == 0


async def test_the_first_page_is_the_same_without_its_totals(drifted: Caller) -> None:
    definition = resets.ResetRunDefinition(name="n", provider="P")
    with_totals, without = [
        await drifted.call(
            "PreviewResetRun",
            resets.PreviewResetRunRequest(definition_fields=definition, without_totals=each),
        )
        for each in (False, True)
    ]

    assert with_totals.HasField("totals")
    assert not without.HasField("totals")
    assert without.entries == with_totals.entries
    assert without.next_page_token
