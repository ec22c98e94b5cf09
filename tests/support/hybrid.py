"""Plays a subscription at a satellite platform P, which needs goods, and at an OTT platform Q."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from generic_provider_server.domain.actions import (
    AddItems,
    AddServices,
    AddUsage,
    AnyAction,
    BecomeSubscriber,
    Existing,
    Selection,
    SwapItem,
)
from generic_provider_server.domain.platform.request import Request
from generic_provider_server.domain.refusals import Reason
from generic_provider_server.domain.subscription.records import ActionState
from generic_provider_server.domain.values import (
    SECOND,
    Account,
    Address,
    Distributor,
    GoodsMapping,
    Instant,
    Item,
    Provider,
    ProviderState,
    RequestSettings,
    RequestState,
    Service,
    ServiceKind,
    State,
)

from .life import Life
from .must_hold import check

GOODS = ("SMARTCARD", "STB")
CARD, BOX, PHONE = ("SMARTCARD", "C1"), ("STB", "B1"), ("STB", "PHONE")


def satellite() -> Provider:
    return Provider(
        code="P",
        state=ProviderState.EFFECTIVE,
        distributors=(Distributor(code="MAIN", required_goods_types=GOODS),),
        services=(
            *[Service(code=code, provider_service_id=code) for code in ("NEWS", "SPORT", "FILM")],
            Service(code="RENT", provider_service_id="RENT", kind=ServiceKind.USAGE),
        ),
        goods=tuple([GoodsMapping(each, each) for each in GOODS]),
    )


def over_the_top() -> Provider:
    return Provider(
        code="Q",
        state=ProviderState.EFFECTIVE,
        distributors=(Distributor(code="APP"),),
        services=tuple([Service(code=c, provider_service_id=c) for c in ("OTTX", "OTTY")]),
        goods=(GoodsMapping("STB", "DEVICE"),),
    )


def on(service: str, *, term_end: Instant | None = None) -> Selection:
    provider, place = ("Q", "APP") if service.startswith("OTT") else ("P", "MAIN")
    return Selection(provider=provider, distributor=place, service=service, term_end=term_end)


def item(goods: tuple[str, str], *, at: str = "P") -> Item:
    place = "APP" if at == "Q" else "MAIN"
    return Item(provider=at, distributor=place, goods_type=goods[0], serial_number=goods[1])


def added(*services: str) -> AddServices:
    return AddServices(tuple([on(service) for service in services]))


def fitted(*goods: tuple[str, str], at: str = "P") -> AddItems:
    return AddItems(tuple([item(each, at=at) for each in goods]))


def swapped(old: str, new: str) -> SwapItem:
    return SwapItem(old_serial_number=old, new_serial_number=new)


def told(request: Request) -> str:
    """Returns the request in words: its type, and the elements that it names. For a usage record,
    the words include the serial numbers of its goods.
    """
    names = [service.service for service in request.services]
    if request.usage and request.service:
        names = [request.usage.reference, *[i.serial_number for i in request.service.items]]
    elif request.service:
        names = [request.service.service]
    elif request.item:
        names = [request.item.serial_number]
    return " ".join([request.type.name, *names])


@dataclass(slots=True)
class Hybrid:
    """One subscription at both platforms, played by `life`. `accept` and `reject` answer the first
    pending request.
    """

    life: Life

    @classmethod
    def with_services(cls, *services: str, goods: bool = True, existing: bool = False) -> Hybrid:
        hybrid = cls(Life([satellite(), over_the_top()]))
        hybrid.become(*services, goods=goods, existing=existing)
        return hybrid

    def become(
        self, *services: str, goods: bool = True, existing: bool = False, draft: bool = False
    ) -> None:
        taken_over = Existing(provider="P", account_number="7", holds_everything=False)
        self.perform(
            BecomeSubscriber(
                number="S1",
                type="HYBRID",
                holder=Account(name="Mari"),
                address=Address(city="Tallinn"),
                items=(item(CARD), item(BOX)) if goods else (),
                services=tuple([on(service) for service in services]),
                existing=(taken_over,) if existing else (),
                draft=draft,
            )
        )

    @classmethod
    def served(cls, *services: str) -> Hybrid:
        hybrid = cls.with_services(*services)
        hybrid.serve()
        return hybrid

    def set_methods(self, provider: str, settings: RequestSettings) -> None:
        former = self.life.catalogues[provider].provider
        self.life.change(replace(former, request_settings=settings))

    def perform(self, action: AnyAction) -> int:
        number = self.life.perform(action)
        check(self.life)
        return number

    def rent(self, reference: str = "film", *, distributor: str = "MAIN") -> int:
        return self.perform(
            AddUsage(
                provider="P",
                distributor=distributor,
                service="RENT",
                quantity=1,
                start_time=self.life.now,
                end_time=Instant(self.life.now + 100 * 3_600 * SECOND),
                reference=reference,
            )
        )

    def serve(self, *providers: str) -> None:
        for code in providers or [link.provider for link in self.life.there.links]:
            self.life.serve(code)
        check(self.life)

    def accept(self, provider: str) -> str:
        return self._answer(provider, accepted=True)

    def reject(self, provider: str) -> str:
        return self._answer(provider, accepted=False)

    def cancel(self, provider: str, *, after_a_hand_over: bool = False) -> None:
        """Cancels the first pending request, as an operator does."""
        if after_a_hand_over:
            self.life.lease(provider)
            self.life.lose(provider)
        self.life.cancel(self.life.there.queue(provider)[0].number)
        check(self.life)

    def expire(self, provider: str, *, after_a_hand_over: bool = False) -> None:
        if after_a_hand_over:
            self.life.lease(provider)
            self.life.lose(provider)
        self.life.expire(provider)
        check(self.life)

    def _answer(self, provider: str, *, accepted: bool) -> str:
        """Answers the first pending request, and returns it in words."""
        if provider not in self.life.leases:
            self.life.lease(provider, most=1)
        first = told(self.life.leases[provider].requests[0].request)
        if accepted:
            assert self.life.do(provider)
            self.life.accept(provider)
        else:
            self.life.reject(provider)
        check(self.life)
        return first

    def pending(self, provider: str) -> list[str]:
        """Returns the queue in words: the origin and type of each request, and the elements that it
        names.
        """
        return [
            f"{pending.origin.name} {told(pending.request)}"
            for pending in self.life.there.queue(provider)
        ]

    def states(self, provider: str) -> dict[str, RequestState]:
        """Returns the final states of the requests at the provider."""
        return {
            told(final.pending.request): final.state
            for final in self.life.finals.values()
            if final.provider == provider
        }

    def action_state(self, action: int) -> ActionState:
        return self.life.changes[action].state

    def reason(self, action: int) -> Reason | None:
        error = self.life.changes[action].performed.error
        return error.reason if error else None

    @property
    def state(self) -> State:
        return self.life.desired.state

    @property
    def services(self) -> dict[str, State]:
        return {service.service: service.state for service in self.life.desired.services}
