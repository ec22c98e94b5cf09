"""Rejection = rebase: undo the part, replay what came after, correct the platforms."""

from __future__ import annotations

from msgspec.structs import replace

from ..actions import ATOMIC, BecomeSubscriber
from ..catalogue import Catalogue
from ..platform.effect import entitlements_of, has
from ..platform.image import Known, PlatformImage, Request
from ..platform.plan import plan, plan_action
from ..refusals import Reason, Refused
from ..values import RequestOrigin, RequestState, RequestType, Subscription
from .after import after
from .aggregate import (
    ActionError,
    HolderPart,
    ItemPart,
    Link,
    Part,
    Pending,
    Performed,
    ProviderPart,
    ServicesPart,
    StatePart,
    UsagePart,
)
from .ledger import Ledger, error_once

SETTLED_THERE = frozenset({RequestState.COMPLETED, RequestState.REJECTED, RequestState.EXPIRED})
STANDS = frozenset({RequestState.COMPLETED, RequestState.EXPIRED})


def roll_back(ledger: Ledger, *, provider: str, rejected: Pending, error: ActionError) -> None:
    """Takes back what the rejected request of an action carried."""
    performed = ledger.action(rejected.action)
    ledger.change(performed, error_once(performed, error))
    _undo(ledger, provider=provider, rejected=rejected)
    cause = ActionError(
        reason=Reason.DEPENDS_ON_REJECTED,
        request=rejected.number,
        provider=provider,
        error_code=error.error_code,
        error_description=error.error_description,
    )
    _replay(ledger, cause=cause)
    while _undo_where_nothing_is_left(ledger):
        _replay(ledger, cause=cause)
    for link, catalogue in ledger.effective():
        spared = rejected.request if link.provider == provider else None
        reconcile(ledger, link.provider, catalogue, never=spared)


def reconcile(
    ledger: Ledger, provider: str, catalogue: Catalogue, *, never: Request | None = None
) -> None:
    """Plans the corrections that the platform still needs, but never the one just refused."""
    leased = ledger.leased(provider)
    for pending in ledger.links[provider].queue:
        if pending.origin is RequestOrigin.ROLLBACK and pending not in leased:
            ledger.abandon(provider, pending, RequestState.CANCELLED)
    expected = ledger.links[provider].expected(now=ledger.now)
    wanted = ledger.image(ledger.desired, catalogue)
    corrections = plan(expected, wanted, catalogue=catalogue)
    needed = tuple([request for request in corrections if request != never])
    if needed:
        unit = ledger.new_unit()
        ledger.enqueue(provider, needed, unit=unit, origin=RequestOrigin.ROLLBACK)


def _undo(ledger: Ledger, *, provider: str, rejected: Pending) -> None:
    before, performed = _before(ledger, rejected.action)
    if performed.undone:
        return
    catalogue = ledger.catalogues[provider]
    for attempt in _attempts(performed, provider, rejected.request):
        try:
            state = after(before, attempt, catalogues=ledger.catalogues)
        except Refused:
            continue
        if attempt.undone or _took(ledger, catalogue, rejected.request, before, state):
            break
    ledger.change(performed, attempt)


def _before(ledger: Ledger, action: int) -> tuple[Subscription | None, Performed]:
    """The action and the state before it."""
    state = ledger.base
    for performed in ledger.performed:
        if performed.id == action:
            return state, performed
        state = after(state, performed, catalogues=ledger.catalogues)
    raise LookupError(f"action {action} is not unsettled")


def _attempts(performed: Performed, provider: str, request: Request) -> list[Performed]:
    """Ways to take the request's part back, the narrowest first, the whole action last."""
    whole = replace(performed, undone=True)
    if performed.action.kind in ATOMIC:
        return [whole]
    ways = [_part(provider, request)]
    if request.type is RequestType.ACTIVATE_SERVICE and isinstance(ways[0], ServicesPart):
        ways.append(replace(ways[0], off=True))
    return [
        *[replace(performed, taken_back=_grown(performed.taken_back, way)) for way in ways],
        whole,
    ]


def _grown(parts: tuple[Part, ...], part: Part) -> tuple[Part, ...]:
    return parts if part in parts else (*parts, part)


def _part(provider: str, request: Request) -> Part:
    match request.type:
        case RequestType.BECOME_SUBSCRIBER:
            return ProviderPart(provider=provider)
        case RequestType.ACTIVATE_SUBSCRIBER | RequestType.DEACTIVATE_SUBSCRIBER:
            return StatePart()
        case RequestType.UPDATE_SUBSCRIBER:
            return HolderPart()
        case RequestType.UPDATE_ADDRESS:
            return HolderPart(holder=False)
        case _:
            return _single_part(provider, request)


def _single_part(provider: str, request: Request) -> Part:
    if request.usage is not None:
        return UsagePart(reference=request.usage.reference)
    if request.item is not None:
        return ItemPart(
            provider=provider,
            goods_type=request.item.goods_type,
            serial_number=request.item.serial_number,
        )
    if request.service is None:
        raise ValueError(f"a {request.type.name} that names nothing")
    return ServicesPart(
        provider=provider,
        distributor=request.service.distributor,
        provider_service_id=request.service.provider_service_id,
    )


def _took(
    ledger: Ledger,
    catalogue: Catalogue,
    request: Request,
    before: Subscription | None,
    state: Subscription,
) -> bool:
    """Does the state no longer ask for what was refused, and again for what could not go?"""
    old, new = ledger.image(before, catalogue), ledger.image(state, catalogue)
    match request.type:
        case RequestType.UPDATE_SUBSCRIBER | RequestType.UPDATE_ADDRESS:
            return True
        case RequestType.BECOME_SUBSCRIBER:
            return new.known is Known.NO
        case RequestType.ACTIVATE_SERVICE | RequestType.ACTIVATE_SUBSCRIBER:
            there = {(e.key, e.term_end) for e in new.entitlements}
            return not any((e.key, e.term_end) in there for e in entitlements_of(request))
        case RequestType.ADD_INSTALLED_ITEM | RequestType.ADD_UDR:
            return not has(new, request)
        case _:
            return _kept(old, new, request)


def _kept(old: PlatformImage, new: PlatformImage, request: Request) -> bool:
    """What the request was to take away is wanted again, if it was wanted before."""
    if request.type is RequestType.DEACTIVATE_SUBSCRIBER:
        wanted, there = {e.key for e in old.entitlements}, {e.key for e in new.entitlements}
        return all(e.key in there for e in entitlements_of(request) if e.key in wanted)
    return has(old, request) or not has(new, request)


def _replay(ledger: Ledger, *, cause: ActionError) -> None:
    """Computes desired anew and brings each action's pending requests in line with it."""
    state = ledger.base
    for performed in list(ledger.performed):
        before = state
        try:
            state = after(before, performed, catalogues=ledger.catalogues)
            current = performed
        except Refused:
            undone = error_once(replace(performed, undone=True), cause)
            current = ledger.change(performed, undone)
            state = after(before, current, catalogues=ledger.catalogues)
        for link in list(ledger.links.values()):
            _bring_in_line(ledger, link, current, before, state, cause=cause)
        changed = ledger.action(performed.id)
        if changed.taken_back or changed.undone:
            ledger.tell_taken_back(before, changed, state)
    if state is None:
        raise ValueError("a replay without any state")
    ledger.desired = state
    for code in state.linked:
        ledger.links.setdefault(code, Link(provider=code))


def _bring_in_line(
    ledger: Ledger,
    link: Link,
    performed: Performed,
    before: Subscription | None,
    state: Subscription,
    *,
    cause: ActionError,
) -> None:
    mine = [p for p in link.queue if p.unit == performed.unit]
    if link.provider in _existing(performed):
        return
    provider, catalogue = link.provider, ledger.catalogues[link.provider]
    leased = ledger.leased(provider)
    free = [p for p in mine if p not in leased]
    untouched = (
        len(free) == len(mine)
        and catalogue.effective
        and provider not in performed.ineffective
        and not any(o.provider == provider and o.state in SETTLED_THERE for o in performed.outcomes)
    )
    if untouched and not performed.undone:
        _replan(ledger, provider, performed, before, state, cause=cause)
        return
    wanted = ledger.image(state, catalogue)
    for pending in free:
        if performed.undone or _pointless(wanted, pending.request):
            ledger.abandon(provider, pending, RequestState.CANCELLED)


def _pointless(wanted: PlatformImage, request: Request) -> bool:
    if request.type is RequestType.BECOME_SUBSCRIBER:
        return wanted.known is Known.NO
    return not has(wanted, request)


def _replan(
    ledger: Ledger,
    provider: str,
    performed: Performed,
    before: Subscription | None,
    state: Subscription,
    *,
    cause: ActionError,
) -> None:
    """Replaces the action's requests as a whole if they are no longer what it means."""
    catalogue = ledger.catalogues[provider]
    old, new = ledger.image(before, catalogue), ledger.image(state, catalogue)
    mine = [p for p in ledger.links[provider].queue if p.unit == performed.unit]
    if old == new and not mine:
        return

    def planned() -> tuple[Request, ...]:
        return plan_action(
            old,
            new,
            expected=ledger.links[provider].expected(now=ledger.now, before_unit=performed.unit),
            catalogue=catalogue,
            methods=performed.methods(provider),
        )

    if planned() == tuple([p.request for p in mine]):
        return
    for pending in mine:
        ledger.abandon(provider, pending, RequestState.CANCELLED)
    current = ledger.action(performed.id)
    ledger.enqueue(
        provider,
        planned(),
        unit=performed.unit,
        origin=RequestOrigin.ACTION,
        performed=current,
    )
    changed = replace(cause, reason=Reason.CHANGED_BY_ROLLBACK)
    ledger.change(current, error_once(current, changed))


def _undo_where_nothing_is_left(ledger: Ledger) -> bool:
    """An action of which something was refused and nothing stands did not happen."""
    found = False
    for performed in list(ledger.performed):
        states = {outcome.state for outcome in performed.outcomes}
        if (
            not performed.undone
            and RequestState.REJECTED in states
            and not states & STANDS
            and not _existing(performed)
            and not ledger.pending_of(performed)
        ):
            ledger.change(performed, replace(performed, undone=True))
            found = True
    return found


def _existing(performed: Performed) -> set[str]:
    """Providers that served the customer before: nothing is sent there, and that stands."""
    action = performed.action
    return {e.provider for e in action.existing} if isinstance(action, BecomeSubscriber) else set()
