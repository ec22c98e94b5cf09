"""Finds what is due for a subscription: automatic ends, ends of usage records, and the expiry of
requests.

Automatic ends are not stored, because they follow from the state of the subscription.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from ..actions import (
    AnyAction,
    EndResting,
    EndShortTermActivation,
    EndShortTermDeactivation,
    Selection,
    StopServices,
)
from ..catalogue import Catalogue
from ..rules.apply_services import ended
from ..values import Instant, State, Subscription, Usage
from .aggregate import Aggregate
from .pending_requests import Pending

ENDS: dict[State, AnyAction] = {
    State.IN_RESTING: EndResting(),
    State.SHORT_TERM_EFFECTIVE: EndShortTermActivation(),
    State.SHORT_TERM_NOT_EFFECTIVE: EndShortTermDeactivation(),
}


def due_time(aggregate: Aggregate, *, leased: Callable[[str], AbstractSet[int]]) -> Instant | None:
    """Returns the earliest end of a usage record, a rest, a short term, or the term of a service;
    None if there is no such end.

    `leased` returns, for a provider, the numbers of the requests that a live lease covers. Usage
    records in leased requests are left out, because a leased request expires only after its lease
    has ended.
    """
    subscription = aggregate.desired
    moments = [usage.end_time for usage in subscription.usages]
    for link in aggregate.links:
        if link.confirmed.usages:
            moments += [posted.usage.end_time for posted in link.confirmed.usages]
        for pending in link.queue:
            usage = pending.request.usage
            if usage is not None and pending.number not in leased(link.provider):
                moments.append(usage.end_time)
    end = subscription.until
    for service in subscription.services:
        if service.term_end and not service.term_over and (not end or service.term_end < end):
            end = service.term_end
    if end and subscription.live:
        moments.append(end)
    return min(moments) if moments else None


def next_end(subscription: Subscription, *, now: Instant) -> AnyAction | None:
    """Returns the action for the automatic end that was due first, or None if no end is due at
    `now`.
    """
    if not subscription.live:
        return None
    term, until = _first_term(subscription), subscription.until
    if until is not None and until <= now and (term is None or until <= term):
        return ENDS[subscription.state]
    if term is None or term > now:
        return None
    return StopServices(
        tuple(
            [
                Selection(
                    provider=service.provider,
                    distributor=service.distributor,
                    service=service.service,
                )
                for service in subscription.services
                if service.term_end == term and not service.term_over
            ]
        ),
        term_over=True,
    )


def first_end(subscription: Subscription) -> Instant | None:
    """Returns the time of the earliest automatic end, or None if there is none."""
    moments = [each for each in (_first_term(subscription), subscription.until) if each]
    return min(moments, default=None)


def overdue(queue: Sequence[Pending], catalogue: Catalogue, *, at: Instant) -> bool:
    """Tells whether the first pending request has waited longer than the provider's pending window.
    If it has, all pending requests of the queue expire, unless a lease is live.
    """
    window = catalogue.provider.delivery_settings.pending_window
    return bool(queue) and queue[0].create_time + window <= at


def first_usage_end(aggregate: Aggregate) -> Instant | None:
    """Returns the earliest end of a usage record of the subscription, or of a pending request; None
    if there is no usage record.
    """
    moments = [usage.end_time for usage in _usages(aggregate)]
    queued = [pending.request.usage for link in aggregate.links for pending in link.queue]
    return min(moments + [usage.end_time for usage in queued if usage], default=None)


def usage_is_over(aggregate: Aggregate, *, now: Instant) -> bool:
    """Tells whether a usage record of the subscription, or of a pending request, has ended."""
    end = first_usage_end(aggregate)
    return end is not None and end <= now


def spent(before: Subscription, action: AnyAction, *, at: Instant) -> Subscription:
    """Returns `before` with the automatic end `action` marked as done.

    The end is marked only if it is due at the time `at`.
    """
    if not isinstance(action, StopServices):
        came = before.until is not None and before.until <= at
        return replace(before, until=None) if came else before
    places = {selection.place for selection in action.services}
    services = tuple(
        [
            replace(each, term_over=True) if each.place in places and ended(each, at=at) else each
            for each in before.services
        ]
    )
    return replace(before, services=services)


def without_usage(subscription: Subscription, *, now: Instant) -> Subscription:
    if all(usage.end_time > now for usage in subscription.usages):
        return subscription
    kept = tuple([usage for usage in subscription.usages if usage.end_time > now])
    return replace(subscription, usages=kept)


def _usages(aggregate: Aggregate) -> list[Usage]:
    """Returns the usage records that the CRM wants, and those that a platform holds."""
    held = [posted.usage for link in aggregate.links for posted in link.confirmed.usages]
    return [*aggregate.desired.usages, *held]


def _first_term(subscription: Subscription) -> Instant | None:
    ends = [s.term_end for s in subscription.services if s.term_end and not s.term_over]
    return min(ends, default=None)
