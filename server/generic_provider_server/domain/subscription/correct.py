"""Corrects a platform after a rejection or a late answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby

from msgspec.structs import replace

from ..catalogue import Catalogue
from ..platform.image import NOTHING, Known, PlatformImage
from ..platform.named_elements import Name
from ..platform.named_elements import names as names_of
from ..platform.plan import plan
from ..platform.request import Request
from ..platform.request_effects import has, holds
from ..values import RequestState, RequestType
from .ledger import Ledger
from .pending_requests import Pending
from .queueing import correction, of_action, requested
from .unsettled_actions import ActionError, changed_by
from .what_remains import Replayed, served_before, state_at


def reconcile(
    ledger: Ledger,
    provider: str,
    catalogue: Catalogue,
    *,
    names: Callable[[], AbstractSet[Name]],
    never: Request | None = None,
    asked: Sequence[Replayed] = (),
    cause: ActionError | None = None,
) -> None:
    """Creates a new unit with the corrections that the platform still needs.

    Cancels pending corrections that the platform does not need any more. `never`: the request that
    was just rejected; it is not sent again until the link is in sync or reset. `names` returns the
    elements that are corrected even if a correction was rejected earlier; if none was rejected,
    `names` is not called. `asked`: the actions that were replayed because of `cause`. If such an
    action needs a request to `provider` and has none, the new request belongs to this action.
    """
    _cancel_pointless(ledger, provider, catalogue)
    if not (needed := _needed(ledger, provider, catalogue)):
        return
    owners = _owners(ledger, provider, catalogue, asked)
    owned = [(request, _owner(owners, request)) for request in needed]
    corrections = [request for request, action in owned if action is None]
    sent = _not_withheld(ledger, provider, corrections, never, names=names)
    unit = ledger.new_unit()
    added: list[Pending] = []
    for request, action in owned:
        if action is not None:
            performed = ledger.performed[action]
            asked_for = requested(performed, provider, (request,))
            performed = ledger.change(replace(performed, requested=asked_for))
            if cause is not None:
                performed = ledger.change(changed_by(performed, cause))
            added.append(
                of_action(ledger, request, performed=performed, unit=unit, index=len(added))
            )
        elif request in sent:
            added.append(correction(ledger, request, unit=unit, index=len(added)))
        elif request.type is RequestType.BECOME_SUBSCRIBER:
            break  # the platform does not know the subscriber, so all later requests would fail
    ledger.add(provider, added)


def _cancel_pointless(ledger: Ledger, provider: str, catalogue: Catalogue) -> None:
    """Cancels corrections that are not needed at their place in the queue.

    Each correction is compared with the state of the CRM after the actions up to its own unit, so a
    later action does not make the correction pointless. A correction is also pointless if the
    platform will not know the subscriber when the platform gets the correction, because an earlier
    BECOME_SUBSCRIBER was rejected.
    """
    leased, link = ledger.leased(provider), ledger.links[provider]
    unknown = link.confirmed.known is Known.NO
    for unit, queued in groupby(link.queue, key=lambda pending: pending.unit):
        # a unit may also contain requests of an action, for example BECOME_SUBSCRIBER
        pendings = list(queued)
        corrections = {p.number for p in pendings if not p.action} - leased
        wanted = ledger.image(state_at(ledger, unit), catalogue) if corrections else NOTHING
        for pending in pendings:
            become = pending.request.type is RequestType.BECOME_SUBSCRIBER
            pointless = (unknown and not become) or unwanted(wanted, pending.request)
            if pointless and pending.number in corrections:
                ledger.abandon(provider, pending, RequestState.CANCELLED)
            elif become:
                unknown = False


def _needed(ledger: Ledger, provider: str, catalogue: Catalogue) -> tuple[Request, ...]:
    """Returns the requests that the platform still needs.

    Returns no requests if the account was taken over and its contents are unknown: the platform
    then waits for a reset.
    """
    expected = ledger.expected(provider)
    if ledger.links[provider].taken_over and expected.known is not Known.YES:
        return ()
    return plan(expected, ledger.image(ledger.desired, catalogue), catalogue=catalogue)


def _not_withheld(
    ledger: Ledger,
    provider: str,
    corrections: Sequence[Request],
    never: Request | None,
    *,
    names: Callable[[], AbstractSet[Name]],
) -> list[Request]:
    """Returns the corrections that may be sent.

    If `never` is one of the corrections, the link withholds it from now on, because it was just
    rejected.
    """
    link = ledger.links[provider]
    if never is not None and never in corrections and never not in link.withheld:
        link = replace(link, withheld=(*link.withheld, never))
        ledger.links[provider] = link
    free = [request for request in corrections if request not in link.withheld]
    if not link.refused_correction:
        return free
    named = names()
    return [request for request in free if named & names_of(request)]


def _owner(owners: Sequence[tuple[int, AbstractSet[Name]]], request: Request) -> int | None:
    named = names_of(request)
    return next((action for action, asks in owners if asks & named), None)


def _owners(
    ledger: Ledger, provider: str, catalogue: Catalogue, asked: Sequence[Replayed]
) -> list[tuple[int, AbstractSet[Name]]]:
    """Returns the actions of `asked` that have no request at the provider, each with the names of
    the elements that the action changes there. The latest action comes first.

    Leaves out actions that were taken back as a whole. Also leaves out Become Subscriber if it
    names an existing account at the provider, because this action sends no request there.
    """
    owners: list[tuple[int, AbstractSet[Name]]] = []
    with_pending = {pending.action for pending in ledger.links[provider].queue}
    for replayed in reversed(asked):
        performed = ledger.performed[replayed.action]
        has_one = performed.id in with_pending or any(
            outcome.provider == provider for outcome in performed.outcomes
        )
        if performed.undone or has_one or provider in served_before(performed):
            continue
        old = ledger.image(replayed.before, catalogue)
        new = ledger.image(replayed.after, catalogue)
        changes = [names_of(request) for request in plan(old, new, catalogue=catalogue)]
        owners.append((performed.id, frozenset().union(*changes)))
    return owners


def unwanted(wanted: PlatformImage, request: Request) -> bool:
    """Tells whether the CRM does not want the effect of the request.

    If the CRM wants another usage record with the same reference, it also wants the cancellation of
    the old record.
    """
    match request.type:
        case RequestType.BECOME_SUBSCRIBER:
            return wanted.known is Known.NO
        case RequestType.CANCEL_UDR:
            return holds(wanted, request)
        case _:
            return not has(wanted, request)
