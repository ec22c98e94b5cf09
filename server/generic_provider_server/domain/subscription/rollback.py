"""Handles a rejected request: takes back the part of the action that the request carried, replays
later actions, and corrects the platforms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import assert_never

from msgspec.structs import replace

from ..actions import AtomicAction
from ..catalogue import Catalogue
from ..platform.compare import compare, sides
from ..platform.image import Known, PlatformImage
from ..platform.named_elements import Name, entitlements_of
from ..platform.named_elements import names as names_of
from ..platform.plan import plan
from ..platform.request import Request
from ..platform.request_effects import has
from ..refusals import Reason, Refused
from ..values import RequestState, RequestType, Subscription
from .correct import reconcile
from .ledger import Ledger
from .pending_requests import Pending
from .replay import replay_until_stable
from .state_after import after
from .undone import Undone, undone
from .unsettled_actions import (
    ActionError,
    HolderPart,
    ItemPart,
    Part,
    ProviderPart,
    ServicesPart,
    StatePart,
    UnsettledAction,
    UsagePart,
    changed_by,
    error_once,
)
from .what_remains import Replayed, before_action, nothing_happened, wholly_undone


def roll_back(ledger: Ledger, *, provider: str, rejected: Pending, error: ActionError) -> None:
    """Takes back the part of the action that the rejected request carried."""
    ledger.change(error_once(ledger.performed[rejected.action], error))
    _cancel_behind(ledger, provider=provider, rejected=rejected)
    if nothing_happened(ledger, rejected.action):
        ledger.change(wholly_undone(ledger.performed[rejected.action]))
    else:
        _undo(ledger, provider=provider, rejected=rejected)
    cause = replace(error, reason=Reason.DEPENDS_ON_REJECTED)
    replayed = replay_until_stable(ledger, cause=cause)
    if rejected.action != replayed[-1].action:
        _note_other_effects(ledger, replayed, cause=cause)
    for linked in ledger.links:
        catalogue = ledger.catalogues[linked]
        if not catalogue.effective:
            continue
        reconcile(
            ledger,
            linked,
            catalogue,
            never=rejected.request if linked == provider else None,
            names=partial(_names_of_changes, ledger, catalogue),
            asked=replayed,
            cause=cause,
        )


def _note_other_effects(
    ledger: Ledger, replayed: Sequence[Replayed], *, cause: ActionError
) -> None:
    """Records `cause` for each action that is still valid, but changes the subscription in another
    way now. The requests of such an action need not be replaced: they may be answered already.
    """
    for (former, then), now in zip(_as_they_were(ledger), replayed, strict=True):
        if not _is_taken_back(ledger, former) and _has_other_effect(then, now):
            ledger.change(changed_by(ledger.performed[former.id], cause))


def _has_other_effect(then: Replayed, now: Replayed) -> bool:
    """Tells whether the action changes other parts of the subscription now than before the
    rollback, gives these parts other values, or does not link a provider any more.
    """
    unlinked = any(then.links(code) and not now.links(code) for code in then.after.linked)
    return unlinked or _effect(then) != _effect(now)


def _effect(replayed: Replayed) -> list[Undone]:
    """Returns the parts of the subscription that the action changes, with their new values. They
    are sorted, because the order of the parts has no meaning, and a rollback may change it.
    """
    before, state = replayed.before, replayed.after
    return sorted(undone(before, state), key=repr) if before is not None else []


def _as_they_were(ledger: Ledger) -> Iterator[tuple[UnsettledAction, Replayed]]:
    """Yields each unsettled action as it was before the rollback, with the states before and after
    it.
    """
    state = ledger.before.settled_state
    for former in ledger.before.performed:
        before, state = state, after(state, former, catalogues=ledger.catalogues)
        yield former, Replayed(former.id, before, state)


def _is_taken_back(ledger: Ledger, former: UnsettledAction) -> bool:
    """Tells whether this rollback took the action back as a whole or in part."""
    now = ledger.performed[former.id]
    return (now.undone, now.taken_back) != (former.undone, former.taken_back)


def _names_of_changes(ledger: Ledger, catalogue: Catalogue) -> frozenset[Name]:
    # the states of the CRM before and after the rollback do not show every part that was taken
    # back, because a later action may want the same part too
    taken_back = [
        (then.before, then.after)
        for former, then in _as_they_were(ledger)
        if _is_taken_back(ledger, former)
    ]
    changes = [(ledger.before.desired, ledger.desired), *taken_back]
    images = [(ledger.image(a, catalogue), ledger.image(b, catalogue)) for a, b in changes]
    plans = [plan(old, new, catalogue=catalogue) for old, new in images]
    return frozenset().union(*[names_of(request) for requests in plans for request in requests])


def refuse_correction(
    ledger: Ledger, *, provider: str, rejected: Pending, error: ActionError
) -> None:
    """Records a rejected correction. The CRM keeps its state, and no action heals the platform
    until the link is in sync or reset.

    If the correction is a BECOME_SUBSCRIBER, the requests of the unsettled actions are planned
    again: the first action that needs a request at the provider gets a BECOME_SUBSCRIBER, which
    contains the changes of this action too.
    """
    link = ledger.links[provider]
    ledger.links[provider] = replace(link, refused_correction=True)
    if rejected.request.type is RequestType.BECOME_SUBSCRIBER:
        _cancel_behind(ledger, provider=provider, rejected=rejected)
        replay_until_stable(ledger, cause=replace(error, reason=Reason.DEPENDS_ON_REJECTED))


def _cancel_behind(ledger: Ledger, *, provider: str, rejected: Pending) -> None:
    """Cancels the other requests of the unit if its BECOME_SUBSCRIBER was rejected, because the
    platform does not know the subscriber.
    """
    if rejected.request.type is not RequestType.BECOME_SUBSCRIBER:
        return
    leased = ledger.leased(provider)
    for pending in ledger.links[provider].queue:
        if pending.unit == rejected.unit and pending.number not in leased:
            ledger.abandon(provider, pending, RequestState.CANCELLED)


def _undo(ledger: Ledger, *, provider: str, rejected: Pending) -> None:
    before, performed = before_action(ledger, rejected.action)
    if performed.undone:
        return
    catalogue = ledger.catalogues[provider]
    for attempt in _attempts(performed, provider, rejected.request):
        try:
            state = after(before, attempt, catalogues=ledger.catalogues)
        except Refused:  # without this part, the action breaks a rule
            break
        if attempt.undone or _effect_is_undone(ledger, catalogue, rejected.request, before, state):
            ledger.change(attempt)
            return
    ledger.change(wholly_undone(performed))


def _attempts(performed: UnsettledAction, provider: str, request: Request) -> list[UnsettledAction]:
    """Returns the possible ways to take back the request's part of the action: first the smallest
    part, last the whole action.
    """
    whole = wholly_undone(performed)
    if isinstance(performed.action, AtomicAction):
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
        case RequestType.ADD_UDR | RequestType.CANCEL_UDR if request.usage:
            return UsagePart(reference=request.usage.reference)
        case RequestType.ADD_INSTALLED_ITEM | RequestType.REMOVE_INSTALLED_ITEM if request.item:
            return ItemPart(
                provider=provider,
                goods_type=request.item.goods_type,
                serial_number=request.item.serial_number,
            )
        case RequestType.ACTIVATE_SERVICE | RequestType.DEACTIVATE_SERVICE if request.service:
            return ServicesPart(
                provider=provider,
                distributor=request.service.distributor,
                provider_service_id=request.service.provider_service_id,
            )
        case _:
            raise ValueError(f"a {request.type.name} that names nothing")


def _effect_is_undone(
    ledger: Ledger,
    catalogue: Catalogue,
    request: Request,
    before: Subscription | None,
    state: Subscription,
) -> bool:
    """Tells whether the effect of the rejected request is undone in `state`: the elements that the
    request added are gone, and the elements that the request removed are there again.

    The effect of a BECOME_SUBSCRIBER is undone if `state` is not linked to the provider, or if the
    CRM wants the same contents at the provider as before the action.
    """
    old, new = ledger.image(before, catalogue), ledger.image(state, catalogue)
    match request.type:
        case RequestType.UPDATE_SUBSCRIBER | RequestType.UPDATE_ADDRESS:
            return True
        case RequestType.BECOME_SUBSCRIBER:
            return new.known is Known.NO or not compare(old, new)
        case RequestType.ACTIVATE_SERVICE | RequestType.ACTIVATE_SUBSCRIBER:
            added = entitlements_of(request)
            return sides(new.entitlements, added).missing == added
        case RequestType.ADD_INSTALLED_ITEM | RequestType.ADD_UDR:
            return not has(new, request)
        case (
            RequestType.DEACTIVATE_SERVICE
            | RequestType.DEACTIVATE_SUBSCRIBER
            | RequestType.REMOVE_INSTALLED_ITEM
            | RequestType.CANCEL_UDR
        ):
            return _kept(old, new, request)
        case _:
            assert_never(request.type)


def _kept(old: PlatformImage, new: PlatformImage, request: Request) -> bool:
    """Tells whether the CRM wants the elements that the request removes. Elements that the CRM did
    not want before the action are ignored.
    """
    if request.type is RequestType.DEACTIVATE_SUBSCRIBER:
        wanted, there = {e.key for e in old.entitlements}, {e.key for e in new.entitlements}
        return all(e.key in there for e in entitlements_of(request) if e.key in wanted)
    return has(old, request) or not has(new, request)
