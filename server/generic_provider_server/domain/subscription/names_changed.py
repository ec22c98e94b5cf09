"""Tells whether a transition may change which items, services, distributors and goods types a
subscription uses. After any other transition, the used items and parts need not be collected again.
"""

from __future__ import annotations

from ..actions import ServiceListAction
from ..platform.image import PlatformImage
from ..platform.named_elements import adds
from ..values import Goods
from .aggregate import Aggregate
from .names_used import (
    ProviderPart,
    Use,
    add_carried,
    add_goods,
    add_image,
    add_request,
    add_state,
    parts_of_action,
    uses_of_parts,
)
from .transition import Transition

LONG = 50
"""If a queue has more requests than this number, a call of `changed_names_stay_wanted` is cheaper
than collecting the names anew.
"""


def names_certainly_unchanged(former: Aggregate, transition: Transition) -> bool:
    """Tells whether the reserved items and the used parts of providers certainly stay the same."""
    if only_known_names_sent(former, transition):
        return True
    for link in former.links:
        if len(link.queue) > LONG:
            return changed_names_stay_wanted(former, transition)
    return False


def only_known_names_sent(former: Aggregate, transition: Transition) -> bool:
    """Tells whether the transition only creates requests, without new items or parts of providers.

    A reset that only adds elements is such a transition: the CRM wants these elements, so the
    subscription already uses their items and parts. If a request removes an element, the result is
    False: such a request may contain a service code that was found in the catalogue and that the
    subscription does not use.
    """
    after = transition.aggregate
    if after.desired is not former.desired or transition.actions or transition.finished:
        return False
    if len(after.links) != len(former.links):
        return False
    for _, pending in transition.created:
        if not adds(pending.request):
            return False
    for link, old in zip(after.links, former.links, strict=True):
        if link.confirmed is not old.confirmed and link.confirmed != old.confirmed:
            return False
    return True


def changed_names_stay_wanted(former: Aggregate, transition: Transition) -> bool:
    """Tells whether the state of the CRM contains every name that the transition adds to queues and
    images, or removes from them. If the result is True, the reserved items and the used parts of
    providers stay the same.
    """
    after = transition.aggregate
    if after.desired is not former.desired or after.base is not former.base:
        return False
    if not after.desired.live or _frame(former) != _frame(after):
        return False
    named, parts = {item.goods for item in after.desired.items}, set[ProviderPart]()
    add_state(parts, after.desired)
    goods, changed = set[Goods](), set[ProviderPart]()
    ended = [(each.provider, each.pending) for each in transition.finished]
    for provider, pending in (*ended, *transition.created):
        add_carried(goods, pending.request)
        add_request(changed, provider, pending.request)
    for before, link in zip(former.links, after.links, strict=True):
        for old, new in ((before, link), (link, before)):
            image = _without(old.confirmed, new.confirmed)
            add_goods(goods, image)
            add_image(changed, link.provider, image)
    return goods <= named and changed <= parts


def _frame(aggregate: Aggregate) -> tuple[list[str], list[int]]:
    """Returns the codes of the linked providers, and the object ids of the unsettled actions."""
    return (
        [link.provider for link in aggregate.links],
        [id(performed.action) for performed in aggregate.performed],
    )


def _without(image: PlatformImage, other: PlatformImage) -> PlatformImage:
    """Returns an image with the parts of `image` that are not the same objects in `other`."""
    there = {id(part) for part in (*other.entitlements, *other.items, *other.usages)}
    return PlatformImage(
        entitlements=tuple([part for part in image.entitlements if id(part) not in there]),
        items=tuple([part for part in image.items if id(part) not in there]),
        usages=tuple([part for part in image.usages if id(part) not in there]),
    )


def uses_added(former: Aggregate, transition: Transition) -> frozenset[Use] | None:
    """Returns all parts of providers that the transition may add to the used parts.

    Returns None if the transition may also change the reserved items, or remove parts. An unsettled
    action never removes parts, because the aggregate keeps the state before the action.
    """
    changes, linked = transition.actions, len(transition.aggregate.links)
    if transition.finished or len(changes) != 1 or len(former.links) != linked:
        return None
    action = changes[0].performed.action
    if changes[0].settled or not isinstance(action, ServiceListAction):
        return None
    parts = set(parts_of_action(action))
    for provider, pending in transition.created:
        # A CANCEL_UDR may name items that are in no other request, action or image. These items
        # become reserved.
        if pending.request.usage:
            return None
        add_request(parts, provider, pending.request)
    return uses_of_parts(frozenset(parts))
