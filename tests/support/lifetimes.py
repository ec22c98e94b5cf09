"""Plays one subscription's life step by step, and checks all rules after each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random

from msgspec.structs import replace

from generic_provider_server.domain.actions import AnyAction, Existing
from generic_provider_server.domain.refusals import Refused
from generic_provider_server.domain.subscription.aggregate import Link
from generic_provider_server.domain.values import (
    SECOND,
    DeliverySettings,
    Provider,
    RequestMethod,
    Service,
    ServiceKind,
)

from .catalogues import aluxsat, ott
from .life import Life
from .must_hold import check, check_healed
from .platform import PlatformRefuses, subscriber
from .rarer_acting import RarerCrm
from .reporting import drift, reported
from .worlds import WINDOWS, widened

NUMBER = "S0000000309"
SERIALS = ("1", "2", "3", "4", "5")
HOUR = 3_600 * SECOND


class Step(Enum):
    NOTHING = auto()
    ACT = auto()
    HAND_OVER = auto()
    DO = auto()
    ANSWER = auto()
    SERVE = auto()
    REJECT = auto()
    WAIT = auto()
    RESET = auto()
    LOSE = auto()
    COME_LATE = auto()
    CANCEL = auto()
    RESOLVE = auto()
    EXPIRE = auto()
    SWITCH = auto()
    REPORT = auto()
    WITHDRAW = auto()
    WIDEN = auto()
    DO_BY_HAND = auto()


CALM = {
    Step.NOTHING: 1,
    Step.ACT: 30,
    Step.HAND_OVER: 12,
    Step.DO: 6,
    Step.ANSWER: 25,
    Step.SERVE: 8,
    Step.REJECT: 8,
    Step.WAIT: 3,
    Step.RESET: 2,
}
"""With these steps every request that is handed over is answered in time."""

STORMY = {
    **CALM,
    Step.LOSE: 8,
    Step.COME_LATE: 5,
    Step.CANCEL: 2,
    Step.RESOLVE: 2,
    Step.EXPIRE: 3,
    Step.SWITCH: 2,
    Step.REPORT: 4,
    Step.WITHDRAW: 2,
    Step.WIDEN: 2,
    Step.DO_BY_HAND: 1,
}


UNREFUSED: dict[Step, int] = {
    step: weight
    for step, weight in STORMY.items()
    if step not in (Step.REJECT, Step.CANCEL, Step.RESOLVE)
}
"""With these steps no request is rejected."""


def providers() -> list[Provider]:
    """Returns two providers with usage services. The first provider rejects a request after three
    attempts, the second after five. Pending requests of the first provider expire after two days,
    those of the second after seven.
    """
    rent = Service(code="RENT", provider_service_id="R", kind=ServiceKind.USAGE)
    return [
        replace(
            provider,
            services=(*provider.services, rent),
            delivery_settings=DeliverySettings(
                max_delivery_attempts=attempts, pending_window=hours * HOUR
            ),
        )
        for provider, attempts, hours in ((aluxsat(), 3, 48), (ott(), 5, 168))
    ]


@dataclass(slots=True)
class Lifetime:
    providers: Sequence[Provider]
    tell: Callable[[str], None]
    refusing: bool = True
    life: Life = field(init=False)
    chance: Random = field(init=False)
    answered: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.life = Life(self.providers)

    def play(self, start: int, steps: Sequence[tuple[Step, int]]) -> None:
        self.chance = Random(start)
        self._begin()
        check(self.life)
        for step, chosen in steps:
            self.chance = Random(chosen)
            self._take(step)
            check(self.life)

    def _take(self, step: Step) -> None:
        kinds: dict[Step, Callable[[], None]] = {
            Step.NOTHING: lambda: None,
            Step.ACT: self._act,
            Step.HAND_OVER: self._hand_over,
            Step.DO: self._do,
            Step.ANSWER: self._answer_one,
            Step.SERVE: self._serve,
            Step.REJECT: self._reject,
            Step.WAIT: self._wait,
            Step.RESET: self._reset,
            Step.LOSE: self._lose,
            Step.COME_LATE: self._come_late,
            Step.CANCEL: self._cancel,
            Step.RESOLVE: self._resolve,
            Step.EXPIRE: self._expire,
            Step.SWITCH: self._switch,
            Step.REPORT: self._report,
            Step.WITHDRAW: self._withdraw,
            Step.WIDEN: self._widen,
            Step.DO_BY_HAND: self._do_by_hand,
        }
        kinds[step]()

    def _begin(self) -> None:
        """Makes the subscriber. Some subscribers are already served by a platform."""
        crm = self._crm()
        rare = self.chance.random() < 0.3
        action = crm.rarely_become(NUMBER, self.life.now) if rare else crm.become(NUMBER)
        served = {service.provider for service in action.services}
        if served and self.chance.random() < 0.2 and not action.draft:
            codes = self.chance.sample(sorted(served), self.chance.randint(1, len(served)))
            taken_over = [
                Existing(
                    provider=code,
                    account_number="77",
                    holds_everything=self.chance.random() < 0.6,
                )
                for code in codes
            ]
            action = replace(action, existing=tuple(taken_over))
        if not self._performed(action):
            self._begin()
            return
        for existing in action.existing:
            held = self.life.wanted(existing.provider)
            platform = self.life.platforms[existing.provider]
            if not existing.holds_everything:
                platform.untold.add(NUMBER)
                held = replace(held, entitlements=()) if self.chance.random() < 0.5 else held
            platform.subscribers[NUMBER] = subscriber(held)

    def _crm(self) -> RarerCrm:
        providers = [catalogue.provider for catalogue in self.life.catalogues.values()]
        return RarerCrm(chance=self.chance, providers=providers, serials=SERIALS)

    def _performed(self, action: AnyAction) -> bool:
        before = self.life.aggregate
        try:
            number = self.life.perform(action)
        except Refused as refused:
            assert self.life.aggregate == before
            self.tell(f"{action} is refused: {refused}")
            return False
        self.tell(f"action {number}: {action}")
        return True

    def _act(self) -> None:
        """Tries at most three random actions, until the rules allow one of them."""
        crm, state, now = self._crm(), self.life.desired, self.life.now
        kinds = [crm.action, crm.wide_action, crm.rare_action]
        for _ in range(3):
            (kind,) = self.chance.choices(kinds, (5, 3, 3))
            if self._performed(kind(state, now)):
                return

    def _ready(self) -> list[str]:
        """Returns the providers that have requests to be handed over."""
        return [
            link.provider
            for link in self.life.there.links
            if link.queue
            and link.provider not in self.life.leases
            and self.life.catalogues[link.provider].effective
        ]

    def _hand_over(self) -> None:
        if ready := self._ready():
            provider = self.chance.choice(ready)
            self.life.lease(provider, most=self.chance.choice((1, 2, 100)))
            numbers = [pending.number for pending in self.life.leases[provider].requests]
            self.tell(f"{provider} is handed {numbers}")

    def _leased(self) -> str | None:
        """Returns a provider with a live lease. If there is no live lease, hands requests over
        first.
        """
        if not self.life.leases:
            self._hand_over()
        leased = list(self.life.leases)
        return self.chance.choice(leased) if leased else None

    def _do(self) -> None:
        provider = self._leased()
        if provider and self.life.leases[provider].left:
            self._done(provider)

    def _done(self, provider: str) -> bool:
        lease = self.life.leases[provider]
        pending = lease.requests[lease.done]
        done = self.life.do(provider)
        verb = "does" if done else "cannot do"
        self.tell(f"{provider} {verb} {pending.number}: {pending.request.type.name}")
        return done

    def _answer_one(self) -> None:
        if provider := self._leased():
            self._answer(provider)

    def _answer(self, provider: str) -> None:
        if self.life.leases[provider].done or self._done(provider):
            self._answered(provider, self.life.accept(provider))
        else:
            assert self.refusing, "a request that the platform cannot do"
            self._answered(provider, self.life.reject(provider))

    def _answered(self, provider: str, number: int) -> None:
        """Checks that the requests which a platform answers reach their final states in order."""
        final = self.life.finals[number]
        self.tell(f"{provider} answers {number}: {final.state.name}")
        place = final.pending.unit, final.pending.index
        assert self.answered.get(provider, (0, 0)) < place, "out of order"
        self.answered[provider] = place

    def _serve(self) -> None:
        """Answers all requests that are pending at a provider."""
        if provider := self._leased():
            self._serve_all(provider)

    def _serve_all(self, provider: str) -> None:
        for _ in range(200):
            if provider not in self.life.leases:
                if provider not in self._ready():
                    return
                self.life.lease(provider)
            self._answer(provider)
        raise AssertionError(f"the backlog of {provider} does not drain")

    def _reject(self) -> None:
        """Rejects a request that the platform has not applied."""
        provider = self._leased()
        if provider is None:
            return
        lease = self.life.leases[provider]
        if not lease.done and lease.requests[0].number not in self.life.done:
            self._answered(provider, self.life.reject(provider))

    def _wait(self) -> None:
        hours = self.chance.choice((1, 5, 40, 400))
        self.tell(f"{hours} h pass")
        self.life.wait(hours * 3_600)

    def _reset(self) -> None:
        link = self.chance.choice(self.life.there.links) if self.life.there.links else None
        if link is None or not self.life.catalogues[link.provider].effective:
            return
        way = self.chance.choice(("plainly", "plainly", "in full", "anew"))
        if way == "anew" and link.provider in self.life.leases:
            return
        self.tell(f"{link.provider} is reset {way}")
        self.life.reset(link.provider, full=way == "in full", recreate=way == "anew")
        if way == "plainly":
            queue = self.life.there.queue(link.provider)
            self.life.reset(link.provider)
            assert self.life.there.queue(link.provider) == queue, "reset twice"

    def _lose(self) -> None:
        if provider := self._leased():
            if self.chance.random() < 0.5 and self.life.leases[provider].left:
                self._done(provider)
            counted = self.refusing and self.chance.random() < 0.5
            self.tell(f"{provider} loses its lease{', an attempt' if counted else ''}")
            self.life.lose(provider, counted=counted)

    def _come_late(self) -> None:
        if self.life.lost:
            lost = self.chance.choice(self.life.lost)
            self.tell(f"{lost.provider} says late that it did {lost.pending.number}")
            self.life.come_late(lost)

    def _pending(self) -> list[Link]:
        return [link for link in self.life.there.links if link.queue]

    def _cancel(self) -> None:
        if links := self._pending():
            number = self.chance.choice(self.chance.choice(links).queue).number
            self.tell(f"an operator cancels {number}")
            self.life.cancel(number)

    def _resolve(self) -> None:
        if links := self._pending():
            number = self.chance.choice(links).queue[0].number
            self.tell(f"an operator resolves {number}")
            self.life.resolve(number)

    def _expire(self) -> None:
        """Expires the requests of each link whose first request is overdue and not leased."""
        for link in self._pending():
            if self.life.overdue(link.provider):
                self.tell(f"what is pending at {link.provider} expires")
                self.life.expire(link.provider)

    def _switch(self) -> None:
        code = self.chance.choice(self.providers).code
        if self.chance.random() < 0.3:
            self._set(self.life.catalogues[code].provider)
            return
        effective = not self.life.catalogues[code].effective
        self.tell(f"{code} is {'' if effective else 'not '}effective")
        self.life.switch(code, effective=effective)

    def _set(self, provider: Provider) -> None:
        """Changes those settings of a provider that may be changed at any time."""
        activation, deactivation = self.chance.choices(list(RequestMethod), k=2)
        settings = replace(
            provider.request_settings,
            activation_method=activation,
            deactivation_method=deactivation,
        )
        window = self.chance.choice(WINDOWS)
        delivery = replace(provider.delivery_settings, pending_window=window)
        self.tell(f"{provider.code} has {settings}, {delivery}")
        self.life.change(replace(provider, request_settings=settings, delivery_settings=delivery))

    def _withdraw(self) -> None:
        """Ends a lease that the server has not sent."""
        for provider, lease in self.life.leases.items():
            count = [handover for handover, *_ in self.life.handed].count(lease.handover)
            if not lease.done and len(lease.requests) == count:
                self.tell(f"the lease of {provider} was not sent")
                self.life.withdraw(provider)
                return

    def _widen(self) -> None:
        """Changes what may be changed while subscriptions use the provider."""
        code = self.chance.choice(self.providers).code
        provider = widened(self.life.catalogues[code].provider, self.chance)
        self.tell(f"{code} is now {provider}")
        self.life.change(provider)

    def _do_by_hand(self) -> None:
        """A person makes the change of the first pending request on the platform, and accepts the
        request.
        """
        if not (links := self._pending()):
            return
        link = self.chance.choice(links)
        first = link.queue[0]
        if first.number not in self.life.done:
            try:
                self.life.platforms[link.provider].apply(NUMBER, first.request)
            except PlatformRefuses:
                return
            self.life.done.add(first.number)
        self.tell(f"an operator does {first.number} by hand")
        self.life.resolve(first.number)

    def _report(self) -> None:
        """Reports what the platform holds. In some cases, first changes the platform without a
        request.
        """
        idle = [link for link in self.life.there.links if not link.queue]
        if not idle:
            return
        link = self.chance.choice(idle)
        catalogue, platform = (
            self.life.catalogues[link.provider],
            self.life.platforms[link.provider],
        )
        if self.chance.random() < 0.2:
            platform.subscribers.pop(NUMBER, None)
        there = platform.subscribers.get(NUMBER)
        if there is not None and self.chance.random() < 0.5:
            drift(there, catalogue, chance=self.chance)
        held = reported(there, catalogue, known=link.confirmed, chance=self.chance)
        self.tell(f"{link.provider} reports {held}")
        assert self.life.report(link.provider, held)
        platform.untold.discard(NUMBER)

    def answer_all(self) -> None:
        """Answers requests until none is pending, as an adapter does whose platform applies
        everything that it can.
        """
        for provider in self.providers:
            self.life.switch(provider.code, effective=True)
        for _ in range(10):
            for link in self._pending():
                self._serve_all(link.provider)
                check(self.life)
            if not self._pending():
                return
        raise AssertionError("requests are still pending")

    def heal(self) -> None:
        """Resets the subscription, answers the requests, and checks that no difference is left."""
        for link in self.life.there.links:
            self.life.reset(link.provider)
            self._serve_all(link.provider)
            check(self.life)
            check_healed(self.life, link.provider)
            self.life.reset(link.provider)
            assert not self.life.there.queue(link.provider), "a second reset has something to do"
