"""Decides whether any part of an action took effect, after some of its requests were rejected."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from ..actions import BecomeSubscriber, ServiceListAction
from ..catalogue import Catalogues
from ..refusals import Refused
from ..values import RequestState, Subscription
from .ledger import Ledger
from .state_after import after
from .unsettled_actions import Requested, UnsettledAction

STANDS = frozenset({RequestState.COMPLETED, RequestState.EXPIRED})


class Replayed(NamedTuple):
    """An action that was replayed, with the states of the subscription before and after it."""

    action: int
    before: Subscription | None
    after: Subscription

    def links(self, provider: str) -> bool:
        """Tells whether the action itself links the provider."""
        linked = self.before.linked if self.before else ()
        return provider in self.after.linked and provider not in linked


def nothing_happened(ledger: Ledger, action: int) -> bool:
    """Tells whether a request of the action was rejected, and no part of the action took effect or
    is pending.
    """
    performed = ledger.performed[action]
    outcomes = performed.outcomes
    return (
        not performed.undone
        and any(o.state is RequestState.REJECTED and not o.correction for o in outcomes)
        and not any(o.state in STANDS or o.recreated for o in outcomes)
        and not ledger.is_pending(performed)
        and not _stands_without_request(ledger, action)
    )


def _stands_without_request(ledger: Ledger, action: int) -> bool:
    """Tells whether a part of the action took effect without a request."""
    before, performed = before_action(ledger, action)
    if served_before(performed) or _listed_without_request(performed, ledger.catalogues):
        return True
    if not performed.ineffective:
        return False
    try:
        state = after(before, performed, catalogues=ledger.catalogues)
    except Refused:
        return False
    return any(
        ledger.image(before, ledger.catalogues[code])
        != ledger.image(state, ledger.catalogues[code])
        for code in performed.ineffective
    )


def _listed_without_request(performed: UnsettledAction, catalogues: Catalogues) -> bool:
    action = performed.action
    return isinstance(action, ServiceListAction) and any(
        Requested(each.provider) not in performed.requested
        and Requested(
            each.provider,
            each.distributor,
            catalogues[each.provider].services[each.service].provider_service_id,
        )
        not in performed.requested
        for each in action.services
    )


def before_action(ledger: Ledger, action: int) -> tuple[Subscription | None, UnsettledAction]:
    """Returns the state before the action, and the action with its results so far."""
    state = ledger.base
    for performed in ledger.performed.values():
        if performed.id == action:
            return state, performed
        state = after(state, performed, catalogues=ledger.catalogues)
    raise LookupError(f"action {action} is not unsettled")


def state_at(ledger: Ledger, unit: int) -> Subscription:
    """Returns the subscription after all unsettled actions up to this unit."""
    state = ledger.base
    for performed in ledger.performed.values():
        if performed.unit > unit:
            break
        state = after(state, performed, catalogues=ledger.catalogues)
    return state or ledger.desired


def served_before(performed: UnsettledAction) -> set[str]:
    """Returns the providers that served the customer before the action.

    The service sends no requests to these providers, so their platforms cannot reject the action.
    """
    action = performed.action
    return {e.provider for e in action.existing} if isinstance(action, BecomeSubscriber) else set()


def wholly_undone(performed: UnsettledAction) -> UnsettledAction:
    return replace(performed, undone=True)
