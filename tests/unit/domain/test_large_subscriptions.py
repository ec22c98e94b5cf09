"""Tests that a change of a subscription with very many services needs little work."""

from __future__ import annotations

import pytest

from generic_provider_server.domain.catalogue import Catalogue
from generic_provider_server.domain.platform.image import Entitlement, Known, PlatformImage
from generic_provider_server.domain.platform.plan import PER_SERVICE, plan_action
from generic_provider_server.domain.values import Distributor, Provider, Service

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
