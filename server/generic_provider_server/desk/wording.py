"""Describes the parts of a subscription in short texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from generic_provider import (
    Account,
    Address,
    InstalledItem,
    ProvisionedService,
    ProvisioningRequest,
    RequestState,
    RequestType,
    ServiceState,
    SubscribedService,
    Subscription,
    SubscriptionState,
    SyncState,
    Usage,
    WaitingFor,
)

from .output import moment

NO_REASON = "the adapter gave no reason"
"""The text for a rejection without a code and without a description."""


def about(request: ProvisioningRequest) -> str:
    """Describes the elements in a request, without the type of the request."""
    if request.HasField("installed_item"):
        return item(request.installed_item)
    if request.HasField("usage"):
        return f"{_service(request.service)} {request.usage.reference}"
    if request.HasField("service"):
        return _service(request.service)
    if request.services:
        return ", ".join(map(_service, request.services))
    if request.type == RequestType.UPDATE_ADDRESS:
        return address(request.address)
    facts = holder(request.account), address(request.address)
    return "; ".join(filter(None, facts)) if request.type == RequestType.UPDATE_SUBSCRIBER else ""


def waits(request: ProvisioningRequest) -> str:
    """Describes the reason why a pending request waits."""
    name = WaitingFor.name_of(request.waiting_for)
    match request.waiting_for:
        case WaitingFor.ANSWER:
            return f"{name} of {request.last_adapter}"
        case WaitingFor.RETRY:
            return f"{name} at {moment(request, 'next_delivery_time')}"
        case 0:
            return ""
        case _:
            return name


def error(request: ProvisioningRequest) -> str:
    return f"{request.error_code} {request.error_description}".strip()


def trouble(request: ProvisioningRequest) -> str:
    """Describes the error of the request. If the request has no error, says whether the request was
    rejected, or earlier attempts have failed. The server knows no reason for an attempt that ended
    without an answer, for example because the adapter ended, or with a RETRY_LATER without a text.
    """
    if error(request):
        return error(request)
    if request.state == RequestState.REJECTED:
        return NO_REASON
    earlier = request.delivery_attempts - (request.waiting_for == WaitingFor.ANSWER)
    failed = request.state == RequestState.PENDING and earlier > 0
    return "earlier attempts ended without an answer, or without a reason" if failed else ""


def point(code: str) -> str:
    """Returns the code of a distributor, or a text if a platform report named no distributor."""
    return code or "(no viewing point)"


def item(found: InstalledItem) -> str:
    return f"{point(found.distributor)}:{found.goods_type}:{found.serial_number}"


def service(found: SubscribedService) -> str:
    return f"{point(found.distributor)}:{service_in_brief(found)}"


def service_in_brief(found: SubscribedService) -> str:
    """Describes a service, without its distributor."""
    until = f" until {moment(found, 'term_end')}" if found.HasField("term_end") else ""
    return f"{found.service} {ServiceState.name_of(found.state)}{until}"


def not_sent(found: SubscribedService) -> str:
    """Describes a service that is on, but was not sent to the platform, and the reason."""
    missing = " and ".join(found.missing_goods_types)
    verb = "is" if len(found.missing_goods_types) == 1 else "are"
    return f"{found.service} on {found.distributor}, because {missing} {verb} missing"


def state_of(found: ProvisioningRequest) -> str:
    return RequestState.name_of(found.state)


def usage(found: Usage) -> str:
    times = f"from {moment(found, 'start_time')} to {moment(found, 'end_time')}"
    what = f"{found.distributor}:{found.service} {found.reference} {times}"
    return what + parameters(found.parameters)


def holder(found: Account) -> str:
    texts = (found.number, found.name, found.email, found.phone)
    return " ".join(filter(None, texts)) + parameters(found.parameters)


def address(found: Address) -> str:
    place = (*found.lines, found.postal_code, found.city, found.country)
    return ", ".join(filter(None, place)) + parameters(found.parameters)


def parameters(found: Mapping[str, str]) -> str:
    named = ", ".join([f"{key}={found[key]}" for key in sorted(found)])
    return f" ({named})" if named else ""


def heading(found: Subscription) -> Iterator[str]:
    until = f" until {moment(found, 'until')}" if found.HasField("until") else ""
    state = SubscriptionState.name_of(found.state)
    yield f"{found.number}  {found.type}  {state}{until}  revision {found.revision}"
    yield f"  holder    {holder(found.holder) or '(none)'}"
    yield f"  address   {address(found.address) or '(none)'}"


def sync_states(found: Subscription) -> str:
    return ", ".join(
        [f"{link.provider} {SyncState.name_of(link.sync_state)}" for link in found.provider_links]
    )


def _service(found: ProvisionedService) -> str:
    return f"{point(found.distributor)}:{found.service}"
