"""Takes back the part of an action that a rejected request carried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from generic_provider_server.domain import actions as do
from generic_provider_server.domain.values import (
    ON,
    RequestType,
    State,
)

from .books import (
    ACTIVATING,
    ATOMIC,
    CANCELLED,
    LISTING_SERVICES,
    REJECTED,
    UDR,
    Act,
    Books,
    Part,
    Req,
)
from .platform import (
    ADDRESS,
    BECOME,
    HOLDER,
    KNOWN,
    TAKING,
)
from .rules import apply
from .state import NotAllowed, Place, Sub, check, service_of


class Undo(Books):
    def _after(self, before: Sub | None, act: Act) -> Sub | None:
        """Returns the state after the action, without the parts that were taken back, or None if
        that state breaks a rule.
        """
        if act.automatic and before:
            before = _spent(before, act)
        try:
            full = apply(before, act.action, self.providers, act.at)
        except NotAllowed:
            return None
        after = full.copy()
        for part in act.taken_back:
            self._put_back(after, before, full, part)
        try:
            check(after, self.providers)
        except NotAllowed:
            return None
        return after

    def _undone(self, before: Sub | None, act: Act) -> Sub:
        if before is None:
            after = apply(None, act.action, self.providers, act.at)
            after.follow(list(State), State.DRAFT)
            after.state, after.linked = State.DRAFT, set()
            return after
        return _spent(before, act) if act.automatic else before

    def _put_back(self, after: Sub, before: Sub | None, full: Sub, part: Part) -> None:
        kind, *names = part
        if before is None:
            self._put_back_beginning(after, part)
            return
        if kind == "holder":
            after.holder = before.holder
        elif kind == "address":
            after.address = before.address
        elif kind == "state":
            after.state, after.until, after.by_term = before.state, before.until, before.by_term
            after.services = dict(before.services)
        elif kind == "usage":
            _restore(after.usages, before.usages, lambda key: key == names[0])
        elif kind == "item":
            _restore(after.items, before.items, lambda key: list(key) == names)
        elif kind in ("services", "off"):
            code, where, pid = (str(name) for name in names)
            self._services_back(after, before, full, lambda k: self._entitles(k, code, where, pid))
            if kind == "off":
                self._services_off(after, code, where, pid)
        elif kind == "link":
            code = str(names[0])
            _restore(after.items, before.items, lambda key: key[0] == code)
            gone = {r for s in (before, full) for r, u in s.usages.items() if u.provider == code}
            _restore(after.usages, before.usages, lambda key: key in gone)
            self._services_back(after, before, full, lambda k: k[0] == code)
            if code not in before.linked:
                self._unlink(after, code)

    def _unlink(self, after: Sub, code: str) -> None:
        """Removes the link. A subscription without any link becomes DRAFT."""
        after.linked.discard(code)
        if not after.linked and after.on:
            after.state, after.until = State.DRAFT, None
            after.follow(list(ON), State.DRAFT)

    def _put_back_beginning(self, after: Sub, part: Part) -> None:
        """Takes back a part of Become Subscriber: the services become DRAFT. If no link is left,
        the whole subscription becomes DRAFT.
        """
        code = str(part[1]) if len(part) > 1 else ""
        if part[0] == "link":
            after.linked.discard(code)
            for key, svc in after.services.items():
                if key[0] == code:
                    after.services[key] = replace(svc, state=State.DRAFT)
            if not after.linked:
                after.state = State.DRAFT
                after.follow(list(State), State.DRAFT)

    def _entitles(self, key: Place, code: str, where: str, pid: str) -> bool:
        provider = self.providers[code]
        return key[:2] == (code, where) and (
            service_of(provider, key[2]).provider_service_id == pid
        )

    def _services_back(
        self, after: Sub, before: Sub, full: Sub, chosen: Callable[[Place], bool]
    ) -> None:
        for key in [*before.services, *full.services]:
            if chosen(key) and before.services.get(key) != full.services.get(key):
                if key not in before.services:
                    after.services.pop(key, None)
                    continue
                after.services[key] = before.services[key]
                if before.services[key].state in ON and not after.on:
                    after.state, after.until = before.state, before.until
                    after.by_term = before.by_term

    def _services_off(self, after: Sub, code: str, where: str, pid: str) -> None:
        for key, svc in after.services.items():
            if self._entitles(key, code, where, pid) and svc.state in ON:
                after.services[key] = replace(svc, state=State.NOT_EFFECTIVE)
        if after.on and not after.any_on():
            after.state, after.until = State.NOT_EFFECTIVE, None

    def _undo(self, act: Act, req: Req) -> None:
        if act.whole:
            return
        if isinstance(act.action, ATOMIC) or self._nothing_happened(act):
            act.whole = True
            return
        former = list(act.taken_back)
        self._take_back(act, self._parts(req))
        if act.before is not None and req.order.type not in UDR and not self._achieved(act, req):
            if req.order.type not in ACTIVATING:
                act.whole = True
                return
            act.taken_back = former
            self._take_back(act, [("off", *part[1:]) for part in self._service_parts(req)])
            act.whole = not self._achieved(act, req)

    def _take_back(self, act: Act, parts: list[Part]) -> None:
        act.taken_back += [part for part in parts if part not in act.taken_back]

    def _achieved(self, act: Act, req: Req) -> bool:
        after = self._after(act.before, act)
        if after is None:
            return False
        held, was = self.image(after, req.provider), self.image(act.before, req.provider)
        if req.order.type is BECOME:
            return KNOWN not in held.there or held.there == was.there
        for key, value in req.order.parts:
            if req.order.type in TAKING:
                if key in was.there and key not in held.there:
                    return False
            elif (
                key in held.there
                and held.there[key] == value
                and key[0] not in ("holder", "address")
            ):
                return False
        return True

    def _service_parts(self, req: Req) -> list[Part]:
        return [
            ("services", req.provider, key[1], key[2])
            for key in req.order.names
            if key[0] == "service"
        ]

    def _parts(self, req: Req) -> list[Part]:
        order, code = req.order, req.provider
        if order.type is BECOME:
            return [("link", code)]
        if order.type in (RequestType.ACTIVATE_SUBSCRIBER, RequestType.DEACTIVATE_SUBSCRIBER):
            return [("state",)]
        parts: list[Part] = []
        for key in order.names:
            if key[0] == "item":
                parts.append(("item", code, key[2], key[3]))
            elif key[0] == "usage":
                parts.append(("usage", key[1]))
            elif key in (HOLDER, ADDRESS):
                parts.append((key[0],))
        return [*parts, *self._service_parts(req)]

    def _nothing_happened(self, act: Act) -> bool:
        states = [r.state for r in act.requests if not r.correction and r.state is not CANCELLED]
        recreated = any(r.recreated for r in act.requests)
        refused = bool(states) and all(state is REJECTED for state in states)
        return refused and not recreated and not self._stands(act)

    def _stands(self, act: Act) -> bool:
        """Tells whether a part of the action had no request, and therefore stays."""
        action = act.action
        if isinstance(action, do.BecomeSubscriber) and action.existing:
            return True
        for code in act.ineffective:
            if self.plan(self.image(act.before, code), self.image(act.after, code), code):
                return True
        if not isinstance(action, LISTING_SERVICES):
            return False
        return not all(self._requested(act, each.place) for each in action.services)

    def _requested(self, act: Act, place: Place) -> bool:
        return any(
            req.order.type is BECOME
            or any(
                key[0] == "service" and self._entitles(place, place[0], str(key[1]), str(key[2]))
                for key in req.order.names
            )
            for req in act.at_provider(place[0])
        )


def _spent(before: Sub, act: Act) -> Sub:
    """Returns the state with the automatic end marked as done. This mark stays even if the
    automatic end is taken back.
    """
    after = before.copy()
    if not isinstance(act.action, do.StopServices):
        after.until = None if before.until and before.until <= act.at else before.until
        return after
    for selection in act.action.services:
        svc = after.services.get(selection.place)
        if svc and svc.term_end is not None and svc.term_end <= act.at:
            after.services[selection.place] = replace(svc, over=True)
    return after


Key = TypeVar("Key")
Value = TypeVar("Value")


def _restore(
    after: dict[Key, Value], before: dict[Key, Value], chosen: Callable[[Key], bool]
) -> None:
    for key in [key for key in after if chosen(key)]:
        del after[key]
    after.update({key: value for key, value in before.items() if chosen(key)})
