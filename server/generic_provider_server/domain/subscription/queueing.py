"""Plans the requests of an action or a correction, and adds them to the queue."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ..platform.image import Known
from ..platform.plan import plan_action, plan_healing
from ..platform.request import Request
from ..values import RequestOrigin, RequestType, Subscription
from .ledger import Ledger
from .pending_requests import Pending
from .unsettled_actions import UnsettledAction


def plan_performed(
    ledger: Ledger,
    provider: str,
    performed: UnsettledAction,
    before: Subscription | None,
    state: Subscription,
) -> tuple[tuple[Request, ...], tuple[Request, ...]]:
    """Returns the requests that heal the platform before the action's requests are sent, and the
    action's own requests.

    No request heals the platform if a correction was rejected, or if an account was taken over and
    its contents are unknown: in both cases the platform waits for a reset.
    """
    catalogue = ledger.catalogues[provider]
    link = ledger.links[provider]
    old, new = ledger.image(before, catalogue), ledger.image(state, catalogue)
    expected = ledger.expected(provider, before_unit=performed.unit)
    methods = performed.methods(provider)
    unknown = link.taken_over and expected.known is not Known.YES
    if link.refused_correction or unknown:
        own = plan_action(old, new, expected=expected, catalogue=catalogue, methods=methods)
        return (), own
    heal, own = plan_healing(old, new, expected=expected, catalogue=catalogue, methods=methods)
    if heal and heal[0].type is RequestType.BECOME_SUBSCRIBER and heal[0] in link.withheld:
        return (), own  # without the BECOME_SUBSCRIBER, all other requests would be rejected
    return tuple([request for request in heal if request not in link.withheld]), own


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
    performed = ledger.action(action)
    first = performed.next_index
    ledger.change(replace(performed, next_index=first + len(requests)))
    added = [
        of_action(ledger, request, performed=performed, unit=performed.unit, index=n)
        for n, request in enumerate(requests, first)
    ]
    ledger.add(provider, added)


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
