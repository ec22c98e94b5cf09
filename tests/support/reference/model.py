"""Defines the model: everything that can happen to a subscription."""

from __future__ import annotations

from collections.abc import Iterable

from generic_provider_server.domain import actions as do
from generic_provider_server.domain.refusals import Reason
from generic_provider_server.domain.values import (
    FINAL,
    State,
)

from .books import CANCELLED, COMPLETED, EXPIRED, REJECTED, RESET, UDR, Req
from .platform import (
    BECOME,
    KNOWN,
    Held,
    Key,
    Order,
    current,
    doubted,
    effect,
    is_over,
)
from .rebase import Rebase

ENDS: dict[State, do.AnyAction] = {
    State.IN_RESTING: do.EndResting(),
    State.SHORT_TERM_EFFECTIVE: do.EndShortTermActivation(),
    State.SHORT_TERM_NOT_EFFECTIVE: do.EndShortTermDeactivation(),
}


class Model(Rebase):
    def accept(self, req: Req) -> None:
        link = self.links[req.provider]
        self._finish(req, COMPLETED)
        link.delivered = max(link.delivered, req.unit)
        link.confirmed = effect(link.confirmed, req.order)
        if req.order.type is BECOME:
            link.taken_over = False
        self._end()

    def lose(self, reqs: Iterable[Req]) -> None:
        for req in reqs:
            req.leased, req.touched = False, True
            link = self.links[req.provider]
            link.delivered = max(link.delivered, req.unit)

    def count_attempt(self, code: str, req: Req) -> None:
        most = self.providers[code].delivery_settings.max_delivery_attempts
        req.attempts += 1
        if most and req.attempts >= most:
            self.reject(req, Reason.DELIVERY_ATTEMPTS_EXHAUSTED)

    def come_late(self, req: Req, names: set[Key]) -> None:
        link = self.links[req.provider]
        former = link.confirmed.doubt
        link.confirmed = current(doubted(link.confirmed, req.order, names), self.now)
        fresh = link.confirmed.doubt - former
        if fresh and req.state in (CANCELLED, REJECTED):
            self._reconcile(req.provider, fresh, None, owners=False)
        self._end()

    def overdue(self, code: str) -> bool:
        queue = self.links[code].queue
        window = self.providers[code].delivery_settings.pending_window
        leased = any(req.leased for req in queue)
        return not leased and any(req.time + window <= self.now for req in queue[:1])

    def expire(self, code: str) -> None:
        link = self.links[code]
        for req in list(link.queue):
            self._finish(req, EXPIRED)
            if req.touched:
                link.confirmed = doubted(link.confirmed, req.order)
        self._end()

    def end_usage(self) -> None:
        assert self.desired
        over = {r for r, u in self.desired.usages.items() if u.end_time <= self.now}
        self.desired = self.desired.copy()
        for reference in over:
            del self.desired.usages[reference]
        for link in self.links.values():
            for req in list(link.queue):
                ended = req.order.type in UDR and is_over(req.order.parts[0][1], self.now)
                if ended and not req.leased:
                    self._finish(req, EXPIRED)
        self._end()

    def take_over_report(self, code: str, held: Held) -> None:
        self.links[code].confirmed, self.links[code].taken_over = held, False
        self._end()

    def reset(self, code: str, *, full: bool, recreate: bool) -> None:
        link = self.links[code]
        before = link.confirmed, list(link.queue)
        link.refused, link.withheld, link.taken_over = False, [], False
        if recreate:
            link.queue = []
            for req in before[1]:
                if req.touched:
                    link.confirmed = doubted(link.confirmed, req.order)
            link.confirmed = link.confirmed.copy()
            link.confirmed.there[KNOWN] = True
            link.confirmed.doubt = set(link.confirmed.there)
        elif full:
            link.confirmed.doubt |= set(link.confirmed.there) - {KNOWN}
        orders = self.todo(code)
        if recreate and self._same(before[1], orders):
            link.confirmed, link.queue = before
        else:
            for req in before[1] if recreate else ():
                req.state, req.recreated = CANCELLED, True
            self.unit += 1
            self._create(code, orders, self.unit, None, RESET)
        self._end()

    def _same(self, queue: list[Req], orders: list[Order]) -> bool:
        """Tells whether the queue already has these requests. Then a reset creates no requests."""
        resets = all(req.origin is RESET for req in queue)
        return bool(queue) and resets and [req.order for req in queue] == orders

    def next_end(self) -> do.AnyAction | None:
        """Returns the automatic end that is due first, or None."""
        sub = self.desired
        if sub is None or sub.state in FINAL:
            return None
        terms = {k: s.term_end for k, s in sub.services.items() if s.term_end and not s.over}
        first = min(terms.values(), default=None)
        if sub.until and sub.until <= self.now and (first is None or sub.until <= first):
            return ENDS[sub.state]
        if first is None or first > self.now:
            return None
        ended = [key for key, end in terms.items() if end == first]
        selected = [do.Selection(provider=p, distributor=d, service=s) for p, d, s in ended]
        return do.StopServices(tuple(selected), term_over=True)
