"""Makes random actions of a CRM. Most actions are valid in the state for which they are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from msgspec.structs import replace

from generic_provider_server.domain.actions import (
    Activate,
    AddItems,
    AddServices,
    AddUsage,
    AnyAction,
    BecomeSubscriber,
    CancelUsage,
    ChangeDistribution,
    ChangeLocation,
    ChangeSubscriber,
    ChangeTerms,
    Deactivate,
    EndResting,
    EndShortTermActivation,
    EndShortTermDeactivation,
    Move,
    Regret,
    RemoveItems,
    RemoveServices,
    Replace,
    Rest,
    Selection,
    ShortTermActivate,
    ShortTermDeactivate,
    StartServices,
    StopServices,
    SwapItem,
    SwapService,
    Terminate,
)
from generic_provider_server.domain.values import (
    SECOND,
    TIMED,
    Account,
    Address,
    Instant,
    Item,
    Provider,
    ServiceKind,
    State,
    SubscribedService,
    Subscription,
)

HOUR = 3_600 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Crm:
    """Makes random actions. `serials`: the serial numbers of items, of every goods type."""

    chance: Random
    providers: Sequence[Provider]
    serials: Sequence[str]

    def become(self, number: str) -> BecomeSubscriber:
        count = min(len(self.providers), self.chance.choice((1, 1, 2)))
        providers = self.chance.sample(self.providers, count)
        parts = [self._start(provider) for provider in providers]
        return BecomeSubscriber(
            number=number,
            type="HOUSEHOLD",
            holder=self._holder(),
            address=self._address(),
            provider=providers[0].code if len(providers) == 1 else "",
            items=tuple([item for items, _ in parts for item in items]),
            services=tuple([service for _, services in parts for service in services]),
            draft=self.chance.random() < 0.15,
        )

    def action(self, state: Subscription, now: Instant) -> AnyAction:
        """Returns a random action for a subscription in the given state."""
        return self.chance.choice(self._kinds(state))(state, now)

    def _kinds(self, state: Subscription) -> list[Callable[[Subscription, Instant], AnyAction]]:
        kinds = [self._add_service, self._add_item, self._switch, self._switch, self._change]
        if state.services:
            kinds += [self._start_or_stop, self._start_or_stop, self._remove_service]
            kinds += [self._swap_service, self._change_terms, self._move_service]
        if state.items:
            kinds += [self._remove_item, self._swap_item, self._swap_item, self._move]
        if state.on:
            kinds += [self._add_usage, self._cancel_usage] if state.usages else [self._add_usage]
        return [*kinds, self._replace] if self.chance.random() < 0.3 else kinds

    def _start(self, provider: Provider) -> tuple[tuple[Item, ...], tuple[Selection, ...]]:
        first = provider.distributors[0]
        items = tuple([self._item(provider, first.code, g) for g in first.required_goods_types])
        services = {self._selection(provider, first.code) for _ in range(self.chance.randint(1, 2))}
        return items, tuple(sorted(services, key=lambda s: s.service))

    def _provider(self) -> Provider:
        return self.chance.choice(self.providers)

    def _service(self, provider: Provider, kind: ServiceKind) -> str:
        return self.chance.choice([s.code for s in provider.services if s.kind is kind])

    def _selection(self, provider: Provider, distributor: str) -> Selection:
        service = self._service(provider, ServiceKind.TERMED)
        return Selection(provider=provider.code, distributor=distributor, service=service)

    def _item(self, provider: Provider, distributor: str, goods_type: str) -> Item:
        return Item(
            provider=provider.code,
            distributor=distributor,
            goods_type=goods_type,
            serial_number=self.chance.choice(self.serials),
        )

    def _holder(self) -> Account:
        return Account(name=self.chance.choice(("Mari", "Jaan", "Liis")))

    def _address(self) -> Address:
        return Address(city=self.chance.choice(("Tallinn", "Tartu")))

    def _until(self, now: Instant) -> Instant:
        return Instant(now + self.chance.choice((HOUR, 30 * HOUR, 300 * HOUR)))

    def _add_service(self, _: Subscription, now: Instant) -> AnyAction:
        provider = self._provider()
        distributor = self.chance.choice(provider.distributors).code
        selection = self._selection(provider, distributor)
        if self.chance.random() < 0.3:
            return AddServices((replace(selection, term_end=self._until(now)),))
        return AddServices((selection,))

    def _add_item(self, _: Subscription, __: Instant) -> AnyAction:
        provider = self.chance.choice([p for p in self.providers if p.goods])
        distributor = self.chance.choice(provider.distributors)
        types = distributor.required_goods_types or [g.goods_type for g in provider.goods]
        items = [self._item(provider, distributor.code, goods_type) for goods_type in types]
        return AddItems(tuple(items[: self.chance.randint(1, 2)]))

    def _switch(self, state: Subscription, now: Instant) -> AnyAction:
        until = self._until(now)
        if state.state is State.EFFECTIVE:
            off: list[AnyAction] = [Deactivate(), Deactivate(), Rest(until)]
            off += [ShortTermDeactivate(until), Terminate(), Regret()]
            return self.chance.choice(off)
        if state.state in TIMED and self.chance.random() < 0.7:
            return _end_of(state.state)
        return self.chance.choice((Activate(), Activate(), ShortTermActivate(until), Terminate()))

    def _change(self, _: Subscription, __: Instant) -> AnyAction:
        if self.chance.random() < 0.5:
            return ChangeLocation(self._address())
        return ChangeSubscriber(self._holder())

    def _some(self, state: Subscription) -> SubscribedService:
        return self.chance.choice(state.services)

    def _start_or_stop(self, state: Subscription, _: Instant) -> AnyAction:
        service = self._some(state)
        chosen = (_selected(service),)
        return StopServices(chosen) if service.on else StartServices(chosen)

    def _remove_service(self, state: Subscription, _: Instant) -> AnyAction:
        return RemoveServices((_selected(self._some(state)),))

    def _swap_service(self, state: Subscription, _: Instant) -> AnyAction:
        old = self._some(state)
        provider = next(p for p in self.providers if p.code == old.provider)
        return SwapService(
            provider=old.provider,
            distributor=old.distributor,
            old_service=old.service,
            new_service=self._service(provider, ServiceKind.TERMED),
        )

    def _change_terms(self, state: Subscription, now: Instant) -> AnyAction:
        return ChangeTerms((replace(_selected(self._some(state)), term_end=self._until(now)),))

    def _remove_item(self, state: Subscription, _: Instant) -> AnyAction:
        item = self.chance.choice(state.items)
        return RemoveItems((item.serial_number,), goods_type=item.goods_type)

    def _swap_item(self, state: Subscription, _: Instant) -> AnyAction:
        item = self.chance.choice(state.items)
        return SwapItem(
            old_serial_number=item.serial_number,
            goods_type=item.goods_type,
            new_serial_number=self.chance.choice(self.serials),
        )

    def _move(self, state: Subscription, _: Instant) -> AnyAction:
        item = self.chance.choice(state.items)
        provider = next(p for p in self.providers if p.code == item.provider)
        moved = Move(
            provider=item.provider,
            from_distributor=item.distributor,
            to_distributor=self.chance.choice(provider.distributors).code,
            goods=item.goods,
        )
        return ChangeDistribution((moved,))

    def _move_service(self, state: Subscription, _: Instant) -> AnyAction:
        service = self._some(state)
        provider = next(p for p in self.providers if p.code == service.provider)
        moved = Move(
            provider=service.provider,
            from_distributor=service.distributor,
            to_distributor=self.chance.choice(provider.distributors).code,
            service=service.service,
        )
        return ChangeDistribution((moved,))

    def _add_usage(self, state: Subscription, now: Instant) -> AnyAction:
        provider = self._provider()
        named = self.chance.choice(provider.distributors).code
        return AddUsage(
            provider=provider.code,
            distributor=self.chance.choice(("", named)),
            service=self._service(provider, ServiceKind.USAGE),
            quantity=1,
            start_time=now,
            end_time=self._until(now),
            reference=f"film {self.chance.randrange(5)} of {state.number}",
        )

    def _cancel_usage(self, state: Subscription, _: Instant) -> AnyAction:
        return CancelUsage(self.chance.choice(state.usages).reference)

    def _replace(self, state: Subscription, now: Instant) -> AnyAction:
        new = self.become(state.number)
        target = self.chance.choice((State.EFFECTIVE, State.NOT_EFFECTIVE, State.IN_RESTING))
        return Replace(
            state=target,
            type=state.type,
            holder=state.holder,
            address=new.address,
            until=self._until(now) if target is State.IN_RESTING else None,
            items=new.items if self.chance.random() < 0.5 else state.items,
            services=new.services,
        )


def _selected(service: SubscribedService) -> Selection:
    return Selection(
        provider=service.provider, distributor=service.distributor, service=service.service
    )


def _end_of(state: State) -> AnyAction:
    match state:
        case State.IN_RESTING:
            return EndResting()
        case State.SHORT_TERM_EFFECTIVE:
            return EndShortTermActivation()
        case _:
            return EndShortTermDeactivation()
