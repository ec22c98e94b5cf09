"""Defines the aggregate: a subscription with its unsettled actions and pending requests. An
aggregate is always changed as a whole.

*desired* is the state that the CRM shows. *base* is the state that contains every settled action;
*desired* equals *base* with the unsettled actions applied in order. Each link contains the
*confirmed* image of a platform and the queue of pending requests; *expected* is *confirmed* with
the effects of the queue.
"""

from __future__ import annotations

from ..platform.image import NOTHING, PlatformImage, unexpired
from ..platform.request import Request
from ..platform.request_effects import effects
from ..values import Instant, Subscription, SyncState, Value
from .pending_requests import Pending
from .unsettled_actions import UnsettledAction


class LastError(Value, frozen=True, kw_only=True):
    request: int
    error_code: str
    error_description: str
    time: Instant


class Link(Value, frozen=True, kw_only=True):
    """The link between a subscription and one provider.

    `delivered_unit`: the latest unit with a request that was handed over or answered; no older unit
    gets new requests. `refused_correction` is True if, since the link was last in sync or reset, a
    request was rejected and nothing was taken back in the CRM. While `refused_correction` is True,
    no action heals the platform. `withheld`: corrections that the platform has rejected; the
    service does not create them again until the link is in sync or reset. `taken_over` is True if
    the platform served the customer before Become Subscriber, and its contents are still unknown.
    `settle_time`: the time at which a request at the provider last reached a final state.
    `observed_time`: the time at which the contents of the platform were read for the last report
    that has changed the link, or that has confirmed that the link is OUT_OF_SYNC; 0 if there is no
    such report.
    """

    provider: str
    confirmed: PlatformImage = NOTHING
    account_number: str = ""
    queue: tuple[Pending, ...] = ()
    sync_state: SyncState = SyncState.IN_SYNC
    last_error: LastError | None = None
    delivered_unit: int = 0
    refused_correction: bool = False
    withheld: tuple[Request, ...] = ()
    taken_over: bool = False
    settle_time: Instant = Instant(0)
    observed_time: Instant = Instant(0)

    def expected(self, *, now: Instant, before_unit: int | None = None) -> PlatformImage:
        """Returns *confirmed* with the effects of the pending requests.

        If `before_unit` is given, the requests of this unit and of later units are left out.
        """
        held = unexpired(self.confirmed, now=now)
        if not self.queue:
            return held
        ahead = [
            pending.request
            for pending in self.queue
            if before_unit is None or pending.unit < before_unit
        ]
        return unexpired(effects(held, ahead), now=now)


class Aggregate(Value, frozen=True, kw_only=True):
    """A subscription with its unsettled actions and its links.

    `base` is None while Become Subscriber is unsettled. `base` is also None while no action is
    unsettled, because *base* then equals *desired*.
    """

    desired: Subscription
    base: Subscription | None = None
    performed: tuple[UnsettledAction, ...] = ()
    links: tuple[Link, ...] = ()
    next_unit: int = 1

    @property
    def settled_state(self) -> Subscription | None:
        return self.base if self.performed else self.desired

    def link(self, provider: str) -> Link | None:
        for link in self.links:
            if link.provider == provider:
                return link
        return None

    def queue(self, provider: str) -> tuple[Pending, ...]:
        for link in self.links:
            if link.provider == provider:
                return link.queue
        return ()

    def action(self, number: int) -> UnsettledAction | None:
        """Returns the unsettled action with that number, or None."""
        for performed in self.performed:
            if performed.id == number:
                return performed
        return None

    def find(self, number: int) -> tuple[str, Pending] | None:
        """Returns the provider and the pending request with that number, or None if no pending
        request has the number.
        """
        for link in self.links:
            for pending in link.queue:
                if pending.number == number:
                    return link.provider, pending
        return None
