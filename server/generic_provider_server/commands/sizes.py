"""Refuses actions and entries of platform reports that make a subscription, or the messages about
the subscription, too large.
"""

from __future__ import annotations

from collections import Counter

from ..domain.catalogue import Catalogue, Catalogues
from ..domain.platform.image import NOTHING
from ..domain.platform.plan import provisioned
from ..domain.refusals import InvalidField
from ..domain.subscription.aggregate import Aggregate
from ..domain.subscription.records import SubscriptionRecord
from ..domain.subscription.transition import Transition
from ..domain.values import Subscription
from ..store.database.documents import encode

FEW_PARTS = 40
MOST_BYTES = 256 * 1024
MOST_REQUEST_BYTES = 1024 * 1024
"""A limit in bytes for two sizes. All requests of an action together are limited, because the
result of the call contains these requests. All services of a subscription at one provider together
are limited, because one request may contain all these services.
"""


def check_size(
    change: Transition, former: SubscriptionRecord | None, *, catalogues: Catalogues
) -> None:
    """Refuses a change if the subscription or the requests of the change are too large. Also
    refuses a change that enlarges the services at one provider, together with their items, beyond
    MOST_REQUEST_BYTES.

    The size of a single part has a limit of its own, so a subscription with few parts is not too
    large.
    """
    desired = change.aggregate.desired
    if len(desired.items) + len(desired.services) + len(desired.usages) < FEW_PARTS:
        return
    sizes = {
        "subscription": (len(encode(desired)), MOST_BYTES),
        "requests": (len(encode([p.request for _, p in change.created])), MOST_REQUEST_BYTES),
    }
    for what, (size, most) in sizes.items():
        if size > most:
            raise InvalidField((what, f"would have {size} bytes, at most {most} are allowed"))
    size = _size_together(desired, catalogues)
    if size <= MOST_REQUEST_BYTES:
        return
    before = _size_together(former.aggregate.desired, catalogues) if former else 0
    if size > before:
        why = f"would have {size} bytes with their items, at most {MOST_REQUEST_BYTES} are allowed"
        raise InvalidField(("services", why))


def _size_together(state: Subscription, catalogues: Catalogues) -> int:
    """Returns the greatest number of bytes that all services of one provider need in one request. A
    reset or an action such as End Resting may create a request with all these services. Each
    service carries the items that its distributor requires.
    """
    items, sizes = Counter[tuple[str, str]](), Counter[str]()
    for item in state.items:
        distributor = catalogues[item.provider].distributors[item.distributor]
        if item.goods_type in distributor.required_goods_types:
            items[item.provider, item.distributor] += len(encode(item))
    for service in state.services if state.live else ():
        parameters = catalogues[service.provider].services[service.service].parameters
        sizes[service.provider] += items[service.provider, service.distributor]
        sizes[service.provider] += len(encode(parameters))
    return max(sizes.values(), default=0)


def size_of_confirmed(aggregate: Aggregate, catalogue: Catalogue) -> int:
    """Returns the number of bytes that all confirmed services at the provider need in one message,
    each with its items; 0 if there are so few services and items that they cannot need too many
    bytes. A message to an adapter may contain all of them as its `target`.
    """
    link = aggregate.link(catalogue.code)
    held = link.confirmed if link else NOTHING
    if sum(1 + len(each.goods) for each in held.entitlements) < FEW_PARTS:
        return 0
    return len(encode(provisioned(held.entitlements, held, catalogue)))
