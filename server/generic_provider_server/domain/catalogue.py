"""Indexes the parts of a provider by their codes, and checks that the provider is consistent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from .refusals import InvalidField, Reason, Refused, not_effective, not_found
from .values import Provider, ProviderState, Service, ServiceKind

Part = TypeVar("Part")

MOST_NAMED = 20
"""The greatest number of distributors that an error text lists when distributors require each other
in a cycle.
"""


class Parts(dict[str, Part]):
    """The parts of a provider by their codes. The look-up of an unknown code raises Refused."""

    def __init__(self, parts: dict[str, Part], refusal: Callable[[str], Refused]) -> None:
        super().__init__(parts)
        self._refusal = refusal

    def __missing__(self, code: str) -> Part:
        raise self._refusal(code)


class Catalogue:
    """A provider, with dictionaries of its distributors and services by code.

    `goods` contains the platform's goods type for each goods type of the CRM. `allowed` contains
    the allowed services of each distributor; an empty set allows all services.
    """

    __slots__ = (
        "allowed",
        "code",
        "depths",
        "distributors",
        "effective",
        "goods",
        "positions",
        "provider",
        "services",
    )

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.code = provider.code
        self.effective = provider.state is ProviderState.EFFECTIVE

        def no_distributor(code: str) -> Refused:
            return Refused(
                Reason.DISTRIBUTOR_NOT_FOUND,
                f"provider {provider.code} has no distributor {code!r}",
                provider=provider.code,
                distributor=code,
            )

        distributors = provider.distributors
        self.distributors = Parts({d.code: d for d in distributors}, no_distributor)
        self.allowed = Parts(
            {d.code: frozenset(d.allowed_services) for d in distributors}, no_distributor
        )
        self.services = Parts(
            {s.code: s for s in provider.services},
            lambda code: Refused(
                Reason.SERVICE_NOT_FOUND,
                f"provider {provider.code} has no service {code!r}",
                provider=provider.code,
                service=code,
            ),
        )
        self.goods = Parts(
            {g.goods_type: g.provider_goods_type for g in provider.goods},
            lambda goods_type: Refused(
                Reason.GOODS_TYPE_NOT_MAPPED,
                f"provider {provider.code} has no mapping for goods type {goods_type!r}",
                provider=provider.code,
                goods_type=goods_type,
            ),
        )
        self.depths = _depths({d.code: d.required_distributor for d in provider.distributors})
        self.positions = {code: n for n, code in enumerate(self.distributors)}

    def offered(self, service: str, *, distributor: str) -> Service:
        """Returns the service if the distributor offers it; raises Refused otherwise."""
        found = self.services[service]
        allowed = self.allowed[distributor]
        if allowed and service not in allowed:
            raise Refused(
                Reason.SERVICE_NOT_AVAILABLE,
                f"service {service} is not available on distributor {distributor} "
                f"of provider {self.code}",
                provider=self.code,
                distributor=distributor,
                service=service,
            )
        return found

    def rank(self, distributor: str) -> tuple[int, int]:
        """Returns a sort key: each distributor comes after the distributors that it requires, and
        unknown distributors come last.
        """
        return (
            self.depths.get(distributor, len(self.depths)),
            self.positions.get(distributor, len(self.positions)),
        )


Catalogues = Mapping[str, Catalogue]


def _depths(required: Mapping[str, str]) -> dict[str, int]:
    """Returns a number for the code of each distributor: how many distributors it requires,
    directly or indirectly.
    """
    depths: dict[str, int] = {}
    for first in required:
        chain, code = list[str](), first
        while code and code not in depths:
            chain.append(code)
            code = required[code]
        below = depths[code] if code else -1
        for n, each in enumerate(reversed(chain), start=1):
            depths[each] = below + n
    return depths


def catalogue_of(catalogues: Catalogues, provider: str) -> Catalogue:
    """Returns the provider's catalogue. Raises Refused if there is no such provider."""
    try:
        return catalogues[provider]
    except KeyError:
        raise not_found(Reason.PROVIDER_NOT_FOUND, provider) from None


def check_effective(catalogues: Catalogues, provider: str) -> None:
    """Raises Refused if there is no such provider, or if the provider is not effective."""
    if not catalogue_of(catalogues, provider).effective:
        raise not_effective(provider)


def check_provider(provider: Provider) -> None:
    """Raises InvalidField if fields of the provider contradict each other.

    The error names every contradiction.
    """
    wrong = [
        *_repeated("distributors", [d.code for d in provider.distributors]),
        *_repeated("services", [s.code for s in provider.services]),
        *_repeated("goods", [g.goods_type for g in provider.goods]),
        *_repeated("goods", [g.provider_goods_type for g in provider.goods]),
        *_wrong_distributors(provider),
        *_wrong_services(provider),
    ]
    if wrong:
        raise InvalidField(*wrong)


def check_complete(provider: Provider) -> None:
    missing = [name for name in ("distributors", "services") if not getattr(provider, name)]
    if missing:
        raise Refused(
            Reason.PROVIDER_INCOMPLETE,
            f"provider {provider.code} needs at least one distributor and one service to be "
            f"effective; it has no {' and no '.join(missing)}",
            provider=provider.code,
            missing=",".join(missing),
        )


def _repeated(field: str, codes: list[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for n, code in enumerate(codes):
        if code in seen:
            yield f"provider.{field}[{n}]", f"{code!r} is named twice"
        seen.add(code)


def _wrong_distributors(provider: Provider) -> Iterator[tuple[str, str]]:
    required = {d.code: d.required_distributor for d in provider.distributors}
    fine: set[str] = set()
    services = {s.code for s in provider.services}
    goods = {g.goods_type for g in provider.goods}
    for n, distributor in enumerate(provider.distributors):
        field = f"provider.distributors[{n}]"
        for service in distributor.allowed_services:
            if service not in services:
                yield f"{field}.allowed_services", f"the provider has no service {service!r}"
        yield from _repeated(
            f"distributors[{n}].required_goods_types", list(distributor.required_goods_types)
        )
        for goods_type in distributor.required_goods_types:
            if goods_type not in goods:
                yield f"{field}.required_goods_types", f"{goods_type!r} is not among the goods"
        wrong = _wrong_requirement(distributor.code, required, fine)
        if wrong:
            yield f"{field}.required_distributor", wrong


def _wrong_requirement(code: str, required: dict[str, str], fine: set[str]) -> str:
    """Describes the error in the chain of requirements that begins at the distributor. The text is
    empty if there is no error. The text is also empty if another distributor in the chain requires
    a distributor that does not exist, because the text for that other distributor describes this
    error.

    `fine` collects the distributors without a cycle, so that no part of a long chain is checked
    twice.
    """
    chain = {code: None}
    while (target := required[code]) and target not in fine:
        if target not in required:
            return f"the provider has no distributor {target!r}" if len(chain) == 1 else ""
        if target in chain:
            return f"{' requires '.join([*chain, target][:MOST_NAMED])}: a cycle"
        chain[target] = None
        code = target
    fine.update(chain)
    return ""


def _wrong_services(provider: Provider) -> Iterator[tuple[str, str]]:
    kinds = {s.code: s.kind for s in provider.services}
    for n, service in enumerate(provider.services):
        field = f"provider.services[{n}].required_service"
        if not service.required_service:
            continue
        if service.kind is not ServiceKind.USAGE:
            yield field, "only a usage service may require another service"
        elif kinds.get(service.required_service) is not ServiceKind.TERMED:
            yield field, f"the provider has no termed service {service.required_service!r}"
