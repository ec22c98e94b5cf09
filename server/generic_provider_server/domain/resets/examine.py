"""Examines one subscription for a reset run: computes the requests of the run, and the differences
for which the run creates these requests.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ..catalogue import Catalogue
from ..platform.image import image
from ..platform.request import Request
from ..subscription.aggregate import Aggregate, Link
from ..subscription.differences import Difference, differences
from ..subscription.reset import PlannedReset, doubted, plan_reset
from ..subscription.transition import Circumstances, Transition
from ..values import RequestType, Value
from .records import ResetDefinition, RunRecord


class Finding(Value, frozen=True, kw_only=True):
    """A subscription for which the run creates requests, with these requests."""

    subscription: str
    account_number: str
    planned: PlannedReset
    differences: tuple[Difference, ...] = ()

    @property
    def requests(self) -> tuple[Request, ...]:
        return self.planned.requests

    def created(self, run: RunRecord) -> Transition:
        """Returns the transition that creates the requests. Call this function only once, because
        it changes `planned`.
        """
        by = run.who.performed_by
        return self.planned.transition(bulk=True, run=run.id, performed_by=by)

    @property
    def types(self) -> tuple[RequestType, ...]:
        return tuple([request.type for request in self.requests])


def examine(
    aggregate: Aggregate,
    definition: ResetDefinition,
    *,
    circumstances: Circumstances,
    lost: Sequence[Request] = (),
    described: bool = False,
) -> Finding | None:
    """Returns the finding of the run for the subscription, or None if the run creates no requests
    for the subscription.

    `lost`: requests that the platform accepted, and may have lost when it was restored. If
    `described` is True, the finding also contains the differences in words.
    """
    link = aggregate.link(definition.provider)
    if link is None or _is_left_out(link, definition, lost):
        return None
    planned = plan_reset(
        aggregate,
        definition.provider,
        circumstances=circumstances,
        full=definition.full,
        recreate=definition.recreate,
        lost=lost,
    )
    if not planned.requests:
        return None
    compared = described or definition.narrowed
    found = _differences(aggregate, planned.link, circumstances) if compared else ()
    if compared and not _any_chosen(found, definition, circumstances):
        return None
    return Finding(
        subscription=aggregate.desired.number,
        account_number=link.account_number,
        planned=planned,
        differences=found if described else (),
    )


def selects(
    definition: ResetDefinition, aggregate: Aggregate, *, circumstances: Circumstances
) -> bool:
    """Tells whether the filters of the definition select the subscription. `recreate` of the
    definition must be True.

    Unlike `examine`, this function may be called while requests are leased.
    """
    link = aggregate.link(definition.provider)
    if link is None or _is_left_out(link, definition, ()):
        return False
    link = doubted(link, full=definition.full, recreate=definition.recreate)
    # the run will cancel the pending requests when they are not leased any more
    found = _differences(aggregate, replace(link, queue=()), circumstances)
    return not definition.narrowed or _any_chosen(found, definition, circumstances)


def holds(aggregate: Aggregate, provider: str, circumstances: Circumstances) -> bool:
    """Tells whether the platform is expected to hold an entitlement of the subscription."""
    link = aggregate.link(provider)
    return link is not None and bool(link.expected(now=circumstances.now).entitlements)


def loses(aggregate: Aggregate, provider: str, circumstances: Circumstances) -> bool:
    """Tells whether a reset would remove an entitlement that the platform is expected to hold."""
    link = aggregate.link(provider)
    if link is None:
        return False
    catalogue = circumstances.catalogues[provider]
    wanted = image(aggregate.desired, catalogue, now=circumstances.now).entitlements
    kept = {entitlement.key for entitlement in wanted}
    held = link.expected(now=circumstances.now).entitlements
    return any(entitlement.key not in kept for entitlement in held)


def _is_left_out(link: Link, definition: ResetDefinition, lost: Sequence[Request]) -> bool:
    codes = definition.error_codes
    if codes and (link.last_error is None or link.last_error.error_code not in codes):
        return True
    return definition.platform_restored_to is not None and not lost


def _differences(
    aggregate: Aggregate, link: Link, circumstances: Circumstances
) -> tuple[Difference, ...]:
    catalogue = circumstances.catalogues[link.provider]
    return differences(link, aggregate.desired, catalogue=catalogue, now=circumstances.now)


def _any_chosen(
    found: Sequence[Difference], definition: ResetDefinition, circumstances: Circumstances
) -> bool:
    catalogue = circumstances.catalogues[definition.provider]
    return any(_chosen(each, definition, catalogue) for each in found)


def _chosen(each: Difference, definition: ResetDefinition, catalogue: Catalogue) -> bool:
    return (
        (not definition.difference_kinds or each.kind in definition.difference_kinds)
        and (not definition.services or _is_of(each, definition.services, catalogue))
        and (not definition.distributors or each.distributor in definition.distributors)
    )


def _is_of(each: Difference, services: Sequence[str], catalogue: Catalogue) -> bool:
    """Tells whether the difference is about one of the services. The difference names only one of
    the services that have the same platform id, so the platform ids are compared too.
    """
    named = (catalogue.services[code] for code in services if code in catalogue.services)
    return each.service in services or any(
        service.provider_service_id == each.provider_service_id for service in named
    )
