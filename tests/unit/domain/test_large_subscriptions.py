"""Tests that a change of a subscription with very many services or items needs little work."""

from __future__ import annotations

import pytest
from msgspec.structs import astuple, replace

from generic_provider_server.domain.actions import AddServices, BecomeSubscriber
from generic_provider_server.domain.catalogue import Catalogue
from generic_provider_server.domain.platform.image import Entitlement, Known, PlatformImage
from generic_provider_server.domain.platform.plan import PER_SERVICE, plan_action
from generic_provider_server.domain.values import (
    Account,
    Address,
    Distributor,
    GoodsMapping,
    Item,
    Provider,
    ProviderState,
    Service,
)
from support.hybrid import Hybrid, added, on, over_the_top
from support.life import Life

MANY = 400


def test_the_requests_of_an_action_are_looked_for_in_an_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes = [f"S{n}" for n in range(MANY)]
    services = tuple([Service(code=code, provider_service_id=code) for code in codes])
    provider = Provider(code="P", distributors=(Distributor(code="MAIN"),), services=services)
    entitlements = tuple(
        [Entitlement(distributor="MAIN", provider_service_id=each, service=each) for each in codes]
    )
    on = PlatformImage(known=Known.YES, entitlements=entitlements)
    off = PlatformImage(known=Known.YES)
    surplus = Entitlement(distributor="MAIN", provider_service_id="X")
    expected = PlatformImage(known=Known.YES, entitlements=(*entitlements, surplus))
    key, asked = vars(Entitlement)["key"].fget, list[Entitlement]()

    def counted(self: Entitlement) -> object:
        asked.append(self)
        return key(self)

    monkeypatch.setattr(Entitlement, "key", property(counted))
    catalogue = Catalogue(provider)
    requests = plan_action(on, off, expected=expected, catalogue=catalogue, methods=PER_SERVICE)

    assert len(requests) == MANY
    assert len(asked) < 20 * MANY


def test_a_rollback_compares_each_item_with_few_others(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Provider(
        code="P",
        state=ProviderState.EFFECTIVE,
        distributors=tuple([Distributor(code=f"D{n}") for n in range(MANY)]),
        services=(Service(code="NEWS", provider_service_id="NEWS"),),
        goods=(GoodsMapping("STB", "STB"),),
    )
    places = [(f"D{n}", f"B{n}") for n in range(MANY)]
    items = [
        Item(provider="P", distributor=place, goods_type="STB", serial_number=number)
        for place, number in places
    ]
    both = Hybrid(Life([one, over_the_top()]))
    both.perform(
        BecomeSubscriber(
            number="S1",
            type="HYBRID",
            holder=Account(name="Mari"),
            address=Address(city="Tallinn"),
            items=tuple(items),
            services=(on("OTTX"),),
        )
    )
    both.serve()
    both.perform(added("OTTY"))
    news = replace(on("NEWS"), distributor="D0")
    both.perform(AddServices((news,)))
    compared = 0

    def counted(self: Item, other: Item) -> bool:
        nonlocal compared
        compared += 1
        return astuple(self) == astuple(other)

    monkeypatch.setattr(Item, "__eq__", counted)
    both.reject("Q")

    assert compared < 20 * MANY
