"""Rejects requests for tests of rollbacks."""

from __future__ import annotations

from generic_provider_server.domain.subscription.unsettled_actions import ActionError
from generic_provider_server.domain.values import (
    Subscription,
)

from .life import Life
from .must_hold import check


def refuse(life: Life, provider: str = "ALUXSAT") -> int:
    """Rejects the first pending request."""
    if provider not in life.leases:
        life.lease(provider)
    number = life.reject(provider)
    check(life)
    return number


def accept(life: Life, provider: str = "ALUXSAT") -> None:
    if provider not in life.leases:
        life.lease(provider)
    life.do(provider)
    life.accept(provider)


def error(life: Life, action: int) -> ActionError:
    found = life.changes[action].performed.error
    assert found is not None
    return found


def services(life: Life) -> dict[str, str]:
    return {f"{s.service} on {s.distributor}": s.state.name for s in life.desired.services}


def settled(life: Life) -> Subscription:
    for link in life.there.links:
        life.serve(link.provider)
        assert life.in_sync(link.provider)
        assert not life.differences(link.provider)
    assert not life.there.performed
    return life.desired
