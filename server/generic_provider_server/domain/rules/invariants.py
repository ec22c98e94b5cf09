"""Checks the rules that every state of a subscription must obey, and decides which providers are
linked.
"""

from __future__ import annotations

from datetime import UTC, datetime

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
from ..values import SECOND, Goods, Instant, Item, State, SubscribedService, Subscription

MOST_ITEMS = 1_000
MOST_SERVICES = 2_000
MOST_USAGES = 200
FORMER_KEPT = 100


def check(
    subscription: Subscription, catalogues: Catalogues, *, before: Subscription | None = None
) -> None:
    """Raises Refused if the subscription breaks a rule of its providers. `before`: the subscription
    before the action.
    """
    _check_sizes(subscription)
    if subscription.live:
        _check_services(subscription, catalogues, before)
        _check_requirements(subscription, catalogues)
    _check_items(subscription, catalogues)


def in_use(subscription: Subscription) -> set[tuple[str, str]]:
    """Returns a pair (provider, distributor) for each distributor that has a live service or an
    item.
    """
    used = {(item.provider, item.distributor) for item in subscription.items}
    if subscription.live:
        used |= {(service.provider, service.distributor) for service in subscription.services}
    return used


def linked(before: Subscription | None, after: Subscription, action: AnyAction) -> tuple[str, ...]:
    """Returns the linked providers after the action, in the order in which they were linked.

    While the subscription is on, an action links each provider at which it adds or starts a
    service, adds an item, or moves a service or an item. A moved service links its provider even if
    the service is off. Become Subscriber, Replace and Add Usage link each provider that they name.
    The removal of a service or an item links no provider.
    """
    if not after.on:
        return after.linked
    touched = _gained(before, after) | _named(action)
    added = touched.difference(after.linked)
    return (*after.linked, *sorted(added)) if added else after.linked


def latest(former: tuple[SubscribedService, ...]) -> tuple[SubscribedService, ...]:
    return former[-FORMER_KEPT:]


def in_future(moment: Instant | None, *, at: Instant, field: str) -> None:
    if moment is not None and moment <= at:
        clock = f"{datetime.fromtimestamp(at // SECOND, UTC):%Y-%m-%d %H:%M:%SZ}"
        raise InvalidField((field, f"must be in the future; the server's clock shows {clock}"))


def _gained(before: Subscription | None, after: Subscription) -> set[str]:
    """Returns the providers at which a distributor has a new item or a newly started service."""
    gained: set[str] = set()
    if before is None or before.services is not after.services:
        on = {service.place for service in before.services if service.on} if before else set()
        gained.update([s.provider for s in after.services if s.on and s.place not in on])
    if before is None or before.items is not after.items:
        there = {_place(item) for item in before.items} if before else set()
        gained.update([item.provider for item in after.items if _place(item) not in there])
    return gained


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


def _check_sizes(subscription: Subscription) -> None:
    for name, parts, most in (
        ("items", subscription.items, MOST_ITEMS),
        ("services", subscription.services, MOST_SERVICES),
        ("usages", subscription.usages, MOST_USAGES),
    ):
        count = len(parts)
        if count > most:
            raise InvalidField((name, f"a subscription has at most {most}, and would have {count}"))


def _check_services(
    subscription: Subscription, catalogues: Catalogues, before: Subscription | None
) -> None:
    seen: dict[tuple[str, str, str], SubscribedService] = {}
    counts: dict[tuple[str, str], int] = {}
    for service in subscription.services:
        place = provider, code, name = service.place
        catalogue_of(catalogues, provider).offered(name, distributor=code)
        if place in seen:
            first = seen[place]
            if before is not None and any(first is each for each in before.services):
                raise already_there(before, first)
            raise _named_twice(first)
        seen[place] = service
        counts[provider, code] = counts.get((provider, code), 0) + 1
    for (provider, code), count in counts.items():
        most = catalogues[provider].distributors[code].max_services
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
        distributor = catalogue_of(catalogues, provider).distributor(code)
        required = distributor.required_distributor
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
        catalogue.distributor(item.distributor)
        catalogue.provider_goods_type(item.goods_type)
        _check_place(subscription, item, places)
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


def _check_place(
    subscription: Subscription, item: Item, places: dict[tuple[str, str, str], Item]
) -> None:
    identity = item.provider, item.goods_type, item.serial_number
    if identity in places:
        raise Refused(
            Reason.ITEM_IN_USE,
            f"{item.goods_type} {item.serial_number} is already on distributor "
            f"{places[identity].distributor} of provider {item.provider}",
            provider=item.provider,
            distributor=places[identity].distributor,
            goods_type=item.goods_type,
            serial_number=item.serial_number,
            subscription=subscription.number,
        )
    places[identity] = item
