"""Computes what a platform should hold for a subscription after it has applied the requests of a
hand-over.

Adapters that can only overwrite a whole subscriber need these contents.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..catalogue import Catalogue
from ..platform.compare import compare
from ..platform.image import PlatformImage, image, unexpired
from ..platform.request_effects import effects
from ..values import Instant
from .aggregate import Aggregate
from .pending_requests import Pending


def target_after(
    aggregate: Aggregate, taken: tuple[Pending, ...], *, catalogue: Catalogue, now: Instant
) -> PlatformImage:
    """Returns *confirmed* with the effects of `taken`, the requests of the hand-over.

    An uncertain item or entitlement is left out if the CRM does not want it.
    """
    link = aggregate.link(catalogue.code)
    if link is None:
        raise LookupError(f"no link to {catalogue.code}")
    held = unexpired(link.confirmed, now=now)
    known = effects(held, [pending.request for pending in taken])
    found = compare(known, image(aggregate.desired, catalogue, now=now))
    entitlements, items = found.entitlements.surplus, found.items.surplus
    return replace(
        known,
        entitlements=tuple([e for e in known.entitlements if e.certain or e not in entitlements]),
        items=tuple([item for item in known.items if item.certain or item not in items]),
    )
