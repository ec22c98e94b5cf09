"""Makes random actions that name several items or services, and random actions that the state of
the subscription may not allow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from generic_provider_server.domain.actions import (
    AddItems,
    AddServices,
    AnyAction,
    ChangeDistribution,
    ChangeTerms,
    EndResting,
    EndShortTermActivation,
    EndShortTermDeactivation,
    Move,
    RemoveItems,
    RemoveServices,
    Replace,
    Rest,
    Selection,
    ShortTermActivate,
    ShortTermDeactivate,
    StartServices,
    StopServices,
)
from generic_provider_server.domain.values import (
    TIMED,
    Instant,
    Item,
    Provider,
    State,
    SubscribedService,
    Subscription,
)

from .acting import Crm

ANY_STATE = (State.EFFECTIVE, State.NOT_EFFECTIVE, *TIMED, State.DRAFT, State.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class WiderCrm(Crm):
    def wide_action(self, state: Subscription, now: Instant) -> AnyAction:
        kinds: list[Callable[[Subscription, Instant], AnyAction]] = [
            self._viewing_point,
            self._goods,
            self._many_services,
            self._out_of_turn,
            self._replaced,
        ]
        if state.services:
            kinds += [self._several, self._several, self._term_cleared]
        if state.items:
            kinds += [self._moved, self._items_gone]
        return self.chance.choice(kinds)(state, now)

    def _place(self) -> tuple[Provider, str]:
        provider = self.chance.choice(self.providers)
        return provider, self.chance.choice(provider.distributors).code

    def _viewing_point(self, state: Subscription, now: Instant) -> AnyAction:
        """Adds the goods of a free viewing point. If no viewing point is free, adds several
        services.
        """
        used = {item.distributor for item in state.items if item.provider == "ALUXSAT"}
        provider = next(p for p in self.providers if p.code == "ALUXSAT")
        free = [d for d in provider.distributors if d.code not in used]
        if not free:
            return self._many_services(state, now)
        return AddItems(self._goods_of(provider, free[0].code))

    def _goods_of(self, provider: Provider, distributor: str) -> tuple[Item, ...]:
        point = next(d for d in provider.distributors if d.code == distributor)
        return tuple([self._item(provider, distributor, g) for g in point.required_goods_types])

    def _goods(self, _: Subscription, __: Instant) -> AnyAction:
        return AddItems(self._goods_of(*self._place()))

    def _many_services(self, _: Subscription, __: Instant) -> AnyAction:
        places = [self._place() for _ in range(self.chance.randint(2, 4))]
        return AddServices(tuple(dict.fromkeys([self._selection(*place) for place in places])))

    def _some_services(self, state: Subscription) -> tuple[Selection, ...]:
        count = self.chance.randint(1, len(state.services))
        return tuple([selection_of(s) for s in self.chance.sample(state.services, count)])

    def _several(self, state: Subscription, _: Instant) -> AnyAction:
        kind = self.chance.choice((StartServices, StopServices, RemoveServices))
        return kind(self._some_services(state))

    def _term_cleared(self, state: Subscription, _: Instant) -> AnyAction:
        return ChangeTerms(self._some_services(state))

    def _moved(self, state: Subscription, _: Instant) -> AnyAction:
        """Moves everything on a distributor to another distributor."""
        first = self.chance.choice(state.items)
        provider = next(p for p in self.providers if p.code == first.provider)
        target = self.chance.choice(provider.distributors).code
        at = first.provider, first.distributor
        moves = [item_move(i, target) for i in state.items if (i.provider, i.distributor) == at]
        moves += [service_move(s, target) for s in state.services if s.place[:2] == at]
        return ChangeDistribution(tuple(moves))

    def _items_gone(self, state: Subscription, _: Instant) -> AnyAction:
        count = self.chance.randint(1, min(3, len(state.items)))
        serials = {item.serial_number for item in self.chance.sample(state.items, count)}
        return RemoveItems(tuple(sorted(serials)))

    def _out_of_turn(self, _: Subscription, now: Instant) -> AnyAction:
        until = self._until(now)
        kinds: list[AnyAction] = [EndResting(), EndShortTermActivation(), Rest(until)]
        kinds += [EndShortTermDeactivation(), ShortTermActivate(until), ShortTermDeactivate(until)]
        return self.chance.choice(kinds)

    def _replaced(self, state: Subscription, now: Instant) -> AnyAction:
        target = self.chance.choice(ANY_STATE)
        parts = [self._start(provider) for provider in self.providers]
        return Replace(
            state=target,
            type=state.type,
            holder=self._holder(),
            address=state.address,
            until=self._until(now) if target in TIMED else None,
            items=tuple([item for items, _ in parts for item in items]),
            services=tuple([service for _, services in parts for service in services]),
        )


def selection_of(service: SubscribedService) -> Selection:
    return Selection(
        provider=service.provider, distributor=service.distributor, service=service.service
    )


def item_move(item: Item, target: str) -> Move:
    return Move(
        provider=item.provider,
        from_distributor=item.distributor,
        to_distributor=target,
        goods=item.goods,
    )


def service_move(service: SubscribedService, target: str) -> Move:
    return Move(
        provider=service.provider,
        from_distributor=service.distributor,
        to_distributor=target,
        service=service.service,
    )
