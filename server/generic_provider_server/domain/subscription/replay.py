"""Replays the unsettled actions after a part of an action was taken back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from msgspec.structs import replace

from ..platform.image import Known, PlatformImage
from ..platform.request import Request
from ..platform.request_effects import effects, has
from ..refusals import Refused
from ..values import RequestState, RequestType, Subscription
from .aggregate import Link
from .correct import unwanted
from .due import without_usage
from .ledger import Ledger
from .pending_requests import Pending
from .queueing import enqueue_own, plan_performed
from .state_after import after
from .undone import Undone, undone
from .unsettled_actions import ActionError, UnsettledAction, changed_by, error_once
from .what_remains import Replayed, nothing_happened, served_before, wholly_undone

SETTLED_THERE = frozenset({RequestState.COMPLETED, RequestState.REJECTED, RequestState.EXPIRED})


def replay_until_stable(ledger: Ledger, *, cause: ActionError) -> list[Replayed]:
    """Replays the unsettled actions, and returns them with the states before and after each action.

    If no part of an action took effect, takes the action back as a whole, and replays again. The
    next replay judges refused actions again, because they may be possible without the action that
    was taken back.
    """
    replayed, refused = _replay(ledger, cause=cause)
    while nothing_left := [
        number for number in ledger.performed if nothing_happened(ledger, number)
    ]:
        for action in nothing_left:
            ledger.change(wholly_undone(ledger.performed[action]))
        for former in refused:
            restored = replace(ledger.performed[former.id], undone=False, error=former.error)
            ledger.change(restored)
            ledger.taken_back.pop(former.id, None)
        replayed, refused = _replay(ledger, cause=cause)
    return replayed


def _replay(ledger: Ledger, *, cause: ActionError) -> tuple[list[Replayed], list[UnsettledAction]]:
    """Computes *desired* anew, and changes the pending requests of each action accordingly.

    Returns the replayed actions, and the former values of the actions that are impossible now.
    """
    state = ledger.base
    replayed = []
    impossible = []
    own = _own_requests(ledger)
    for performed in list(ledger.performed.values()):
        before = state
        try:
            state = after(before, performed, catalogues=ledger.catalogues)
        except Refused:
            former = ledger.performed[performed.id]
            impossible.append(former)
            refused = ledger.change(error_once(wholly_undone(former), cause))
            state = after(before, refused, catalogues=ledger.catalogues)
        replayed.append(Replayed(performed.id, before, state))
        for code in state.linked:
            ledger.links.setdefault(code, Link(provider=code))
        for provider in list(ledger.links):
            mine = own.get((provider, performed.id), ())
            _bring_in_line(ledger, provider, replayed[-1], mine, cause=cause)
        changed = ledger.performed[performed.id]
        if changed.taken_back or changed.undone:
            ledger.taken_back[changed.id] = _taken_back(ledger, changed, replayed[-1])
    if state is None:
        raise ValueError("a replay without any state")
    ledger.desired = without_usage(state, now=ledger.now)
    return replayed, impossible


def _taken_back(
    ledger: Ledger, performed: UnsettledAction, replayed: Replayed
) -> tuple[Undone, ...]:
    """Returns the changes of the action that rejections have taken back."""
    whole, state = replace(performed, taken_back=(), undone=False), replayed.after
    try:
        applied = after(replayed.before, whole, catalogues=ledger.catalogues)
    except Refused:
        state, applied = _as_it_was(ledger, performed.id)
    return undone(applied, state)


def _as_it_was(ledger: Ledger, action: int) -> tuple[Subscription, Subscription]:
    """Returns the subscription before and after the action, computed from the aggregate before the
    rollback.
    """
    state = ledger.before.settled_state
    for performed in ledger.before.performed:
        former, state = state, after(state, performed, catalogues=ledger.catalogues)
        if performed.id == action:
            return former or state, state
    raise LookupError(f"action {action} is not unsettled")


def _own_requests(ledger: Ledger) -> dict[tuple[str, int], list[Pending]]:
    """Returns the pending requests by provider and number of the action."""
    own: dict[tuple[str, int], list[Pending]] = {}
    for link in ledger.links.values():
        for pending in link.queue:
            own.setdefault((link.provider, pending.action), []).append(pending)
    return own


def _bring_in_line(
    ledger: Ledger,
    provider: str,
    replayed: Replayed,
    mine: Sequence[Pending],
    *,
    cause: ActionError,
) -> None:
    """Replaces the pending requests of the action at the provider, or cancels requests that are not
    needed any more.
    """
    performed = ledger.performed[replayed.action]
    if provider in served_before(performed):
        return
    if _replaceable(ledger, provider, replayed, mine):
        _replan(ledger, provider, replayed, mine, cause=cause)
        return
    _cancel_pointless(ledger, provider, replayed, mine)


def _cancel_pointless(
    ledger: Ledger, provider: str, replayed: Replayed, mine: Sequence[Pending]
) -> None:
    """Cancels requests that the action no longer needs, and requests whose effect the platform
    already holds.
    """
    leased = ledger.leased(provider)
    whole = ledger.performed[replayed.action].undone
    wanted = ledger.image(replayed.after, ledger.catalogues[provider])
    for unit, requests in groupby(mine, key=lambda pending: pending.unit):
        ahead = ledger.expected(provider, before_unit=unit)
        # Requests of one type name different elements, so they are judged together.
        for _, same in groupby(requests, key=lambda pending: pending.request.type):
            kept = list[Request]()
            for pending in same:
                needless = whole or _needless(ahead, wanted, pending.request)
                if needless and pending.number not in leased:
                    ledger.abandon(provider, pending, RequestState.CANCELLED)
                else:
                    kept.append(pending.request)
            ahead = effects(ahead, kept)


def _needless(ahead: PlatformImage, wanted: PlatformImage, request: Request) -> bool:
    """Returns True if the request is not needed. There are three such cases: the CRM does not want
    the request's effect, the platform already has this effect, or the platform does not know the
    subscriber.

    `ahead`: the image of the platform when the platform gets the request.
    """
    become = request.type is RequestType.BECOME_SUBSCRIBER
    unknown = ahead.known is Known.NO and wanted.known is Known.YES and not become
    return unknown or unwanted(wanted, request) or has(ahead, request)


def _replaceable(
    ledger: Ledger, provider: str, replayed: Replayed, mine: Sequence[Pending]
) -> bool:
    """Tells whether the action's requests at the provider may be replaced as a whole.

    None of the requests may be on a lease, or have a final state other than CANCELLED. The platform
    must not have received a request of a later unit, because requests of an older unit must not
    follow. The provider must be effective now. The provider must also have been effective when the
    action was performed, because otherwise the action created no requests for the provider. A
    provider that the action links in this replay, but did not link before, need not have been
    effective when the action was performed.
    """
    performed = ledger.performed[replayed.action]
    links_now = replayed.links(provider) and provider not in performed.linked_then
    left_out = provider in performed.ineffective and not links_now
    link, leased = ledger.links[provider], ledger.leased(provider)
    units = [pending.unit for pending in link.queue if pending.number in leased] if leased else []
    return (
        not performed.undone
        and ledger.catalogues[provider].effective
        and not left_out
        and not any(o.provider == provider and o.state in SETTLED_THERE for o in performed.outcomes)
        and not any(pending.number in leased for pending in mine)
        and max([link.delivered_unit, *units]) <= performed.unit
    )


def _replan(
    ledger: Ledger,
    provider: str,
    replayed: Replayed,
    mine: Sequence[Pending],
    *,
    cause: ActionError,
) -> None:
    """Plans the action's requests at the provider again. If the result differs from the pending
    requests `mine`, cancels all of these and queues the newly planned requests.
    """
    performed, catalogue = ledger.performed[replayed.action], ledger.catalogues[provider]
    old, new = ledger.image(replayed.before, catalogue), ledger.image(replayed.after, catalogue)
    if not mine and old == new:
        return

    def planned() -> tuple[Request, ...]:
        link = ledger.links[provider]
        expected = ledger.expected(provider, before_unit=performed.unit)
        return plan_performed(link, performed, old, new, expected=expected, catalogue=catalogue)[1]

    if planned() == tuple([p.request for p in mine]):
        return
    for pending in mine:
        ledger.abandon(provider, pending, RequestState.CANCELLED)
    enqueue_own(ledger, provider, planned(), action=performed.id)
    ledger.change(changed_by(ledger.performed[performed.id], cause))
