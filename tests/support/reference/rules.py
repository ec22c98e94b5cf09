"""Computes how the CRM's actions change a subscription. This module shares only the types of the
values with the service.
"""

from __future__ import annotations

from generic_provider_server.domain import actions as do
from generic_provider_server.domain.values import (
    FINAL,
    ON,
    Account,
    Address,
    State,
)

from .changes import change
from .state import Providers, Sub, Svc, add_item, add_service, check, need


def apply(before: Sub | None, action: do.AnyAction, providers: Providers, now: int) -> Sub:
    """Returns the state after the action. Raises NotAllowed if the rules refuse the action."""
    if isinstance(action, do.BecomeSubscriber):
        need(before is None, "there is one already")
        after = _become(action)
    else:
        assert before is not None
        need(before.state not in FINAL, "it has ended")
        after = before.copy()
        change(after, action, providers, now)
        if after.state is not before.state and not _ended_by_term(action):
            after.by_term = False
    check(after, providers)
    if after.on:
        after.linked |= _links(before, after, action)
    return after


def _ended_by_term(action: do.AnyAction) -> bool:
    return isinstance(action, do.StopServices) and action.term_over


def _become(action: do.BecomeSubscriber) -> Sub:
    state = State.DRAFT if action.draft else State.EFFECTIVE
    after = Sub(state, action.type, action.holder, action.address)
    for item in action.items:
        add_item(after, (item.provider, item.goods_type, item.serial_number), item.distributor)
    for selection in action.services:
        add_service(after, selection.place, Svc(state, selection.term_end))
    return after


def _links(before: Sub | None, after: Sub, action: do.AnyAction) -> set[str]:
    """Returns the providers to which the action links the subscription: the providers at which the
    action adds, starts or moves services or items, and the providers that are named in a Become
    Subscriber, Add Usage or Replace.
    """
    old = before or Sub(State.DRAFT, "", Account(), Address())
    found = {key[0] for key, where in after.items.items() if old.items.get(key) != where}
    for key, svc in after.services.items():
        was = old.services.get(key)
        added = was is None and not isinstance(action, do.SwapService)
        if added or (svc.state in ON and (was is None or was.state not in ON)):
            found.add(key[0])
    if isinstance(action, do.AddUsage):
        found.add(action.provider)
    if isinstance(action, do.BecomeSubscriber):
        found |= {existing.provider for existing in action.existing}
        found |= {action.provider} if action.provider else set()
    if isinstance(action, do.Replace):
        found |= {key[0] for key in [*after.items, *after.services]}
    return found
