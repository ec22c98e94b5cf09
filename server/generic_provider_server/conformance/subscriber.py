"""Invents subscribers, and creates requests for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider.v1 import resources_pb2 as v1

from .named_parts import Offer

UNKNOWN_TYPE = 999


class Subscriber:
    def __init__(self, provider: str, numbers: Iterator[int], *, offer: Offer) -> None:
        self.account_number = ""
        self._provider = provider
        self._numbers = numbers
        self._offer = offer
        number = next(numbers)
        self.number = f"S{number:010d}"
        self._items = [
            v1.InstalledItem(
                provider=provider,
                distributor=offer.distributor,
                serial_number=f"{number + 10**11 * n:012d}",
                goods_type=goods.goods_type,
                provider_goods_type=goods.provider_goods_type,
            )
            for n, goods in enumerate(offer.goods())
        ]
        self._account = v1.Account(number=f"A{number}", name="Conformance Check")
        self._address = v1.Address(lines=["1 Test Street"], city="Testville", country="CZ")

    def become(self) -> v1.ProvisioningRequest:
        return self._request(
            v1.REQUEST_TYPE_BECOME_SUBSCRIBER,
            account=self._account,
            address=self._address,
            installed_items=self._items,
        )

    @property
    def has_items(self) -> bool:
        return bool(self._items)

    def activate(self, service: str = "") -> v1.ProvisioningRequest:
        return self.of(v1.REQUEST_TYPE_ACTIVATE_SERVICE, service=service)

    def deactivate(self) -> v1.ProvisioningRequest:
        return self.of(v1.REQUEST_TYPE_DEACTIVATE_SERVICE)

    def stray(self) -> v1.ProvisioningRequest:
        """Creates a request that switches off an entitlement without a distributor."""
        request = self.deactivate()
        request.service.distributor = ""
        for item in request.service.items:
            item.distributor = ""
        return request

    def unknown(self) -> v1.ProvisioningRequest:
        """Creates a request of a type that the protos do not define."""
        return self._request(v1.RequestType.ValueType(UNKNOWN_TYPE))

    def of(self, kind: v1.RequestType.ValueType, *, service: str = "") -> v1.ProvisioningRequest:
        """Creates a request of the type `kind`, with all fields that such a request has."""
        on = self._on(self._offer.find(service or self._offer.service))
        match kind:
            case v1.REQUEST_TYPE_BECOME_SUBSCRIBER:
                return self.become()
            case v1.REQUEST_TYPE_ADD_INSTALLED_ITEM | v1.REQUEST_TYPE_REMOVE_INSTALLED_ITEM:
                return self._request(kind, installed_item=self._items[0])
            case v1.REQUEST_TYPE_UPDATE_SUBSCRIBER | v1.REQUEST_TYPE_UPDATE_ADDRESS:
                return self._request(kind, account=self._account, address=self._address)
            case v1.REQUEST_TYPE_ACTIVATE_SUBSCRIBER | v1.REQUEST_TYPE_DEACTIVATE_SUBSCRIBER:
                return self._request(kind, services=[on])
            case v1.REQUEST_TYPE_ADD_UDR | v1.REQUEST_TYPE_CANCEL_UDR:
                used = self._offer.usage()
                return self._request(kind, service=self._on(used), usage=self._usage(used))
            case _:
                return self._request(kind, service=on)

    def _on(self, service: v1.Service) -> v1.ProvisionedService:
        return v1.ProvisionedService(
            service=service.code,
            provider_service_id=service.provider_service_id,
            distributor=self._offer.distributor,
            kind=service.kind or v1.SERVICE_KIND_TERMED,
            items=self._items if self._offer.requires_goods else (),
            parameters=service.parameters,
        )

    def _usage(self, service: v1.Service) -> v1.Usage:
        start, end = Timestamp(), Timestamp()
        start.GetCurrentTime()
        end.FromDatetime(start.ToDatetime() + timedelta(hours=2))
        return v1.Usage(
            reference=f"check-{self.number}",
            provider=self._provider,
            distributor=self._offer.distributor,
            service=service.code,
            quantity=1,
            start_time=start,
            end_time=end,
        )

    def _request(self, kind: v1.RequestType.ValueType, **parts: Any) -> v1.ProvisioningRequest:
        return v1.ProvisioningRequest(
            number=f"R{next(self._numbers):010d}",
            type=kind,
            state=v1.REQUEST_STATE_PENDING,
            origin=v1.REQUEST_ORIGIN_ACTION,
            provider=self._provider,
            subscription=self.number,
            account_number=self.account_number,
            **parts,
        )
