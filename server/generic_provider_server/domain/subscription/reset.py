"""Resets one subscription at one provider: brings the platform to the state of the CRM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from ..platform.doubt import doubt, doubt_everything
from ..platform.image import Known
from ..platform.plan import become, plan
from ..platform.request import Request
from ..values import RequestOrigin, RequestState, RequestType
from .aggregate import Aggregate, Link
from .ledger import Ledger
from .queueing import enqueue
from .transition import Circumstances, Transition


class PlannedReset(NamedTuple):
    """The requests of a reset. `transition` creates these requests."""

    ledger: Ledger
    provider: str
    requests: tuple[Request, ...]

    @property
    def link(self) -> Link:
        """The link with which the requests were planned. The requests that the reset cancels are
        removed from the link. Read the link before the call of `transition`, which adds the new
        requests.
        """
        return self.ledger.links[self.provider]

    def transition(self, *, bulk: bool = False, run: int = 0, performed_by: str = "") -> Transition:
        """Returns the transition of the reset. Call this function only once, because it changes
        `ledger`.
        """
        if self.requests:
            enqueue(
                self.ledger,
                self.provider,
                self.requests,
                unit=self.ledger.new_unit(),
                bulk=bulk,
                reset_run=run,
                performed_by=performed_by,
            )
        return self.ledger.transition()


def plan_reset(
    aggregate: Aggregate,
    provider: str,
    *,
    circumstances: Circumstances,
    full: bool = False,
    recreate: bool = False,
    lost: Sequence[Request] = (),
) -> PlannedReset:
    """Plans the requests that bring the platform to the state of the CRM.

    If `full` is True, all wanted elements are sent again, and all other elements that the platform
    may hold are removed. If `recreate` is True, the pending requests are cancelled and the whole
    subscriber is sent in one BECOME_SUBSCRIBER. `recreate` is allowed only if no live lease covers
    a request. If an earlier reset has created the same requests and they are still pending, the
    plan is empty. `lost`: requests that the platform has accepted, but may have lost.
    """
    ledger = Ledger(aggregate, circumstances)
    if recreate:
        _cancel_pending(ledger, provider)
    link = doubted(ledger.links[provider], full=full, recreate=recreate, lost=lost)
    ledger.links[provider] = replace(link, refused_correction=False, withheld=(), taken_over=False)
    requests = _planned(ledger, provider, recreate=recreate)
    if recreate and _pending_already(aggregate, provider, requests):
        return PlannedReset(Ledger(aggregate, circumstances), provider, ())
    ledger.as_wanted.add(provider)
    return PlannedReset(ledger, provider, requests)


def doubted(link: Link, *, full: bool, recreate: bool, lost: Sequence[Request] = ()) -> Link:
    """Returns the link with more uncertain elements, which the reset then sends again or removes:
    all elements if `full` or `recreate` is True, otherwise the elements that the requests `lost`
    name.
    """
    confirmed = link.confirmed
    if full or recreate:
        confirmed = doubt_everything(confirmed)
    for request in lost:
        confirmed = doubt(confirmed, request)
    if recreate or any(request.type is RequestType.BECOME_SUBSCRIBER for request in lost):
        confirmed = replace(confirmed, known=Known.UNCERTAIN)
    return link if confirmed is link.confirmed else replace(link, confirmed=confirmed)


def _planned(ledger: Ledger, provider: str, *, recreate: bool) -> tuple[Request, ...]:
    catalogue = ledger.catalogues[provider]
    wanted = ledger.image(ledger.desired, catalogue)
    expected = ledger.expected(provider)
    if recreate and wanted.known is Known.YES:
        return become(expected, wanted, catalogue=catalogue)
    return plan(expected, wanted, catalogue=catalogue)


def _pending_already(aggregate: Aggregate, provider: str, requests: Sequence[Request]) -> bool:
    queue = aggregate.queue(provider)
    reset = all(pending.origin is RequestOrigin.RESET for pending in queue)
    return bool(queue) and reset and [each.request for each in queue] == list(requests)


def _cancel_pending(ledger: Ledger, provider: str) -> None:
    """Cancels the pending requests.

    The CRM keeps the changes of these requests, because the BECOME_SUBSCRIBER carries them.
    """
    if ledger.leased(provider):
        raise ValueError(f"requests at {provider} are on a lease")
    for pending in ledger.links[provider].queue:
        ledger.abandon(provider, pending, RequestState.CANCELLED, recreated=True)
