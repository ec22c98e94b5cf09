"""Defines a subscription of the model, and checks the rules for every state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from generic_provider_server.domain.values import (
    FINAL,
    ON,
    Account,
    Address,
    Distributor,
    Provider,
    Service,
    ServiceKind,
    State,
    Usage,
)

Place = tuple[str, str, str]
"""(provider, distributor, service)"""

Providers = Mapping[str, Provider]


class NotAllowed(Exception):
    """Says that the rules refuse the action."""


@dataclass(frozen=True)
class Svc:
    """A service. `over` is True if the term of the service has ended, `by_term` if this end
    switched the service off, and `by_hand` if the CRM switched it off.
    """

    state: State
    term_end: int | None = None
    over: bool = False
    by_term: bool = False
    by_hand: bool = False

    @property
    def live(self) -> bool:
        return self.state not in FINAL


@dataclass
class Sub:
    """A subscription. `items` maps (provider, goods type, serial number) to the distributor of the
    item.
    """

    state: State
    type: str
    holder: Account
    address: Address
    until: int | None = None
    items: dict[tuple[str, str, str], str] = field(default_factory=dict)
    services: dict[Place, Svc] = field(default_factory=dict)
    usages: dict[str, Usage] = field(default_factory=dict)
    linked: set[str] = field(default_factory=set)
    by_term: bool = False

    @property
    def on(self) -> bool:
        return self.state in ON

    def copy(self) -> Sub:
        return replace(
            self,
            items=dict(self.items),
            services=dict(self.services),
            usages=dict(self.usages),
            linked=set(self.linked),
        )

    def any_on(self) -> bool:
        return any(service.state in ON for service in self.services.values())

    def in_use(self, provider: str, distributor: str) -> bool:
        at = provider, distributor
        held = {(p, d) for (p, _, _), d in self.items.items()}
        return at in held | {key[:2] for key, svc in self.services.items() if svc.live}

    def follow(self, origin: Iterable[State], target: State) -> None:
        """Changes the services in these states to the new state. A service whose term is over stays
        off.
        """
        for key, svc in self.services.items():
            if svc.state in origin:
                off = svc.over and target in ON
                state = State.NOT_EFFECTIVE if off else target
                self.services[key] = replace(svc, state=state, by_hand=svc.by_hand and off)


def need(condition: object, why: str) -> None:
    if not condition:
        raise NotAllowed(why)


def distributor_of(provider: Provider, code: str) -> Distributor:
    return next(d for d in provider.distributors if d.code == code)


def service_of(provider: Provider, code: str) -> Service:
    return next(s for s in provider.services if s.code == code)


def add_item(sub: Sub, key: tuple[str, str, str], distributor: str) -> None:
    need(key not in sub.items, "the item is at that provider already")
    sub.items[key] = distributor


def add_service(sub: Sub, key: Place, svc: Svc) -> None:
    need(key not in sub.services, "the service is there already")
    sub.services[key] = svc


def check(sub: Sub, providers: Providers) -> None:
    """Checks the rules that every state must obey."""
    slots = [(key[0], where, key[1]) for key, where in sub.items.items()]
    need(len(set(slots)) == len(slots), "two items of a goods type on one distributor")
    for key, where in sub.items.items():
        need(key[1] in {g.goods_type for g in providers[key[0]].goods}, "goods are not mapped")
        _check_distributor(sub, providers[key[0]], where)
    live = [key for key, svc in sub.services.items() if svc.live]
    for code, where, service in live:
        offered = distributor_of(providers[code], where).allowed_services
        need(not offered or service in offered, "the distributor does not offer the service")
        termed = service_of(providers[code], service).kind is ServiceKind.TERMED
        need(termed, "a usage service is not subscribed to")
        _check_distributor(sub, providers[code], where)
        most = distributor_of(providers[code], where).max_services
        need(most is None or sum(k[:2] == (code, where) for k in live) <= most, "too many")


def _check_distributor(sub: Sub, provider: Provider, code: str) -> None:
    required = distributor_of(provider, code).required_distributor
    need(not required or sub.in_use(provider.code, required), "the required distributor")
