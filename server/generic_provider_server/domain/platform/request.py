"""Defines the contents of a provisioning request."""

from __future__ import annotations

from ..values import Account, Address, Instant, Parameters, RequestType, ServiceKind, Usage, Value
from .image import Entitlement, ProvisionedItem


class ProvisionedService(Value, frozen=True, kw_only=True):
    """A service in a request.

    `items`: the goods of its distributor, in the order of `Distributor.required_goods_types`.
    """

    service: str
    provider_service_id: str
    distributor: str
    kind: ServiceKind = ServiceKind.TERMED
    items: tuple[ProvisionedItem, ...] = ()
    term_end: Instant | None = None
    parameters: Parameters = {}

    @property
    def entitlement(self) -> Entitlement:
        return Entitlement(
            distributor=self.distributor,
            provider_service_id=self.provider_service_id,
            goods=tuple([item.goods for item in self.items]),
            service=self.service,
            term_end=self.term_end,
        )


class Request(Value, frozen=True, kw_only=True):
    """The contents of a provisioning request. `type` decides which other fields are set."""

    type: RequestType
    holder: Account | None = None
    address: Address | None = None
    service: ProvisionedService | None = None
    item: ProvisionedItem | None = None
    services: tuple[ProvisionedService, ...] = ()
    items: tuple[ProvisionedItem, ...] = ()
    usage: Usage | None = None
