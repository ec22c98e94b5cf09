"""Handles a rejection in three steps: undo, replay, correct."""

from __future__ import annotations

from generic_provider_server.domain import actions as do
from generic_provider_server.domain.refusals import Reason
from generic_provider_server.domain.values import RequestType

from .books import (
    ACTION,
    COMPLETED,
    EXPIRED,
    PENDING,
    REJECTED,
    ROLLBACK,
    UDR,
    Act,
    Req,
    existing_of,
)
from .platform import (
    BECOME,
    KNOWN,
    Held,
    Key,
    Order,
    doubted,
    has,
)
from .state import Sub
from .undo import Undo

State = tuple[Act, Sub | None, Sub, object]
"""An action, the states before and after this action, and what was taken back of this action."""


class Rebase(Undo):
    def reject(self, req: Req, reason: Reason = Reason.REJECTED_BY_PLATFORM) -> None:
        link = self.links[req.provider]
        self._finish(req, REJECTED)
        for behind in list(link.queue) if req.order.type is BECOME else ():
            if behind.unit == req.unit and not behind.leased:
                self._cancel(behind)
        if reason is Reason.REJECTED_BY_PLATFORM:
            link.delivered = max(link.delivered, req.unit)
        elif req.touched:
            link.confirmed = doubted(link.confirmed, req.order)
        act = req.act
        if act is None or (req.order.type in UDR and _own_usage(act) != req.order.parts[0][0][1]):
            link.refused = req.correction = True
            if req.order.type is BECOME:
                self._rebase(req, self._states())
            self._end()
            return
        former = self._states()
        if act.error in (None, Reason.CHANGED_BY_ROLLBACK):
            act.error = reason
        self._undo(act, req)
        self._rebase(req, former)
        self._end()

    def _states(self) -> list[State]:
        return [(act, act.before, act.after, self._told(act)) for act in self.acts]

    def _told(self, act: Act) -> object:
        return act.whole, len(act.taken_back)

    def _rebase(self, rejected: Req, states: list[State]) -> None:
        former = self.desired
        while True:
            refused = self._replay()
            for code in self.providers:
                for act in self.acts:
                    self._replan(act, code)
            again = [act for act in self.acts if not act.whole and self._nothing_happened(act)]
            if not again:
                break
            for act, error in refused:
                act.whole, act.error = False, error
            for act in again:
                act.whole = True
        if rejected.correction:
            return
        changes: list[tuple[Sub | None, Sub | None]] = [(former, self.desired)]
        changes += [(old, new) for act, old, new, told in states if self._told(act) != told]
        for code in self.providers:
            names: set[Key] = set()
            for old, new in changes:
                for order in self.plan(self.image(old, code), self.image(new, code), code):
                    names |= order.names
            self._reconcile(code, names, rejected if rejected.provider == code else None)

    def _replay(self) -> list[tuple[Act, Reason | None]]:
        """Computes *desired* anew, and undoes actions that are not valid any more. Returns these
        actions with their former errors.
        """
        refused = []
        state = self.base
        for act in self.acts:
            act.before = state
            after = None if act.whole else self._after(state, act)
            if after is None:
                if not act.whole:
                    refused.append((act, act.error))
                    act.whole = True
                    if act.error in (None, Reason.CHANGED_BY_ROLLBACK):
                        act.error = Reason.DEPENDS_ON_REJECTED
                after = self._undone(state, act)
            act.after = state = after
        if self.acts:
            self.desired = state
        return refused

    def _replan(self, act: Act, code: str) -> None:
        if code in existing_of(act.action):
            return
        pending = [req for req in act.at_provider(code) if req.state is PENDING]
        if not self._replaceable(act, code):
            self._cancel_pointless(act, code, pending)
        elif [req.order for req in pending] != self._asked(act, code)[1]:
            for req in pending:
                self._cancel(req)
            self._create(code, self._asked(act, code)[1], act.unit, act)

    def _cancel_pointless(self, act: Act, code: str, pending: list[Req]) -> None:
        wanted = self.image(act.after, code)
        for req in pending:
            ahead = self.expected(code, before=req)
            needless = not _wants(wanted, req.order) or has(ahead, req.order)
            if KNOWN in wanted.there and KNOWN not in ahead.there and req.order.type is not BECOME:
                needless = True
            if (act.whole or needless) and not req.leased:
                self._cancel(req)

    def _replaceable(self, act: Act, code: str) -> bool:
        """Tells whether all pending requests of the action at this provider may be replaced."""
        linked = act.before.linked if act.before else set()
        only_now = code in act.after.linked - linked and code not in act.links
        mine = act.at_provider(code)
        if not self.effective(code) or (code in act.ineffective and not only_now):
            return False
        if any(r.leased or r.state in (COMPLETED, REJECTED, EXPIRED) for r in mine):
            return False
        return self.links[code].delivered <= act.unit and not any(
            req.leased and req.unit > act.unit for req in self.links[code].queue
        )

    def _reconcile(
        self, code: str, names: set[Key], rejected: Req | None, *, owners: bool = True
    ) -> None:
        link = self.links[code]
        if not self.effective(code):
            return
        for req in list(link.queue):
            if req.act is None and not req.leased and self._pointless(req):
                self._cancel(req)
        if link.taken_over and not self.expected(code).sure(KNOWN):
            return
        self.unit += 1
        for order, act in [
            (order, self._asker(order, code) if owners else None) for order in self.todo(code)
        ]:
            if act is None and rejected and order == rejected.order:
                link.withheld.append(order)
            if act or (order not in link.withheld and (not link.refused or order.names & names)):
                self._create(code, [order], self.unit, act, ACTION if act else ROLLBACK)
            elif order.type is BECOME:
                break

    def _asker(self, order: Order, code: str) -> Act | None:
        """Returns the last unsettled action that needs this request and has no request at the
        provider.
        """
        for act in reversed(self.acts):
            if act.whole or act.at_provider(code) or code in existing_of(act.action):
                continue
            was, wanted = self.image(act.before, code), self.image(act.after, code)
            if any(order.names & each.names for each in self.plan(was, wanted, code)):
                return act
        return None

    def _pointless(self, req: Req) -> bool:
        """Tells whether the effect of the correction is not wanted after the actions of earlier
        units, or whether the platform will not know the subscriber.
        """
        ahead = self.expected(req.provider, before=req)
        if KNOWN not in ahead.there and req.order.type is not BECOME:
            return True
        state = self.base
        for act in self.acts:
            if act.unit < req.unit:
                state = act.after
        state = self.desired if not self.acts else state
        wanted = self.image(state, req.provider)
        return not _wants(wanted, req.order)


def _own_usage(act: Act) -> str:
    """Returns the reference of the usage record that the action adds or cancels."""
    match act.action:
        case do.AddUsage(reference=reference) | do.CancelUsage(usage=reference):
            return reference
        case _:
            return ""


def _wants(wanted: Held, order: Order) -> bool:
    """Tells whether the effect of the request is wanted."""
    if order.type is BECOME:
        return KNOWN in wanted.there
    if order.type is RequestType.CANCEL_UDR:  # a new usage record may have the same reference
        return not any(wanted.there.get(key) == contents for key, contents in order.parts)
    return has(wanted, order)
