"""Applies the actions that change single services."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from ..actions import (
    AddServices,
    ChangeTerms,
    RemoveServices,
    Selection,
    StartServices,
    StopServices,
    SwapService,
)
from ..catalogue import Catalogues, catalogue_of
from ..refusals import InvalidField, Reason, Refused
from ..values import ON, Instant, ServiceKind, State, SubscribedService, Subscription
from .invariants import already_there, in_future, latest, service_not_found


def add_services(
    subscription: Subscription, action: AddServices, *, catalogues: Catalogues, at: Instant
) -> Subscription:
    added = selected(action.services, subscription.state, catalogues=catalogues, at=at)
    return replace(subscription, services=subscription.services + added)


def start_services(subscription: Subscription, action: StartServices) -> Subscription:
    target = subscription.state if subscription.state in ON else State.EFFECTIVE

    def start(service: SubscribedService) -> SubscribedService:
        if service.state in ON or service.term_over:
            raise _not_allowed(action.kind.name, service)
        return replace(service, state=target, stopped_by_hand=False)

    services = _each(subscription, action.services, start)
    return replace(subscription, services=services, state=target)


def stop_services(subscription: Subscription, action: StopServices, *, at: Instant) -> Subscription:
    if action.term_over:
        return _end_terms(subscription, action, at=at)

    def stop(service: SubscribedService) -> SubscribedService:
        if service.state not in ON:
            raise _not_allowed(action.kind.name, service)
        return replace(service, state=State.NOT_EFFECTIVE, stopped_by_hand=True)

    return _off_if_last(subscription, _each(subscription, action.services, stop))


def _end_terms(subscription: Subscription, action: StopServices, *, at: Instant) -> Subscription:
    """Stops each listed service whose term has ended.

    A listed service whose term has not ended is not stopped: if the action is applied again after a
    rollback, the service may have a later term end, or no term end.
    """
    over = {service.place for service in subscription.services if ended(service, at=at)}
    selected = [selection for selection in action.services if selection.place in over]
    if not selected:
        raise _not_allowed(action.kind.name, _find(subscription, action.services[0].place))

    def stop(service: SubscribedService) -> SubscribedService:
        followed = service.state is subscription.state and not service.stopped_by_hand
        return replace(service, state=State.NOT_EFFECTIVE, term_over=True, stopped_by_term=followed)

    return _off_if_last(subscription, _each(subscription, selected, stop), by_term=True)


def ended(service: SubscribedService, *, at: Instant) -> bool:
    """Tells whether the term of the service has ended at the time `at`."""
    return service.term_end is not None and service.term_end <= at


def remove_services(subscription: Subscription, action: RemoveServices) -> Subscription:
    positions = _positions(subscription, action.services)
    removed, gone = set(positions), [subscription.services[n] for n in positions]
    kept = tuple([s for n, s in enumerate(subscription.services) if n not in removed])
    former = tuple([replace(s, state=State.REMOVED) for s in gone if s.state is not State.DRAFT])
    after = replace(subscription, former=latest(subscription.former + former))
    return _off_if_last(after, kept)


def change_terms(
    subscription: Subscription, action: ChangeTerms, *, catalogues: Catalogues, at: Instant
) -> Subscription:
    """Changes term ends.

    A service that stopped at its former term end starts again. If the subscription became
    NOT_EFFECTIVE because the term of its last service ended, it becomes EFFECTIVE again.
    """
    terms = {selection.place: selection.term_end for selection in action.services}
    for n, selection in enumerate(action.services):
        _check_term(selection, catalogues=catalogues, at=at, field=f"services[{n}].term_end")

    state = State.EFFECTIVE if subscription.stopped_by_term else subscription.state

    def change(service: SubscribedService) -> SubscribedService:
        return replace(
            service,
            state=state if service.stopped_by_term else service.state,
            term_end=terms[service.place],
            term_over=False,
            stopped_by_term=False,
        )

    services = _each(subscription, action.services, change)
    started = state in ON and any(service.on for service in services)
    return replace(subscription, services=services, state=state if started else subscription.state)


def swap_service(
    subscription: Subscription, action: SwapService, *, catalogues: Catalogues, at: Instant
) -> Subscription:
    old = _find(subscription, (action.provider, action.distributor, action.old_service))
    new = replace(
        old,
        service=action.new_service,
        term_end=action.term_end,
        term_over=False,
        stopped_by_term=False,
    )
    if new.term_end is not None:
        _check_term(new, catalogues=catalogues, at=at, field="term_end")
    for service in subscription.services:
        if service.place == new.place:
            raise already_there(subscription, service)
    return replace(
        subscription,
        services=tuple([new if s.place == old.place else s for s in subscription.services]),
        former=latest((*subscription.former, replace(old, state=State.SWAPPED))),
    )


def selected(
    selections: tuple[Selection, ...], state: State, *, catalogues: Catalogues, at: Instant
) -> tuple[SubscribedService, ...]:
    """Returns the selected services as new services in the given state."""
    for n, selection in enumerate(selections):
        if selection.term_end is not None:
            _check_term(selection, catalogues=catalogues, at=at, field=f"services[{n}].term_end")
    return tuple(
        [
            SubscribedService(
                provider=selection.provider,
                distributor=selection.distributor,
                service=selection.service,
                state=state,
                term_end=selection.term_end,
            )
            for selection in selections
        ]
    )


def _check_term(
    named: Selection | SubscribedService, *, catalogues: Catalogues, at: Instant, field: str
) -> None:
    """Refuses a term for a service that is not termed, and a term end that is not in the future."""
    service = catalogue_of(catalogues, named.provider).services[named.service]
    if service.kind is not ServiceKind.TERMED:
        raise InvalidField((field, f"{named.service} is not a termed service"))
    in_future(named.term_end, at=at, field=field)


def _each(
    subscription: Subscription,
    selections: Iterable[Selection],
    change: Callable[[SubscribedService], SubscribedService],
) -> tuple[SubscribedService, ...]:
    services = list(subscription.services)
    for n in _positions(subscription, selections):
        services[n] = change(subscription.services[n])
    return tuple(services)


def _positions(subscription: Subscription, selections: Iterable[Selection]) -> list[int]:
    """Returns the positions of the selected services in `subscription.services`. A service that is
    selected twice has one position.
    """
    there = {(s.provider, s.distributor, s.service): n for n, s in enumerate(subscription.services)}
    found: dict[int, None] = {}
    for selection in selections:
        n = there.get(selection.place)
        if n is None:
            raise service_not_found(subscription, selection.place)
        found[n] = None
    return list(found)


def _find(subscription: Subscription, place: tuple[str, str, str]) -> SubscribedService:
    for service in subscription.services:
        if service.place == place:
            return service
    raise service_not_found(subscription, place)


def _off_if_last(
    subscription: Subscription, services: tuple[SubscribedService, ...], *, by_term: bool = False
) -> Subscription:
    """Returns the subscription with `services`. The subscription becomes NOT_EFFECTIVE if one of
    its services was on before, and none is on in `services`.
    """
    was_on = ON & {service.state for service in subscription.services}
    is_on = ON & {service.state for service in services}
    if subscription.state in ON and was_on and not is_on:
        return replace(
            subscription,
            services=services,
            state=State.NOT_EFFECTIVE,
            until=None,
            stopped_by_term=by_term,
        )
    return replace(subscription, services=services)


def _not_allowed(action: str, service: SubscribedService) -> Refused:
    state = "its term is over" if service.term_over else f"it is {service.state.name}"
    return Refused(
        Reason.ACTION_NOT_ALLOWED,
        f"{action} is not allowed for service {service.service} on distributor "
        f"{service.distributor}: {state}",
        action=action,
        state=service.state.name,
        provider=service.provider,
        distributor=service.distributor,
        service=service.service,
    )
