"""Holds what the model knows of a subscription: the actions, their requests, and the links of the
subscription.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from generic_provider_server.domain import actions as do
from generic_provider_server.domain.refusals import Reason
from generic_provider_server.domain.values import (
    Provider,
    ProviderState,
    RequestMethod,
    RequestOrigin,
    RequestState,
    RequestType,
    SyncState,
)

from .changes import with_distributor, with_goods_types
from .platform import (
    ADDRESS,
    BECOME,
    HOLDER,
    KNOWN,
    Held,
    Key,
    Order,
    current,
    doubted,
    effect,
    has,
    image,
    joined,
    plan,
)
from .rules import apply
from .state import Sub

PENDING, COMPLETED, REJECTED, CANCELLED, EXPIRED = RequestState
ACTION, RESET, ROLLBACK = RequestOrigin
ACTIVATING = {RequestType.ACTIVATE_SERVICE, RequestType.ACTIVATE_SUBSCRIBER}
UDR = {RequestType.ADD_UDR, RequestType.CANCEL_UDR}
ACTIVATIONS = (do.Activate, do.EndResting, do.ShortTermActivate, do.EndShortTermDeactivation)
DEACTIVATIONS = (
    do.Deactivate,
    do.Terminate,
    do.Rest,
    do.ShortTermDeactivate,
    do.EndShortTermActivation,
)
ATOMIC = (
    do.SwapService,
    do.SwapItem,
    do.ChangeDistribution,
    do.Rest,
    do.ShortTermDeactivate,
    do.Terminate,
    do.Regret,
    do.Replace,
)
LISTING_SERVICES = (
    do.AddServices,
    do.StartServices,
    do.StopServices,
    do.RemoveServices,
    do.ChangeTerms,
)

Part = tuple[object, ...]
"""("link" | "item" | "usage" | "services" | "off" | "holder" | "address" | "state", names ...)"""


@dataclass(eq=False)
class Req:
    provider: str
    order: Order
    unit: int
    index: int
    origin: RequestOrigin
    act: Act | None
    time: int
    state: RequestState = PENDING
    leased: bool = False
    touched: bool = False
    recreated: bool = False
    correction: bool = False
    attempts: int = 0


@dataclass(eq=False)
class Act:
    id: int
    unit: int
    at: int
    action: do.AnyAction
    automatic: bool
    methods: dict[str, tuple[bool, bool]]
    ineffective: set[str]
    links: set[str] = field(default_factory=set)
    requests: list[Req] = field(default_factory=list)
    taken_back: list[Part] = field(default_factory=list)
    whole: bool = False
    error: Reason | None = None
    settled: bool = False
    before: Sub | None = None
    after: Sub = field(init=False)

    def at_provider(self, provider: str) -> list[Req]:
        return [req for req in self.requests if req.provider == provider]


@dataclass
class Link:
    confirmed: Held = field(default_factory=Held)
    queue: list[Req] = field(default_factory=list)
    refused: bool = False
    withheld: list[Order] = field(default_factory=list)
    taken_over: bool = False
    delivered: int = 0


def existing_of(action: do.AnyAction) -> dict[str, do.Existing]:
    existing = action.existing if isinstance(action, do.BecomeSubscriber) else ()
    return {each.provider: each for each in existing}


class Books:
    def __init__(self, providers: Iterable[Provider], now: int) -> None:
        self.providers = {provider.code: provider for provider in providers}
        self.now = now
        self.base: Sub | None = None
        self.desired: Sub | None = None
        self.acts: list[Act] = []
        self.everything: dict[int, Act] = {}
        self.links = {code: Link() for code in self.providers}
        self.unit = 1

    # The following methods only read.

    def effective(self, code: str) -> bool:
        return self.providers[code].state is ProviderState.EFFECTIVE

    def image(self, sub: Sub | None, code: str) -> Held:
        return image(sub, self.providers[code], self.now) if sub else Held()

    def plan(self, held: Held, wanted: Held, code: str) -> list[Order]:
        return plan(held, wanted, self.providers[code])

    def expected(self, code: str, unit: int | None = None, before: Req | None = None) -> Held:
        """Returns *confirmed* with the effects of the pending requests. If `unit` or `before` is
        given, only requests before that unit or that request count.
        """
        held = self.links[code].confirmed
        for req in self.links[code].queue:
            if req is before or (unit is not None and req.unit >= unit):
                break
            held = effect(held, req.order)
        return current(held, self.now)

    def todo(self, code: str) -> list[Order]:
        return self.plan(self.expected(code), self.image(self.desired, code), code)

    def sync_state(self, code: str) -> SyncState:
        if self.todo(code):
            return SyncState.OUT_OF_SYNC
        return SyncState.PENDING if self.links[code].queue else SyncState.IN_SYNC

    # The following methods perform actions.

    def perform(self, action: do.AnyAction, id_: int, *, automatic: bool = False) -> None:
        action = with_goods_types(action, self.desired)
        after = apply(self.desired, action, self.providers, self.now)
        action = with_distributor(action, after)
        act = Act(id_, self.unit + 1, self.now, action, automatic, self._methods(action), set())
        act.before, act.after = self.desired, after
        act.ineffective = {code for code in self.providers if not self.effective(code)}
        act.links = after.linked - (act.before.linked if act.before else set())
        if not self.acts:
            self.base = self.desired
        self._take_over(action, after)
        for code in self.providers:
            if self.effective(code) and code not in existing_of(action):
                self._send(act, code)
        self.unit += 2
        self.desired = after
        self.acts.append(act)
        self.everything[id_] = act
        self._end()

    def _methods(self, action: do.AnyAction) -> dict[str, tuple[bool, bool]]:
        whole = RequestMethod.WHOLE_SUBSCRIPTION
        return {
            code: (
                p.request_settings.activation_method is whole and isinstance(action, ACTIVATIONS),
                p.request_settings.deactivation_method is whole
                and isinstance(action, DEACTIVATIONS),
            )
            for code, p in self.providers.items()
        }

    def _take_over(self, action: do.AnyAction, after: Sub) -> None:
        for existing in existing_of(action).values():
            link = self.links[existing.provider]
            link.confirmed = replace(self.image(after, existing.provider), closed=False)
            if not existing.holds_everything:
                there: dict[Key, object] = {
                    key: link.confirmed.there[key] for key in (KNOWN, HOLDER, ADDRESS)
                }
                link.confirmed = Held(there, set(there))
                link.taken_over = True

    def _send(self, act: Act, code: str) -> None:
        heal, own = self._asked(act, code)
        self._create(code, heal, act.unit - 1, None, RESET)
        self._create(code, own, act.unit, act)

    def _asked(self, act: Act, code: str) -> tuple[list[Order], list[Order]]:
        """Returns the requests that heal the platform before the action, and the action's own
        requests.
        """
        link, expected = self.links[code], self.expected(code, act.unit)
        was, wanted = self.image(act.before, code), self.image(act.after, code)
        changed, methods = self.plan(was, wanted, code), act.methods[code]
        unknown = link.taken_over and not expected.sure(KNOWN)
        if link.refused or unknown or not self.plan(expected, was, code):
            own = [order for order in changed if not has(expected, order)]
            if own and KNOWN in wanted.there and not expected.sure(KNOWN):
                return [], self.plan(expected, wanted, code)
            return [], joined(own, methods)
        named = {key for order in changed for key in order.names}
        full = self.plan(expected, wanted, code)
        if full and full[0].type is BECOME:
            sent = [] if full[0] in link.withheld else full
            return ([], full) if changed else (sent, [])
        own = [order for order in full if order.names & named]
        heal = [order for order in full if order not in own and order not in link.withheld]
        return heal, joined(own, methods)

    def _create(
        self,
        code: str,
        orders: Iterable[Order],
        unit: int,
        act: Act | None,
        origin: RequestOrigin = ACTION,
    ) -> None:
        queue = self.links[code].queue
        everyone = queue + (act.at_provider(code) if act else [])
        index = 1 + max([req.index for req in everyone if req.unit == unit], default=0)
        for n, order in enumerate(orders):
            req = Req(code, order, unit, index + n, origin, act, self.now)
            queue.append(req)
            if act:
                act.requests.append(req)
        queue.sort(key=lambda req: (req.unit, req.index))

    # The following methods end requests.

    def _finish(self, req: Req, state: RequestState) -> None:
        req.state, req.leased = state, False
        self.links[req.provider].queue.remove(req)

    def _cancel(self, req: Req) -> None:
        self._finish(req, CANCELLED)
        if req.touched:
            link = self.links[req.provider]
            link.confirmed = doubted(link.confirmed, req.order)

    # The following methods run at the end of each step.

    def _end(self) -> None:
        self._settle()
        for code, link in self.links.items():
            if self.sync_state(code) is SyncState.IN_SYNC:
                link.refused, link.withheld = False, []

    def _settle(self) -> None:
        while self.acts and all(req.state is not PENDING for req in self.acts[0].requests):
            act = self.acts.pop(0)
            self.base, act.settled = act.after, True
