"""Computes what each action changes in a subscription."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from generic_provider_server.domain import actions as do
from generic_provider_server.domain.values import (
    FINAL,
    ON,
    Goods,
    Provider,
    Service,
    State,
    Usage,
)

from .state import (
    NotAllowed,
    Place,
    Providers,
    Sub,
    Svc,
    add_item,
    add_service,
    distributor_of,
    need,
    service_of,
)

MOVES: dict[type, tuple[set[State], State, bool]] = {
    do.Activate: ({State.DRAFT, State.NOT_EFFECTIVE}, State.EFFECTIVE, False),
    do.Deactivate: ({State.EFFECTIVE}, State.NOT_EFFECTIVE, False),
    do.Rest: ({State.EFFECTIVE}, State.IN_RESTING, True),
    do.EndResting: ({State.IN_RESTING}, State.EFFECTIVE, False),
    do.ShortTermActivate: ({State.DRAFT, State.NOT_EFFECTIVE}, State.SHORT_TERM_EFFECTIVE, True),
    do.EndShortTermActivation: ({State.SHORT_TERM_EFFECTIVE}, State.NOT_EFFECTIVE, False),
    do.ShortTermDeactivate: ({State.EFFECTIVE}, State.SHORT_TERM_NOT_EFFECTIVE, True),
    do.EndShortTermDeactivation: ({State.SHORT_TERM_NOT_EFFECTIVE}, State.EFFECTIVE, False),
}
"""For each action: the former states, the new state, and whether the new state has an end. If the
new state has an end, the action is also possible in the new state: then the action moves the end.
"""


def change(sub: Sub, action: do.AnyAction, providers: Providers, now: int) -> None:
    if type(action) in MOVES:
        _move_state(sub, action)
        return
    match action:
        case do.Terminate() | do.Regret():
            regretted = isinstance(action, do.Regret)
            _end(sub, State.REGRETTED if regretted else State.CANCELLED)
        case do.AddServices():
            _add_services(sub, action)
        case do.StartServices():
            _start(sub, action)
        case do.StopServices():
            _term_over(sub, action, now) if action.term_over else _stop(sub, action)
        case do.RemoveServices():
            _remove(sub, action)
        case do.ChangeTerms():
            _terms(sub, action, now)
        case do.SwapService():
            _swap_service(sub, action)
        case do.ChangeLocation():
            sub.address = action.address
        case do.ChangeSubscriber():
            sub.holder = action.holder
        case do.AddUsage():
            _add_usage(sub, action, providers, now)
        case do.CancelUsage():
            _cancel_usage(sub, action, now)
        case do.Replace():
            _replace(sub, action)
        case _:
            _change_items(sub, action)


def _change_items(sub: Sub, action: do.AnyAction) -> None:
    match action:
        case do.AddItems():
            for item in action.items:
                key = item.provider, item.goods_type, item.serial_number
                add_item(sub, key, item.distributor)
        case do.RemoveItems():
            _remove_items(sub, action)
        case do.SwapItem():
            _swap_item(sub, action)
        case do.ChangeDistribution():
            _redistribute(sub, action)
        case _:
            raise AssertionError(action)


def _move_state(sub: Sub, action: do.AnyAction) -> None:
    origin, target, timed = MOVES[type(action)]
    again = timed and sub.state is target
    need(again or sub.state in origin, "not in this state")
    if not again:
        sub.follow(origin, target)
    sub.state, sub.until = target, getattr(action, "until", None)


def _end(sub: Sub, state: State) -> None:
    sub.services = {key: replace(svc, state=state) for key, svc in sub.services.items()}
    sub.state, sub.until, sub.items, sub.usages = state, None, {}, {}


def _add_services(sub: Sub, action: do.AddServices) -> None:
    for selection in action.services:
        add_service(sub, selection.place, Svc(sub.state, selection.term_end))


def _chosen(sub: Sub, action: do.StopServices | do.ChangeTerms | do.AnyAction) -> list[Place]:
    places = [selection.place for selection in getattr(action, "services", ())]
    need(all(place in sub.services for place in places), "no such service")
    need(len(set(places)) == len(places), "the same service twice")
    return places


def _start(sub: Sub, action: do.StartServices) -> None:
    need(sub.on or sub.state is State.NOT_EFFECTIVE, "not in this state")
    if sub.state is State.NOT_EFFECTIVE:
        sub.state = State.EFFECTIVE
    for place in _chosen(sub, action):
        svc = sub.services[place]
        need(svc.state not in ON and not svc.over, "it is on, or its term is over")
        sub.services[place] = replace(svc, state=sub.state, by_term=False, by_hand=False)


def _stop(sub: Sub, action: do.StopServices) -> None:
    need(sub.on, "not in this state")
    for place in _chosen(sub, action):
        need(sub.services[place].state in ON, "it is not on")
        off = replace(sub.services[place], state=State.NOT_EFFECTIVE, by_hand=True)
        sub.services[place] = off
    _last_one(sub)


def _last_one(sub: Sub) -> None:
    """Makes the subscription NOT_EFFECTIVE if its last service that was on is off now."""
    if sub.on and not sub.any_on():
        sub.state, sub.until = State.NOT_EFFECTIVE, None


def _term_over(sub: Sub, action: do.StopServices, now: int) -> None:
    was_on = sub.any_on()
    due = {k for k, s in sub.services.items() if s.term_end is not None and s.term_end <= now}
    places = [selection.place for selection in action.services if selection.place in due]
    need(places, "no term is over")
    for place in places:
        svc = sub.services[place]
        switched = svc.state is sub.state and not svc.by_hand
        sub.services[place] = replace(svc, state=State.NOT_EFFECTIVE, over=True, by_term=switched)
    if sub.on and was_on and not sub.any_on():
        _last_one(sub)
        sub.by_term = True


def _remove(sub: Sub, action: do.RemoveServices) -> None:
    was_on = sub.any_on()
    for place in _chosen(sub, action):
        del sub.services[place]
    if was_on:
        _last_one(sub)


def _terms(sub: Sub, action: do.ChangeTerms, now: int) -> None:
    places = _chosen(sub, action)
    for place, selection in zip(places, action.services, strict=True):
        svc, end = sub.services[place], selection.term_end
        comes = end is None or end > now
        if svc.over and comes and svc.by_term:
            if sub.by_term and sub.state is State.NOT_EFFECTIVE:
                sub.state, sub.by_term = State.EFFECTIVE, False
            svc = replace(svc, state=sub.state)
        over = svc.over and not comes
        sub.services[place] = replace(svc, term_end=end, over=over, by_term=svc.by_term and over)


def _swap_service(sub: Sub, action: do.SwapService) -> None:
    at = action.provider, action.distributor
    old = sub.services.pop((*at, action.old_service), None)
    need(old and action.old_service != action.new_service, "no such service")
    assert old is not None
    new = Svc(old.state, action.term_end, by_hand=old.by_hand)
    add_service(sub, (*at, action.new_service), new)


def _remove_items(sub: Sub, action: do.RemoveItems) -> None:
    for serial in action.serial_numbers:
        kinds = {goods.serial_number: goods.goods_type for goods in action.goods}
        kind = kinds.get(serial, action.goods_type)
        found = _items(sub, serial, kind, action.provider, action.distributor)
        for key in found:
            del sub.items[key]


def _items(
    sub: Sub, serial: str, goods_type: str, provider: str, distributor: str
) -> list[tuple[str, str, str]]:
    found = [
        key
        for key, where in sub.items.items()
        if key[2] == serial
        and goods_type in ("", key[1])
        and provider in ("", key[0])
        and distributor in ("", where)
    ]
    need(found, "no such item")
    need(len({key[1] for key in found}) == 1, "which of them is meant?")
    return found


def with_goods_types(action: do.AnyAction, sub: Sub | None) -> do.AnyAction:
    """Returns Swap Item and Remove Items with the goods types of the items that they mean now,
    because a replay must change the same items. Other actions do not change.
    """
    if sub and isinstance(action, do.RemoveItems):
        places = action.goods_type, action.provider, action.distributor
        found = [key for each in action.serial_numbers for key in _items(sub, each, *places)]
        return structs.replace(action, goods=tuple([Goods(*key[1:]) for key in found]))
    if sub is None or not isinstance(action, do.SwapItem):
        return action
    old, at = action.old_serial_number, (action.provider, action.distributor)
    (kind, *_) = [key[1] for key in _items(sub, old, action.goods_type, *at)]
    new_kind = action.new_goods_type or kind
    return structs.replace(action, goods_type=kind, new_goods_type=new_kind)


def with_distributor(action: do.AnyAction, after: Sub) -> do.AnyAction:
    """Returns Add Usage with the distributor that was chosen for the record. Other actions do not
    change.
    """
    if not isinstance(action, do.AddUsage) or action.distributor:
        return action
    chosen = after.usages[action.reference].distributor
    return structs.replace(action, chosen_distributor=chosen)


def _swap_item(sub: Sub, action: do.SwapItem) -> None:
    old = action.old_serial_number
    for key in _items(sub, old, action.goods_type, action.provider, action.distributor):
        where = sub.items.pop(key)
        kind = action.new_goods_type or key[1]
        add_item(sub, (key[0], kind, action.new_serial_number), where)


def _redistribute(sub: Sub, action: do.ChangeDistribution) -> None:
    items: dict[tuple[str, str, str], str] = {}
    services: dict[Place, Svc] = {}
    for move in action.moves:
        if move.goods:
            key = move.provider, move.goods.goods_type, move.goods.serial_number
            need(sub.items.pop(key, None) == move.from_distributor, "no such item")
            items[key] = move.to_distributor
            continue
        svc = sub.services.pop((move.provider, move.from_distributor, move.service), None)
        need(svc, "no such service")
        assert svc
        services[move.provider, move.to_distributor, move.service] = svc
    for key, where in items.items():
        add_item(sub, key, where)
    for place, svc in services.items():
        add_service(sub, place, svc)


def _place(sub: Sub, provider: Provider, service: Service, *, chosen: str) -> str:
    """Returns the first distributor in use that offers the usage service, and on which the required
    service is on. The distributor that was chosen when the action was performed comes first.
    """
    for distributor in sorted(provider.distributors, key=lambda each: each.code != chosen):
        offered = distributor.allowed_services
        if (
            sub.in_use(provider.code, distributor.code)
            and (not offered or service.code in offered)
            and _has_required(sub, provider, service, distributor.code)
        ):
            return distributor.code
    raise NotAllowed("no distributor offers the usage")


def _has_required(sub: Sub, provider: Provider, service: Service, distributor: str) -> bool:
    svc = sub.services.get((provider.code, distributor, service.required_service))
    return not service.required_service or (svc is not None and svc.state in ON)


def _add_usage(sub: Sub, action: do.AddUsage, providers: Providers, now: int) -> None:
    need(sub.on, "not in this state")
    current = sub.usages.get(action.reference)
    need(current is None or current.end_time <= now, "the reference is used")
    provider = providers[action.provider]
    service = service_of(provider, action.service)
    where = action.distributor or _place(sub, provider, service, chosen=action.chosen_distributor)
    offered = distributor_of(provider, where).allowed_services
    need(not offered or service.code in offered, "the distributor does not offer the service")
    need(_has_required(sub, provider, service, where), "the required service is not on")
    sub.usages.pop(action.reference, None)  # the reference of a record that has ended is free
    sub.usages[action.reference] = Usage(
        reference=action.reference,
        provider=action.provider,
        distributor=where,
        service=action.service,
        quantity=action.quantity,
        start_time=action.start_time,
        end_time=action.end_time,
        create_time=action.start_time,
        parameters=action.parameters,
    )


def _cancel_usage(sub: Sub, action: do.CancelUsage, now: int) -> None:
    need(sub.on, "not in this state")
    found = sub.usages.pop(action.usage, None)
    need(found and found.end_time > now, "no such usage")


def _replace(sub: Sub, action: do.Replace) -> None:
    need(action.state not in {*FINAL, State.DRAFT}, "not to this state")
    sub.state, sub.until, sub.type = action.state, action.until, action.type
    sub.holder, sub.address, sub.items, sub.services = action.holder, action.address, {}, {}
    for item in action.items:
        add_item(sub, (item.provider, item.goods_type, item.serial_number), item.distributor)
    for selection in action.services:
        add_service(sub, selection.place, Svc(action.state, selection.term_end))
