"""Checks the rules that every state of a subscription must obey, and decides which providers are
linked.
"""

from __future__ import annotations

from ..actions import (
    AddItems,
    AddUsage,
    AnyAction,
    BecomeSubscriber,
    CancelUsage,
    ChangeDistribution,
    ChangeLocation,
    ChangeSubscriber,
    RemoveItems,
    Replace,
    ServiceListAction,
    StateAction,
    SwapItem,
    SwapService,
)
from ..catalogue import Catalogues, catalogue_of
from ..refusals import InvalidField, Reason, Refused
from ..values import (
    FINAL,
    ON,
    Goods,
    Instant,
    Item,
    State,
    SubscribedService,
    Subscription,
    clock_shows,
)

MOST_ITEMS = 1_000
MOST_SERVICES = 2_000
MOST_USAGES = 200
FORMER_KEPT = 100


def check(
    subscription: Subscription,
    catalogues: Catalogues,
    *,
    at: Instant,
    before: Subscription | None = None,
) -> None:
    """Raises Refused if the subscription breaks a rule of its providers. `before`: the subscription
    before the action, which was performed at the time `at`.
    """
    _check_sizes(subscription, at=at)
    if subscription.state not in FINAL:
        _check_services(subscription, catalogues, before)
        _check_requirements(subscription, catalogues)
    _check_items(subscription, catalogues)


def in_use(subscription: Subscription) -> set[tuple[str, str]]:
    """Returns a pair (provider, distributor) for each distributor that has a live service or an
    item.
    """
    parts: tuple[SubscribedService | Item, ...] = subscription.items
    if subscription.state not in FINAL:
        parts += subscription.services
    return {(part.provider, part.distributor) for part in parts}


def linked(before: Subscription | None, after: Subscription, action: AnyAction) -> tuple[str, ...]:
    """Returns the linked providers after the action, in the order in which they were linked.

    While the subscription is on, an action links each provider at which it adds or starts a
    service, adds an item, or moves a service or an item. A moved service links its provider even if
    the service is off. Become Subscriber, Replace and Add Usage link each provider that they name.
    The removal of a service or an item links no provider.
    """
    if after.state not in ON:
        return after.linked
    added = (_gained(before, after) | _named(action)).difference(after.linked)
    return (*after.linked, *sorted(added)) if added else after.linked


def latest(former: tuple[SubscribedService, ...]) -> tuple[SubscribedService, ...]:
    return former[-FORMER_KEPT:]


def in_future(moment: Instant | None, *, at: Instant, field: str) -> None:
    if moment is not None and moment <= at:
        raise InvalidField((field, f"must be in the future; {clock_shows(at)}"))


def _gained(before: Subscription | None, after: Subscription) -> set[str]:
    """Returns the unlinked providers at which a distributor has a new item or a newly started
    service.
    """
    linked = after.linked
    services = [s for s in after.services if s.provider not in linked and s.state in ON]
    items = [item for item in after.items if item.provider not in linked]
    if not services and not items:
        return set()
    on = {service.place for service in before.services if service.on} if before else set()
    there = {_place(item) for item in before.items} if before else set()
    gained = {service.provider for service in services if service.place not in on}
    return gained | {item.provider for item in items if _place(item) not in there}


def _place(item: Item) -> tuple[str, str, Goods]:
    return item.provider, item.distributor, item.goods


def _named(action: AnyAction) -> set[str]:
    if isinstance(action, ServiceListAction):
        return set()
    match action:
        case BecomeSubscriber():
            named = {existing.provider for existing in action.existing}
            return named | {action.provider} if action.provider else named
        case Replace():
            services = {service.provider for service in action.services}
            return services | {item.provider for item in action.items}
        case AddUsage():
            return {action.provider}
        case ChangeDistribution():
            return {m.provider for m in action.moves if m.from_distributor != m.to_distributor}
        case (
            AddItems()
            | RemoveItems()
            | SwapItem()
            | SwapService()
            | ChangeLocation()
            | ChangeSubscriber()
            | CancelUsage()
        ):
            return set()
        case _:
            _: StateAction = action
            return set()


def _check_sizes(subscription: Subscription, *, at: Instant) -> None:
    """Refuses too many items, services or usage records.

    Usage records that have ended are not counted: *base* keeps them while actions are unsettled.
    """
    usages = len(subscription.usages)
    if usages > MOST_USAGES:
        usages = sum([usage.end_time > at for usage in subscription.usages])
    for name, count, most in (
        ("items", len(subscription.items), MOST_ITEMS),
        ("services", len(subscription.services), MOST_SERVICES),
        ("usages", usages, MOST_USAGES),
    ):
        if count > most:
            raise InvalidField((name, f"a subscription has at most {most}, and would have {count}"))


def _check_services(
    subscription: Subscription, catalogues: Catalogues, before: Subscription | None
) -> None:
    by_distributor: dict[tuple[str, str], dict[str, SubscribedService]] = {}
    for service in subscription.services:
        provider, code, name = service.provider, service.distributor, service.service
        catalogue_of(catalogues, provider).offered(name, distributor=code)
        there = by_distributor.setdefault((provider, code), {})
        if name in there:
            first = there[name]
            if before is not None and any(first is each for each in before.services):
                raise already_there(before, first)
            raise _named_twice(first)
        there[name] = service
    for (provider, code), there in by_distributor.items():
        most, count = catalogues[provider].distributors[code].max_services, len(there)
        if most is not None and count > most:
            raise Refused(
                Reason.SERVICE_LIMIT_EXCEEDED,
                f"distributor {code} of provider {provider} has at most {most} services, "
                f"and would have {count}",
                provider=provider,
                distributor=code,
                max_services=str(most),
            )


def already_there(before: Subscription, service: SubscribedService) -> Refused:
    """Returns the refusal of an action that adds a service which the subscription has already."""
    starts = ""
    if service.state is State.NOT_EFFECTIVE and (before.on or before.state is State.NOT_EFFECTIVE):
        starts = "; change-terms starts it" if service.term_over else "; start-services starts it"
    return _place_taken(
        service,
        f"service {service.service} is already on distributor {service.distributor}, "
        f"{service.state.name}{starts}",
    )


def _named_twice(service: SubscribedService) -> Refused:
    return _place_taken(
        service,
        f"the action names service {service.service} on distributor {service.distributor} twice",
    )


def _place_taken(service: SubscribedService, text: str) -> Refused:
    return Refused(
        Reason.ACTION_NOT_ALLOWED,
        text,
        provider=service.provider,
        distributor=service.distributor,
        service=service.service,
        state=service.state.name,
    )


def service_not_found(subscription: Subscription, place: tuple[str, str, str]) -> Refused:
    provider, distributor, service = place
    return Refused(
        Reason.SERVICE_NOT_FOUND,
        f"subscription {subscription.number} has no service {service} on distributor "
        f"{distributor} of provider {provider}",
        subscription=subscription.number,
        provider=provider,
        distributor=distributor,
        service=service,
    )


def _check_requirements(subscription: Subscription, catalogues: Catalogues) -> None:
    used = in_use(subscription)
    for provider, code in sorted(used):
        required = catalogue_of(catalogues, provider).distributors[code].required_distributor
        if required and (provider, required) not in used:
            raise Refused(
                Reason.REQUIRED_DISTRIBUTOR_MISSING,
                f"distributor {code} of provider {provider} requires {required}, "
                f"which would not be in use on subscription {subscription.number}",
                provider=provider,
                distributor=code,
                required_distributor=required,
            )


def _check_items(subscription: Subscription, catalogues: Catalogues) -> None:
    kinds: dict[tuple[str, str, str], Item] = {}
    places: dict[tuple[str, str, str], Item] = {}
    for item in subscription.items:
        catalogue = catalogue_of(catalogues, item.provider)
        catalogue.distributors[item.distributor]  # raises Refused if the code is unknown
        catalogue.goods[item.goods_type]
        identity = item.provider, item.goods_type, item.serial_number
        if identity in places:
            raise _item_in_use(subscription, places[identity])
        places[identity] = item
        kind = item.provider, item.distributor, item.goods_type
        if kind in kinds:
            raise Refused(
                Reason.DISTRIBUTOR_OCCUPIED,
                f"distributor {item.distributor} of provider {item.provider} already has the "
                f"{item.goods_type} {kinds[kind].serial_number}",
                provider=item.provider,
                distributor=item.distributor,
                goods_type=item.goods_type,
                serial_number=kinds[kind].serial_number,
            )
        kinds[kind] = item


def _item_in_use(subscription: Subscription, item: Item) -> Refused:
    return Refused(
        Reason.ITEM_IN_USE,
        f"{item.goods_type} {item.serial_number} is already on distributor "
        f"{item.distributor} of provider {item.provider}",
        provider=item.provider,
        distributor=item.distributor,
        goods_type=item.goods_type,
        serial_number=item.serial_number,
        subscription=subscription.number,
    )
