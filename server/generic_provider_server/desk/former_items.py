"""Finds the former subscription of an item that is on no subscription now."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import grpc

from generic_provider import (
    Client,
    PermissionDenied,
    ProvisioningRequest,
    RequestState,
    RequestType,
    SubscriptionNotFound,
)

from .command_lines import advised
from .output import moment
from .wording import error

MOST_SHOWN = 5
TYPES = {
    RequestType.ADD_INSTALLED_ITEM: "addition to",
    RequestType.BECOME_SUBSCRIBER: "addition to",
    RequestType.REMOVE_INSTALLED_ITEM: "removal from",
}
ENDS = {
    RequestState.PENDING: "is pending",
    RequestState.COMPLETED: "was accepted",
    RequestState.REJECTED: "was refused",
    RequestState.CANCELLED: "was cancelled",
    RequestState.EXPIRED: "expired",
}


def former_requests(client: Client, serial: str) -> list[ProvisioningRequest]:
    """Returns the newest requests that added or removed the item.

    Raises SubscriptionNotFound if there are no such requests, or if the caller may not read
    requests.
    """
    before = ", now or before"
    try:
        if found := [*islice(_named(client, serial), MOST_SHOWN)]:
            return found
    except PermissionDenied:
        before = ""
    raise SubscriptionNotFound(
        f"there is no subscription, card or account {serial}{before}",
        reason="SUBSCRIPTION_NOT_FOUND",
        code=grpc.StatusCode.NOT_FOUND,
    )


def _named(client: Client, serial: str) -> Iterator[ProvisioningRequest]:
    for request in client.list_requests(item_serial=serial, types=TYPES, page_size=MOST_SHOWN):
        items = (request.installed_item, *request.installed_items)
        if serial in [item.serial_number for item in items]:
            yield request


def where_it_was(request: ProvisioningRequest, serial: str) -> str:
    """Returns a sentence that names the subscription from which the request removed the item. If
    the request added the item, or the removal is not accepted, the sentence tells the state of the
    request instead.
    """
    when = moment(request, "settle_time") or moment(request, "create_time")
    if _removed(request):
        return f"{serial} was removed from {request.subscription} by {request.number} at {when}"
    said = f": {error(request)}" if error(request) else ""
    what = f"{TYPES[request.type]} {request.subscription}"
    return f"{serial}: its {what} {ENDS[request.state]} at {when} ({request.number}){said}"


def what_next(newest: ProvisioningRequest) -> str:
    """Returns the advice about an item, from the newest request that names it.

    If this request removed the item, the advice is to report the contents of the platform, because
    the item may still work there. Otherwise the advice is the command `subscription explain`,
    because this command shows what happened to the request.
    """
    if not _removed(newest):
        return advised("see", "subscription", "explain", newest.subscription)
    only = "--provider", newest.provider
    what = "if the card still works, report what the platform holds"
    report = advised(what, "platform", "report", "FILE", *only)
    return f"{report}; {advised('then', 'reset', 'subscription', newest.subscription, *only)}"


def _removed(request: ProvisioningRequest) -> bool:
    removed = RequestType.REMOVE_INSTALLED_ITEM, RequestState.COMPLETED
    return (request.type, request.state) == removed
