"""Performs an action on an aggregate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from ..actions import (
    Activate,
    AddItems,
    AddUsage,
    AnyAction,
    BecomeSubscriber,
    CancelUsage,
    ChangeDistribution,
    ChangeLocation,
    ChangeSubscriber,
    Deactivate,
    EndResting,
    EndShortTermActivation,
    EndShortTermDeactivation,
    Regret,
    RemoveItems,
    Replace,
    Rest,
    ServiceListAction,
    ShortTermActivate,
    ShortTermDeactivate,
    SwapItem,
    SwapService,
    Terminate,
)
from ..catalogue import Catalogues
from ..platform.compare import compare
from ..platform.image import Known, PlatformImage
from ..refusals import InvalidField, Reason, Refused
from ..rules.apply import apply
from ..rules.resolve import resolve
from ..values import Item, RequestMethod, SubscribedService, Subscription
from .aggregate import Aggregate, Link
from .due import spent
from .ledger import Ledger
from .queueing import enqueue, enqueue_own, plan_performed
from .transition import Circumstances, Transition
from .unsettled_actions import UnsettledAction
from .what_remains import served_before

MOST_UNSETTLED = 500
"""The greatest number of unsettled actions of a subscription. The number is limited, because a
rejection replays all these actions.
"""

MOST_PENDING = 5_000
"""The number of pending requests at which a subscription accepts no more actions, because a
rejection examines all pending requests.
"""

WholeActivation = Activate | EndResting | ShortTermActivate | EndShortTermDeactivation
"""Actions for which a provider gets one ACTIVATE_SUBSCRIBER if its `activation_method` is
WHOLE_SUBSCRIPTION.
"""

WholeDeactivation = Deactivate | Terminate | Rest | ShortTermDeactivate | EndShortTermActivation
"""Actions for which a provider gets one DEACTIVATE_SUBSCRIBER if its `deactivation_method` is
WHOLE_SUBSCRIPTION.
"""

WholeAction = WholeActivation | WholeDeactivation

PerServiceAction = (
    ServiceListAction
    | BecomeSubscriber
    | Regret
    | SwapService
    | AddItems
    | RemoveItems
    | SwapItem
    | ChangeDistribution
    | ChangeLocation
    | ChangeSubscriber
    | AddUsage
    | CancelUsage
    | Replace
)
"""Actions for which a provider never gets ACTIVATE_SUBSCRIBER or DEACTIVATE_SUBSCRIBER, even if its
methods are WHOLE_SUBSCRIPTION.
"""


def perform(
    aggregate: Aggregate | None,
    action: AnyAction,
    *,
    action_id: int,
    circumstances: Circumstances,
    bulk: bool = False,
    reference: str = "",
    performed_by: str = "",
    automatic: bool = False,
    scheduled: bool = False,
) -> Transition:
    """Performs an action: computes the next desired state and the requests for it."""
    before = aggregate.desired if aggregate else None
    if aggregate is not None and not (automatic or scheduled):
        _check_unsettled(aggregate)
    resolved, state = _applied(before, action, circumstances=circumstances, automatic=automatic)
    ledger = Ledger(aggregate or Aggregate(desired=state), circumstances)
    if aggregate is None:
        ledger.base = None
    ledger.desired = state
    performed = UnsettledAction(
        id=action_id,
        unit=ledger.new_unit(),
        at=ledger.now,
        action=resolved,
        reference=reference,
        performed_by=performed_by,
        bulk=bulk,
        automatic=automatic,
        scheduled=scheduled,
        **_at_providers(resolved, before, state, ledger.catalogues),
    )
    ledger.performed[action_id] = performed
    for code in state.linked:
        if code not in ledger.links:
            ledger.links[code] = Link(provider=code)
    if isinstance(resolved, BecomeSubscriber):
        _take_over(ledger, resolved, state)
    _plan(ledger, performed, before, state)
    transition = ledger.transition()
    if not performed.ineffective:
        return transition
    return replace(transition, left_out=_left_out(ledger, performed, before, state))


def _left_out(
    ledger: Ledger, performed: UnsettledAction, before: Subscription | None, state: Subscription
) -> tuple[str, ...]:
    """Returns the providers that get no requests of the action because they are not effective."""
    served = served_before(performed)  # these providers get no requests anyway
    codes = [code for code in performed.ineffective if code not in served]
    return tuple([code for code in codes if _concerns(ledger, code, before, state)])


def _applied(
    before: Subscription | None,
    action: AnyAction,
    *,
    circumstances: Circumstances,
    automatic: bool,
) -> tuple[AnyAction, Subscription]:
    """Returns the action, completed with the providers and the distributor that the caller left
    out, and the state of the subscription after the action.
    """
    try:
        resolved = resolve(action, before)
        start = before
        if automatic and before is not None:
            start = spent(before, resolved, at=circumstances.now)
        state = apply(start, resolved, catalogues=circumstances.catalogues, at=circumstances.now)
    except Refused as refused:
        raise with_action(action, refused) from None
    if isinstance(resolved, AddUsage) and not resolved.distributor:
        resolved = replace(resolved, chosen_distributor=_place_of(resolved, state))
    return resolved, state


def _place_of(action: AddUsage, state: Subscription) -> str:
    """Returns the distributor of the usage record that the action has added."""
    places = {usage.reference: usage.distributor for usage in state.usages}
    return places[action.reference]


def _check_unsettled(aggregate: Aggregate) -> None:
    """Refuses the action if too many actions are unsettled, or if too many requests are pending.
    Unsettled automatic ends and scheduled actions are not counted.
    """
    pending = 0
    for link in aggregate.links:
        pending += len(link.queue)
    if len(aggregate.performed) < MOST_UNSETTLED and pending < MOST_PENDING:
        return
    waiting = sum([not (each.automatic or each.scheduled) for each in aggregate.performed])
    if waiting >= MOST_UNSETTLED or pending >= MOST_PENDING:
        number = aggregate.desired.number
        raise Refused(
            Reason.TOO_MANY_UNSETTLED,
            f"subscription {number} has {waiting} actions with {pending} requests that wait for a "
            "platform; is an adapter connected?",
            subscription=number,
            unsettled=str(waiting),
            pending=str(pending),
        )


def with_action(action: AnyAction, refused: Refused) -> Refused:
    """Adds the name of the action to a refusal: in front of each wrong field, or to the metadata if
    the state of the subscription does not allow the action.
    """
    if isinstance(refused, InvalidField):
        at = action.kind.name.lower()
        return InvalidField(*[(f"{at}.{field}", why) for field, why in refused.violations])
    if refused.reason is Reason.ACTION_NOT_ALLOWED:
        refused.metadata.setdefault("action", action.kind.name)
    return refused


def _at_providers(
    action: AnyAction, before: Subscription | None, state: Subscription, catalogues: Catalogues
) -> dict[str, Any]:
    """Returns the fields of an UnsettledAction that name providers.

    The fields name linked providers, and also the other providers of services and items, because a
    replay may link these providers.
    """
    parts: list[SubscribedService | Item] = [*state.services, *state.items]
    if before is not None:
        parts = [*before.services, *state.services, *before.items, *state.items]
    codes = dict.fromkeys(state.linked)
    for part in parts:
        codes[part.provider] = None
    linked = before.linked if before else ()
    off: list[str] = []
    linked_then: list[str] = []
    for code in codes:
        if not catalogues[code].effective:
            off.append(code)
            if code in state.linked and code not in linked:
                linked_then.append(code)
    activation, deactivation = _whole(action, codes, catalogues)
    return {
        "whole_activation": activation,
        "whole_deactivation": deactivation,
        "ineffective": tuple(off),
        "linked_then": tuple(linked_then),
    }


def _whole(
    action: AnyAction, codes: Iterable[str], catalogues: Catalogues
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the providers that get one ACTIVATE_SUBSCRIBER for the action, and the providers that
    get one DEACTIVATE_SUBSCRIBER.
    """
    if isinstance(action, PerServiceAction):
        return (), ()
    _: WholeAction = action  # mypy reports an action that is in none of the three unions
    settings = [(code, catalogues[code].provider.request_settings) for code in codes]
    whole = RequestMethod.WHOLE_SUBSCRIPTION
    if isinstance(action, WholeActivation):
        return tuple([code for code, s in settings if s.activation_method is whole]), ()
    return (), tuple([code for code, s in settings if s.deactivation_method is whole])


def _take_over(ledger: Ledger, action: BecomeSubscriber, state: Subscription) -> None:
    """Fills *confirmed* of the providers that already serve the customer.

    If `holds_everything` is True, *confirmed* is the image that the CRM wants; otherwise it is an
    account with unknown contents.
    """
    for existing in action.existing:
        code = existing.provider
        if code in state.linked:
            held = ledger.image(state, ledger.catalogues[code])
            ledger.links[code] = replace(
                ledger.links[code],
                confirmed=held if existing.holds_everything else _account_only(held),
                account_number=existing.account_number,
                taken_over=not existing.holds_everything,
            )


def _account_only(held: PlatformImage) -> PlatformImage:
    """Returns the image of an account whose contents nobody has reported."""
    return PlatformImage(
        known=Known.UNCERTAIN,
        holder=held.holder,
        address=held.address,
        holder_certain=False,
        address_certain=False,
    )


def _plan(
    ledger: Ledger, performed: UnsettledAction, before: Subscription | None, state: Subscription
) -> None:
    """Adds the requests of the action to the queues.

    Requests that heal a platform get a unit of their own, before the unit of the action.
    """
    plans, heals, served = [], False, served_before(performed)
    for provider, link in ledger.links.items():
        catalogue = ledger.catalogues[provider]
        if provider in served or not catalogue.effective:
            continue
        old, new = ledger.image(before, catalogue), ledger.image(state, catalogue)
        expected = ledger.expected(provider)
        if expected == old:
            ledger.as_wanted.add(provider)
            if old == new:
                continue
        heal, own = plan_performed(
            link, performed, old, new, expected=expected, catalogue=catalogue
        )
        heals = heals or bool(heal)
        plans.append((provider, heal, own))
    if heals:
        heal_unit = performed.unit
        performed = ledger.change(replace(performed, unit=ledger.new_unit()))
        for provider, heal, _ in plans:
            enqueue(ledger, provider, heal, unit=heal_unit, bulk=performed.bulk)
    for provider, _, own in plans:
        enqueue_own(ledger, provider, own, action=performed.id)


def _concerns(
    ledger: Ledger, provider: str, before: Subscription | None, state: Subscription
) -> bool:
    catalogue = ledger.catalogues[provider]
    return bool(compare(ledger.image(before, catalogue), ledger.image(state, catalogue)))
