"""Applies the actions that change usage records."""

from __future__ import annotations

from msgspec.structs import replace

from ..actions import AddUsage, CancelUsage
from ..catalogue import Catalogue, Catalogues, catalogue_of
from ..refusals import InvalidField, Reason, Refused
from ..values import Instant, Service, ServiceKind, Subscription, Usage
from .invariants import in_future, in_use


def add_usage(
    subscription: Subscription, action: AddUsage, *, catalogues: Catalogues, at: Instant
) -> Subscription:
    catalogue = catalogue_of(catalogues, action.provider)
    service = catalogue.services[action.service]
    _check_usage(subscription, action, service, at=at)
    distributor = action.distributor or _distributor(
        subscription, catalogue, service, chosen=action.chosen_distributor
    )
    catalogue.offered(service.code, distributor=distributor)
    if not _required_is_on(subscription, catalogue, service, distributor):
        raise _required_missing(catalogue, service, distributor)
    usage = Usage(
        reference=action.reference,
        provider=action.provider,
        distributor=distributor,
        service=action.service,
        quantity=action.quantity,
        start_time=action.start_time,
        end_time=action.end_time,
        create_time=at,
        parameters=action.parameters,
    )
    kept = [each for each in subscription.usages if each.reference != action.reference]
    return replace(subscription, usages=(*kept, usage))


def cancel_usage(subscription: Subscription, action: CancelUsage, *, at: Instant) -> Subscription:
    kept = tuple([u for u in subscription.usages if u.reference != action.usage])
    if not _current(subscription, action.usage, at=at):
        raise Refused(
            Reason.USAGE_NOT_FOUND,
            f"subscription {subscription.number} has no usage {action.usage!r}",
            subscription=subscription.number,
            usage=action.usage,
        )
    return replace(subscription, usages=kept)


def _check_usage(
    subscription: Subscription, action: AddUsage, service: Service, *, at: Instant
) -> None:
    if service.kind is not ServiceKind.USAGE:
        raise InvalidField(("service", f"{service.code} is not a usage service"))
    in_future(action.end_time, at=at, field="end_time")
    if _current(subscription, action.reference, at=at):
        raise Refused(
            Reason.ACTION_NOT_ALLOWED,
            f"subscription {subscription.number} already has a usage {action.reference!r}",
            action=action.kind.name,
            state=subscription.state.name,
            usage=action.reference,
        )


def _current(subscription: Subscription, reference: str, *, at: Instant) -> bool:
    """Tells whether the subscription has a usage record with this reference that ends after
    `at`.
    """
    return any(u.reference == reference and u.end_time > at for u in subscription.usages)


def _distributor(
    subscription: Subscription, catalogue: Catalogue, service: Service, *, chosen: str
) -> str:
    """Returns the distributor `chosen` if the record can be there, otherwise the first distributor
    that is possible.
    """
    used = {code for provider, code in in_use(subscription) if provider == catalogue.code}
    for code in sorted(catalogue.distributors, key=lambda code: code != chosen):
        allowed = catalogue.allowed[code]
        offered = not allowed or service.code in allowed
        if code in used and offered and _required_is_on(subscription, catalogue, service, code):
            return code
    raise _required_missing(catalogue, service, "")


def _required_is_on(
    subscription: Subscription, catalogue: Catalogue, service: Service, distributor: str
) -> bool:
    if not service.required_service:
        return True
    place = catalogue.code, distributor, service.required_service
    return any(s.place == place and s.on for s in subscription.services)


def _required_missing(catalogue: Catalogue, service: Service, distributor: str) -> Refused:
    usage, required = f"usage service {service.code}", service.required_service
    if distributor:
        text = f"{usage} requires service {required} to be on at distributor {distributor}"
    elif required:
        text = f"{usage} requires a distributor in use that offers it and has service {required} on"
    else:
        text = f"{usage} requires a distributor in use that offers it"
    return Refused(
        Reason.REQUIRED_SERVICE_MISSING,
        f"provider {catalogue.code}: {text}",
        provider=catalogue.code,
        distributor=distributor,
        service=service.code,
        required_service=service.required_service,
    )
