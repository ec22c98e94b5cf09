"""Plans the requests of an action or a correction, and adds them to the queue."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ..actions import ServiceListAction
from ..catalogue import Catalogue
from ..platform.image import Known, PlatformImage
from ..platform.named_elements import services_of
from ..platform.plan import plan_action, plan_healing
from ..platform.request import Request
from ..values import RequestOrigin, RequestType
from .aggregate import Link
from .ledger import Ledger
from .pending_requests import Pending
from .unsettled_actions import Requested, UnsettledAction


def plan_performed(
    link: Link,
    performed: UnsettledAction,
    old: PlatformImage,
    new: PlatformImage,
    *,
    expected: PlatformImage,
    catalogue: Catalogue,
) -> tuple[tuple[Request, ...], tuple[Request, ...]]:
    """Returns the requests that heal the platform before the action's requests are sent, and the
    action's own requests.

    `old`, `new`: the images that the CRM wants before and after the action. `expected`: *expected*
    before the unit of the action. No request heals the platform if a correction was rejected, or if
    an account was taken over and its contents are unknown: in both cases the platform waits for a
    reset.
    """
    methods = performed.methods(link.provider)
    unknown = link.taken_over and expected.known is not Known.YES
    if link.refused_correction or unknown:
        own = plan_action(old, new, expected=expected, catalogue=catalogue, methods=methods)
        return (), own
    heal, own = plan_healing(old, new, expected=expected, catalogue=catalogue, methods=methods)
    if heal and heal[0].type is RequestType.BECOME_SUBSCRIBER and heal[0] in link.withheld:
        return (), own  # without the BECOME_SUBSCRIBER, all other requests would be rejected
    if link.withheld:
        heal = tuple([request for request in heal if request not in link.withheld])
    return heal, own


def enqueue(
    ledger: Ledger,
    provider: str,
    requests: Sequence[Request],
    *,
    unit: int,
    bulk: bool,
    reset_run: int = 0,
    performed_by: str = "",
) -> None:
    """Adds requests of a reset, or requests that heal a platform, in a unit of their own."""
    added = [
        Pending(
            unit=unit,
            index=n,
            origin=RequestOrigin.RESET,
            request=request,
            create_time=ledger.now,
            schedule_time=ledger.now,
            reset_run=reset_run,
            performed_by=performed_by,
            bulk=bulk,
        )
        for n, request in enumerate(requests)
    ]
    ledger.add(provider, added)


def enqueue_own(ledger: Ledger, provider: str, requests: Sequence[Request], *, action: int) -> None:
    """Adds requests of the action to the action's unit."""
    if not requests:
        return
    performed = ledger.performed[action]
    first, unit = performed.next_index, performed.unit
    added = [
        of_action(ledger, request, performed=performed, unit=unit, index=n)
        for n, request in enumerate(requests, first)
    ]
    ledger.performed[action] = replace(
        performed,
        next_index=first + len(requests),
        requested=requested(performed, provider, requests),
    )
    ledger.add(provider, added)


def requested(
    performed: UnsettledAction, provider: str, requests: Sequence[Request]
) -> tuple[Requested, ...]:
    """Returns the entitlements for which the action has had a request, if `requests` become
    requests of the action too. Only an action on a list of services records these entitlements.
    """
    if not isinstance(performed.action, ServiceListAction):
        return performed.requested
    asked = dict.fromkeys(performed.requested)
    for request in requests:
        if request.type is RequestType.BECOME_SUBSCRIBER:
            asked[Requested(provider)] = None
            continue
        for service in services_of(request):
            asked[Requested(provider, service.distributor, service.provider_service_id)] = None
    return tuple(asked)


def of_action(
    ledger: Ledger, request: Request, *, performed: UnsettledAction, unit: int, index: int
) -> Pending:
    return Pending(
        unit=unit,
        index=index,
        origin=RequestOrigin.ACTION,
        request=request,
        create_time=ledger.now,
        schedule_time=performed.at,
        action=performed.id,
        bulk=performed.bulk,
    )


def correction(ledger: Ledger, request: Request, *, unit: int, index: int) -> Pending:
    return Pending(
        unit=unit,
        index=index,
        origin=RequestOrigin.ROLLBACK,
        request=request,
        create_time=ledger.now,
        schedule_time=ledger.now,
    )
