"""Computes the state after an action from which parts were taken back."""

from __future__ import annotations

from typing import TypeVar, assert_never

from msgspec.structs import replace

from ..actions import BecomeSubscriber
from ..catalogue import Catalogues
from ..rules.apply import apply
from ..rules.invariants import check
from ..values import ON, Item, State, SubscribedService, Subscription, Usage
from .due import spent
from .unsettled_actions import (
    HolderPart,
    ItemPart,
    Part,
    ProviderPart,
    ServicesPart,
    StatePart,
    UnsettledAction,
    UsagePart,
)

Owned = TypeVar("Owned", Item, SubscribedService, Usage)


def after(
    before: Subscription | None, performed: UnsettledAction, *, catalogues: Catalogues
) -> Subscription:
    """Returns the state after the action, without the parts that were taken back.

    Raises Refused if a rule forbids this state. Equal arguments give an equal state.
    """
    if performed.automatic and before is not None:
        before = spent(before, performed.action, at=performed.at)
    if performed.undone:
        return _undone(before, performed, catalogues=catalogues)
    state = apply(before, performed.action, catalogues=catalogues, at=performed.at)
    for part in performed.taken_back:
        state = _put_back(before, state, part, catalogues=catalogues)
    if performed.taken_back:
        check(state, catalogues, at=performed.at)
    return state


def _undone(
    before: Subscription | None, performed: UnsettledAction, *, catalogues: Catalogues
) -> Subscription:
    """Returns the state after the whole action was taken back.

    If the action is Become Subscriber, the subscription stays, in the state DRAFT.
    """
    if before is not None:
        return before
    if not isinstance(performed.action, BecomeSubscriber):
        raise ValueError(f"action {performed.id} has no state before it")
    draft = replace(performed.action, draft=True, existing=())
    return apply(None, draft, catalogues=catalogues, at=performed.at)


def _put_back(
    before: Subscription | None, state: Subscription, part: Part, *, catalogues: Catalogues
) -> Subscription:
    match part:
        case ServicesPart():
            codes = {
                service.code
                for service in catalogues[part.provider].services.values()
                if service.provider_service_id == part.provider_service_id
            }
            if part.off:
                return _switched_off(state, part, codes)
            return _services_back(before, state, part, codes)
        case ItemPart():
            return _item_back(before, state, part)
        case HolderPart() if before is not None:
            return replace(
                state,
                holder=before.holder if part.holder else state.holder,
                address=before.address if part.address else state.address,
            )
        case UsagePart():
            kept = tuple([u for u in state.usages if u.reference != part.reference])
            old = before.usages if before else ()
            back = tuple([u for u in old if u.reference == part.reference])
            return replace(state, usages=kept + back)
        case StatePart() if before is not None:
            as_before = _state_back(before, state)
            return replace(as_before, services=before.services, former=before.former)
        case ProviderPart():
            return _provider_back(before, state, part.provider)
        case HolderPart() | StatePart():  # a new subscriber had no holder and no state
            return state
        case _:
            assert_never(part)


def _services_back(
    before: Subscription | None, state: Subscription, part: ServicesPart, codes: set[str]
) -> Subscription:
    def named(service: SubscribedService) -> bool:
        place = service.provider, service.distributor
        return place == (part.provider, part.distributor) and service.service in codes

    old_services = before.services if before else ()
    old_former = before.former if before else ()
    back = tuple([service for service in old_services if named(service)])
    after = replace(
        state,
        services=tuple([s for s in state.services if not named(s)]) + back,
        former=tuple([s for s in state.former if not named(s) or s in old_former]),
    )
    if before is not None and not after.on and any(service.on for service in back):
        return _state_back(before, after)
    return after


def _switched_off(state: Subscription, part: ServicesPart, codes: set[str]) -> Subscription:
    services = tuple(
        [
            replace(service, state=State.NOT_EFFECTIVE)
            if service.on
            and service.service in codes
            and (service.provider, service.distributor) == (part.provider, part.distributor)
            else service
            for service in state.services
        ]
    )
    if state.on and not any(service.on for service in services):
        return replace(state, services=services, state=State.NOT_EFFECTIVE, until=None)
    return replace(state, services=services)


def _item_back(before: Subscription | None, state: Subscription, part: ItemPart) -> Subscription:
    identity = part.provider, part.goods_type, part.serial_number
    old = before.items if before else ()
    return replace(
        state,
        items=tuple(
            [i for i in state.items if (i.provider, i.goods_type, i.serial_number) != identity]
            + [i for i in old if (i.provider, i.goods_type, i.serial_number) == identity]
        ),
    )


def _provider_back(before: Subscription | None, state: Subscription, provider: str) -> Subscription:
    """Restores the provider's services, items and usage as they were before the action.

    Before Become Subscriber there were no services: if the action is Become Subscriber, the
    services of the provider become DRAFT, and its items stay.
    """
    if before is None:
        drafted = tuple([_drafted(s) if s.provider == provider else s for s in state.services])
        after = replace(state, services=drafted)
    else:
        after = replace(
            state,
            services=_other(state.services, provider) + _own(before.services, provider),
            items=_other(state.items, provider) + _own(before.items, provider),
            former=_other(state.former, provider) + _own(before.former, provider),
        )
    after = replace(
        after,
        usages=_other(state.usages, provider) + (_own(before.usages, provider) if before else ()),
    )
    if before is not None and provider in before.linked:
        return _on_again(before, after, provider)
    linked = tuple([code for code in state.linked if code != provider])
    if linked or not after.on:
        return replace(after, linked=linked)
    return replace(
        after,
        linked=(),
        state=State.DRAFT,
        until=None,
        services=tuple([_drafted(service) for service in after.services]),
    )


def _on_again(before: Subscription, state: Subscription, provider: str) -> Subscription:
    """Returns the state. If the subscription is off, but a service of the provider is on, the
    subscription gets back the state that it had before the action.
    """
    if state.on or not any(service.on for service in _own(state.services, provider)):
        return state
    return _state_back(before, state)


def _state_back(before: Subscription, state: Subscription) -> Subscription:
    mark = before.stopped_by_term
    return replace(state, state=before.state, until=before.until, stopped_by_term=mark)


def _drafted(service: SubscribedService) -> SubscribedService:
    return replace(service, state=State.DRAFT) if service.state in ON else service


def _other(parts: tuple[Owned, ...], provider: str) -> tuple[Owned, ...]:
    return tuple([part for part in parts if part.provider != provider])


def _own(parts: tuple[Owned, ...], provider: str) -> tuple[Owned, ...]:
    return tuple([part for part in parts if part.provider == provider])
