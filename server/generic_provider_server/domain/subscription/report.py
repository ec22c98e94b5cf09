"""Replaces *confirmed* of a subscription by the contents of a platform report."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from ..platform.compare import Part
from ..platform.image import NOTHING, Known, PlatformImage, items_of
from ..platform.reported import Reported, ReportedElements, Unknown
from ..values import SECOND, Instant, SyncState, Value
from .aggregate import Aggregate, Link
from .ledger import Ledger
from .transition import Circumstances, Transition

CLOCKS = 300 * SECOND
"""The largest expected difference between a platform's clock and the server's clock, in
microseconds.
"""

Element = TypeVar("Element", bound=Part)


class Applied(Value, frozen=True, kw_only=True):
    """The result of a report.

    `changed` is True if the report differs from *confirmed*, or if the contents of the platform
    were unknown until the report (`taken_over`). If `changed` is False, the transition may
    nevertheless record the time of the report. `unknown`: ids in the report that the provider does
    not have, each with an explanation, such as "the provider has no such service".
    """

    transition: Transition
    changed: bool = False
    unknown: tuple[Unknown, ...] = ()


def overtaken(link: Link, *, observed_time: Instant) -> bool:
    """Tells whether requests may have changed the platform since `observed_time`, the time at which
    the contents of the platform were read, or whether a report with a later time was applied.
    """
    return bool(link.queue) or observed_time < readable_from(link)


def readable_from(link: Link) -> Instant:
    """Returns the earliest `observed_time` of a report that may change the link, if no request is
    pending.
    """
    return max(Instant(link.settle_time + CLOCKS), link.observed_time)


def should_be_named(aggregate: Aggregate, link: Link, *, observed_time: Instant) -> bool:
    """Tells whether a complete report should name the subscription.

    The report need not name a subscription for which nothing is confirmed, a subscription that was
    created after `observed_time`, or an ended subscription for which the platform holds no
    elements.
    """
    if link.confirmed == NOTHING or aggregate.desired.create_time > observed_time:
        return False
    return aggregate.desired.live or not link.confirmed.holds_nothing


def report(
    aggregate: Aggregate,
    provider: str,
    *,
    held: Reported | None,
    observed_time: Instant,
    circumstances: Circumstances,
) -> Applied:
    """Replaces the confirmed items and entitlements by those in the report.

    If `held` is None, the platform does not know the subscriber, so *confirmed* becomes empty.

    If the report agrees with *confirmed*, the aggregate stays the same object, except in two cases:
    the contents of the platform were unknown until now (`taken_over`), or the link is OUT_OF_SYNC.
    If the link is OUT_OF_SYNC, the time of the report is recorded, so that no older report hides
    the difference.
    """
    ledger = Ledger(aggregate, circumstances)
    link = ledger.links[provider]
    confirmed, unknown = NOTHING, tuple[Unknown, ...]()
    if held is not None:
        catalogue = ledger.catalogues[provider]
        wanted = ledger.image(ledger.desired, catalogue)
        named = replace(wanted, items=items_of(ledger.desired, catalogue))
        elements = ReportedElements(held, images=(link.confirmed, named), catalogue=catalogue)
        confirmed, unknown = _confirmed(link.confirmed, wanted, elements), tuple(elements.unknown)
    changed = confirmed != link.confirmed or link.taken_over
    recorded = link.sync_state is not SyncState.OUT_OF_SYNC or link.observed_time == observed_time
    if recorded and not changed:
        return Applied(transition=Transition(aggregate=aggregate), unknown=unknown)
    ledger.links[provider] = replace(
        link, confirmed=confirmed, taken_over=False, observed_time=observed_time
    )
    return Applied(transition=ledger.transition(), changed=changed, unknown=unknown)


def _confirmed(
    former: PlatformImage, wanted: PlatformImage, elements: ReportedElements
) -> PlatformImage:
    """Returns the confirmed image after the report.

    A report has no holder and no address, so these stay certain only if the platform certainly knew
    the subscriber before.
    """
    was_known = former.known is Known.YES
    return replace(
        former,
        known=Known.YES,
        holder_certain=former.holder_certain and was_known,
        address_certain=former.address_certain and was_known,
        items=_replaced(former.items, wanted.items, elements.items),
        entitlements=_replaced(former.entitlements, wanted.entitlements, elements.entitlements),
    )


def _replaced(
    former: tuple[Element, ...], wanted: tuple[Element, ...], read: tuple[Element, ...]
) -> tuple[Element, ...]:
    """Returns the elements of the report.

    An unchanged element keeps its known parameters. If no element differs, returns `former`,
    because the order of its elements must not change.
    """
    known = {part.key: part for part in (*wanted, *former)}
    now = {part.key: _as_known(known.get(part.key), part) for part in read}
    return former if now == {part.key: part for part in former} else tuple(now.values())


def _as_known(known: Element | None, read: Element) -> Element:
    if known is None or (known.content, known.certain) != (read.content, read.certain):
        return read
    return known
