"""Makes random actions that callers rarely make: swaps to another goods type, exchanges of items,
new term ends with a swap, and replacements that change little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from generic_provider_server.domain.actions import (
    AddServices,
    AddUsage,
    AnyAction,
    BecomeSubscriber,
    ChangeDistribution,
    ChangeTerms,
    RemoveItems,
    Replace,
    Selection,
    StartServices,
    SwapItem,
)
from generic_provider_server.domain.values import (
    TIMED,
    Instant,
    Item,
    ServiceKind,
    State,
    SubscribedService,
    Subscription,
)

from .acting import HOUR
from .wider_acting import WiderCrm, item_move, selection_of, service_move


@dataclass(frozen=True, slots=True, kw_only=True)
class RarerCrm(WiderCrm):
    def rarely_become(self, number: str, now: Instant) -> BecomeSubscriber:
        """Returns a Become Subscriber whose services may have term ends, or one that names a
        provider and no services.
        """
        action = self.become(number)
        if self.chance.random() < 0.3:
            provider = self._provider().code
            return replace(action, provider=provider, services=(), items=self._any(action.items))
        terms = [replace(each, term_end=self._end(now)) for each in action.services]
        return replace(action, services=tuple(terms))

    def rare_action(self, state: Subscription, now: Instant) -> AnyAction:
        kinds: list[Callable[[Subscription, Instant], AnyAction]] = [
            self._everywhere,
            self._little_replaced,
            self._film,
        ]
        if state.services:
            kinds += [self._swap_with_term, self._terms, self._start_all]
        if state.items:
            kinds += [self._swap_kind, self._swap_kind, self._exchange, self._remove_there]
        return self.chance.choice(kinds)(state, now)

    def _end(self, now: Instant) -> Instant | None:
        return self.chance.choice((None, self._until(now)))

    def _any(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        return tuple([item for item in items if self.chance.random() < 0.6])

    def _everywhere(self, _: Subscription, __: Instant) -> AnyAction:
        """Adds a service at every provider."""
        places = [(each, each.distributors[0].code) for each in self.providers]
        return AddServices(tuple([self._selection(*place) for place in places]))

    def _little_replaced(self, state: Subscription, now: Instant) -> AnyAction:
        """Replaces the subscription by itself, without some of its items and services."""
        targets = State.EFFECTIVE, State.EFFECTIVE, State.NOT_EFFECTIVE, *TIMED
        target = self.chance.choice(targets)
        kept = [each for each in state.services if self.chance.random() < 0.7]
        return Replace(
            state=target,
            type=state.type,
            holder=self.chance.choice((state.holder, self._holder())),
            address=state.address,
            until=self._until(now) if target in TIMED else None,
            items=self.chance.choice((state.items, self._any(state.items))),
            services=tuple([self._with_term(each, now) for each in kept]),
        )

    def _with_term(self, service: SubscribedService, now: Instant) -> Selection:
        coming = service.term_end if (service.term_end or 0) > now else self._until(now)
        return replace(selection_of(service), term_end=self.chance.choice((None, coming)))

    def _film(self, _: Subscription, now: Instant) -> AnyAction:
        """Adds a usage record that starts later. Often its reference is used already, or the
        service has to choose the distributor.
        """
        provider = self._provider()
        start = Instant(now + self.chance.choice((0, HOUR, 5 * HOUR)))
        return AddUsage(
            provider=provider.code,
            distributor=self.chance.choice(
                ("", "", self.chance.choice(provider.distributors).code)
            ),
            service=self._service(provider, ServiceKind.USAGE),
            quantity=self.chance.choice((1, 2)),
            start_time=start,
            end_time=self._until(start),
            reference=f"film {self.chance.randrange(2)}",
            parameters={"film": self.chance.choice("AB")},
        )

    def _swap_with_term(self, state: Subscription, now: Instant) -> AnyAction:
        swap = self._swap_service(state, now)
        return replace(swap, term_end=self._until(now))

    def _terms(self, state: Subscription, now: Instant) -> AnyAction:
        some = self._some_services(state)
        return ChangeTerms(tuple([replace(each, term_end=self._end(now)) for each in some]))

    def _start_all(self, state: Subscription, now: Instant) -> AnyAction:
        off = [each for each in state.services if not (each.on or each.term_over)]
        if not off:
            return self._several(state, now)
        return StartServices(tuple([selection_of(each) for each in off]))

    def _swap_kind(self, state: Subscription, _: Instant) -> AnyAction:
        """Swaps an item, which the action names in one of several ways."""
        item = self.chance.choice(state.items)
        provider = next(p for p in self.providers if p.code == item.provider)
        types = [mapping.goods_type for mapping in provider.goods]
        return SwapItem(
            old_serial_number=item.serial_number,
            goods_type=self.chance.choice(("", item.goods_type)),
            new_serial_number=self.chance.choice((item.serial_number, *self.serials)),
            new_goods_type=self.chance.choice(("", *types)),
            provider=self.chance.choice(("", item.provider)),
            distributor=self.chance.choice(("", item.distributor)),
        )

    def _exchange(self, state: Subscription, now: Instant) -> AnyAction:
        """Exchanges two items between their distributors, with or without the services there."""
        one = self.chance.choice(state.items)
        others = [i for i in state.items if i.provider == one.provider]
        other = self.chance.choice([i for i in others if i.distributor != one.distributor] or [one])
        if other is one:
            return self._moved(state, now)
        moves = [item_move(one, other.distributor), item_move(other, one.distributor)]
        targets = {one.distributor: other.distributor, other.distributor: one.distributor}
        if self.chance.random() < 0.5:
            there = [s for s in state.services if s.provider == one.provider]
            moves += [
                service_move(s, targets[s.distributor]) for s in there if s.distributor in targets
            ]
        return ChangeDistribution(tuple(moves))

    def _remove_there(self, state: Subscription, _: Instant) -> AnyAction:
        item = self.chance.choice(state.items)
        return RemoveItems(
            (item.serial_number,),
            goods_type=item.goods_type,
            provider=self.chance.choice(("", item.provider)),
            distributor=self.chance.choice(("", item.distributor)),
        )
