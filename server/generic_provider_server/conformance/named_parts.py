"""Defines the distributor, the goods and the services that the requests of the check name."""

from __future__ import annotations

from dataclasses import dataclass

from generic_provider import Distributor, Provider, Service, ServiceKind
from generic_provider.v1.resources_pb2 import GoodsMapping


@dataclass(frozen=True, slots=True)
class Offer:
    provider: Provider
    """The provider in the file of `--provider-file`; empty if the option is absent."""
    service: str

    def __post_init__(self) -> None:
        if self.provider.services and not any(s.code == self.service for s in self._services()):
            raise ValueError(f"the provider has no service {self.service!r}")

    @property
    def distributor(self) -> str:
        return self._point().code

    def goods(self) -> list[GoodsMapping]:
        """Returns the goods that the distributor requires, in the order of the distributor, or all
        goods of the provider if the distributor requires no goods. If there is no provider, returns
        a SMARTCARD.
        """
        if not self.provider.services:
            return [GoodsMapping(goods_type="SMARTCARD", provider_goods_type="SMARTCARD")]
        known = {each.goods_type: each for each in self.provider.goods}
        wanted = self._point().required_goods_types or known
        return [known[each] for each in wanted if each in known]

    @property
    def requires_goods(self) -> bool:
        """Tells whether an entitlement on the distributor belongs to its goods."""
        return not self.provider.services or bool(self._point().required_goods_types)

    def find(self, code: str) -> Service:
        """Returns the service with this code.

        For a service that the file does not name, the code is also the id on the platform.
        """
        invented = Service(code=code, provider_service_id=code)
        return next((each for each in self._services() if each.code == code), invented)

    def usage(self) -> Service:
        kinds = (each for each in self._services() if each.kind == ServiceKind.USAGE)
        return next(kinds, self.find(self.service))

    def _point(self) -> Distributor:
        """Returns the first distributor that offers the service and requires no other distributor.
        If each requires another, returns the first that offers the service.
        """
        offering = [
            each
            for each in self.provider.distributors
            if not each.allowed_services or self.service in each.allowed_services
        ]
        main = Distributor(code="MAIN")
        return min(offering, key=lambda each: bool(each.required_distributor), default=main)

    def _services(self) -> list[Service]:
        return [*self.provider.services]


def offer_of(provider: Provider | None, service: str | None) -> Offer:
    """Returns the provider with the service that the requests of the check name. If `service` is
    None, the requests name the provider's first service that is no usage service, or SPORT if there
    is no provider. Raises ValueError if the provider does not have the service.
    """
    termed = [
        each.code
        for each in (provider.services if provider else ())
        if each.kind != ServiceKind.USAGE
    ]
    return Offer(provider or Provider(), service or next(iter(termed), "SPORT"))
