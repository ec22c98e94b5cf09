"""Checks the rules that always hold in a subscription's life."""

from __future__ import annotations

from generic_provider_server.domain.platform.image import PlatformImage
from generic_provider_server.domain.platform.plan import plan
from generic_provider_server.domain.rules.invariants import check as check_rules
from generic_provider_server.domain.subscription.aggregate import Link
from generic_provider_server.domain.subscription.due import without_usage
from generic_provider_server.domain.subscription.names_used import goods_named
from generic_provider_server.domain.subscription.pending_requests import Pending
from generic_provider_server.domain.subscription.state_after import after
from generic_provider_server.domain.subscription.transition import Finished
from generic_provider_server.domain.values import (
    Goods,
    RequestOrigin,
    RequestState,
    RequestType,
    SyncState,
)

from .life import Life
from .platform import Subscriber


def check(life: Life) -> None:
    """Checks the rules that hold after every step."""
    _check_state(life)
    reserved = goods_named(life.there)
    for link in life.there.links:
        _check_queue(life, link)
        _check_lease(life, link)
        if link.sync_state is SyncState.IN_SYNC:
            _check_in_sync(life, link)
        platform = life.platforms[link.provider]
        if life.desired.number in platform.untold:
            continue
        held = platform.subscribers.get(life.desired.number, Subscriber())
        rented = [goods for (_, goods), u in held.usages.items() if u.end_time > life.now]
        goods = {item[1:] for item in held.items}.union(*rented)
        assert {Goods(*each) for each in goods} <= reserved, "held, yet not reserved"


def _check_state(life: Life) -> None:
    """Checks that a replay of the unsettled actions gives *desired*, and that *desired* keeps the
    CRM's rules.
    """
    there = life.there
    state = there.settled_state
    for performed in there.performed:
        state = after(state, performed, catalogues=life.catalogues)
    assert state
    assert without_usage(state, now=life.now) == there.desired, (
        "desired is not base with the unsettled actions applied"
    )
    check_rules(there.desired, life.catalogues, at=life.now)
    assert there.desired.live or not there.desired.items
    assert all(there.link(code) for code in there.desired.linked), "no link to a linked provider"


def _check_queue(life: Life, link: Link) -> None:
    """Checks that the queue is in order, and that no request in it has a final state."""
    places = [(pending.unit, pending.index) for pending in link.queue]
    assert places == sorted(set(places))
    assert not any(pending.number in life.finals for pending in link.queue)


def _check_lease(life: Life, link: Link) -> None:
    """Checks that the requests of a live lease are the first of the queue."""
    lease = life.leases.get(link.provider)
    leased = [pending.number for pending in lease.requests] if lease else []
    assert [pending.number for pending in link.queue][: len(leased)] == leased, "not first in queue"


def _check_in_sync(life: Life, link: Link) -> None:
    """Checks that the platform holds what the CRM wants, because the link is in sync."""
    held, wanted = link.expected(now=life.now), life.wanted(link.provider)
    assert not link.queue
    assert not plan(held, wanted, catalogue=life.catalogues[link.provider])
    assert not life.differences(link.provider), life.differences(link.provider)


def check_confirmed(life: Life) -> None:
    """Checks that *confirmed* is what the CRM wants, apart from elements of rejected requests.
    Links with a rejected correction are not checked.

    The service does not send a rejected request again by itself. So after a rejected
    BECOME_SUBSCRIBER the platform does not know the subscriber.
    """
    for link in life.there.links:
        refused = _refused(life, link.provider)
        untold = life.desired.number in life.platforms[link.provider].untold
        if untold or any(_corrects(final.pending) for final in refused):
            continue
        held, wanted = link.expected(now=life.now), life.wanted(link.provider)
        lacking = plan(held, wanted, catalogue=life.catalogues[link.provider])
        spared = [final.pending.request for final in refused]
        if not any(request.type is RequestType.BECOME_SUBSCRIBER for request in spared):
            assert all(request in spared for request in lacking)
        if not lacking and held.known is wanted.known:
            assert _told(held) == _told(wanted)


def check_healed(life: Life, provider: str) -> None:
    """Checks that no difference is left after a reset whose requests were answered."""
    assert not life.differences(provider)
    assert life.in_sync(provider)


def _refused(life: Life, provider: str) -> list[Finished]:
    return [
        final
        for final in life.finals.values()
        if final.provider == provider and final.state is RequestState.REJECTED
    ]


def _corrects(pending: Pending) -> bool:
    """Tells whether the request counts as a correction. A request for a usage record always counts
    as a correction. An action that moves goods also moves the usage records of these goods. If the
    platform rejects a request for such a record, nothing is taken back in the CRM, as after the
    rejection of a correction.
    """
    return pending.origin is not RequestOrigin.ACTION or pending.request.usage is not None


def _told(image: PlatformImage) -> tuple[object, ...]:
    """Returns the contents of the image, independent of their order."""
    return (
        image.holder,
        image.address,
        {item.key for item in image.items},
        {(entitlement.key, entitlement.term_end) for entitlement in image.entitlements},
        {posted.key for posted in image.usages},
    )
