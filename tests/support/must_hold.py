"""What must hold of a subscription's life, whatever happens in it."""

from __future__ import annotations

from generic_provider_server.domain.platform.image import PlatformImage
from generic_provider_server.domain.platform.plan import plan
from generic_provider_server.domain.rules.rules import check as check_rules
from generic_provider_server.domain.subscription.after import after
from generic_provider_server.domain.subscription.aggregate import Link, Pending
from generic_provider_server.domain.subscription.due import without_usage
from generic_provider_server.domain.subscription.names_used import goods_named
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
    """After every step."""
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
        assert {Goods(*item[1:]) for item in held.items} <= reserved, "held, yet not reserved"


def _check_state(life: Life) -> None:
    """The state is the replay of what is unsettled, and keeps the rules."""
    there = life.there
    state = there.settled_state
    for performed in there.performed:
        state = after(state, performed, catalogues=life.catalogues)
    assert state
    assert without_usage(state, now=life.now) == there.desired, (
        "not the fold of base and the unsettled actions"
    )
    check_rules(there.desired, life.catalogues)
    assert there.desired.live or not there.desired.items
    assert all(there.link(code) for code in there.desired.linked), "linked without a link"


def _check_queue(life: Life, link: Link) -> None:
    """In order, and what has ended stays so."""
    places = [(pending.unit, pending.index) for pending in link.queue]
    assert places == sorted(set(places))
    assert not any(pending.number in life.finals for pending in link.queue)


def _check_lease(life: Life, link: Link) -> None:
    """What is on a live lease is pending, and stands at the head of the queue."""
    lease = life.leases.get(link.provider)
    leased = [pending.number for pending in lease.requests] if lease else []
    assert [pending.number for pending in link.queue][: len(leased)] == leased, "a lease was cut"


def _check_in_sync(life: Life, link: Link) -> None:
    """In sync is never a lie."""
    held, wanted = link.expected(now=life.now), life.wanted(link.provider)
    assert not link.queue
    assert not plan(held, wanted, catalogue=life.catalogues[link.provider])
    assert not life.differences(link.provider), life.differences(link.provider)


def check_confirmed(life: Life) -> None:
    """What is confirmed is what is wanted, unless a correction was refused.

    What was refused is not tried again by itself, and so a subscriber who was refused stays
    unknown, whatever changes for it.
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
    """After a reset that was served."""
    assert not life.differences(provider)
    assert life.in_sync(provider)


def _refused(life: Life, provider: str) -> list[Finished]:
    return [
        final
        for final in life.finals.values()
        if final.provider == provider and final.state is RequestState.REJECTED
    ]


def _corrects(pending: Pending) -> bool:
    """Usage that moves along with its goods counts as a correction."""
    return pending.origin is not RequestOrigin.ACTION or pending.request.usage is not None


def _told(image: PlatformImage) -> tuple[object, ...]:
    """What an image says, in whatever order."""
    return (
        image.holder,
        image.address,
        {item.key for item in image.items},
        {(entitlement.key, entitlement.term_end) for entitlement in image.entitlements},
        {posted.key for posted in image.usages},
    )
