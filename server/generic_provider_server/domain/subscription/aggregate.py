"""Defines the aggregate: a subscription with its unsettled actions and pending requests. An
aggregate is always changed as a whole.

*desired* is the state that the CRM shows. *base* is the state that contains every settled action;
*desired* equals *base* with the unsettled actions applied in order. Each link holds what a platform
has *confirmed* and the queue of pending requests; *expected* is *confirmed* with the queue's
effects applied.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from ..actions import AnyAction
from ..platform.effect import effects
from ..platform.image import NOTHING, PlatformImage, Request, unexpired
from ..platform.plan import Methods
from ..refusals import Reason
from ..values import Instant, RequestOrigin, RequestState, Subscription, SyncState, Value


class Pending(Value, frozen=True, kw_only=True):
    """A request that waits for its answer.

    Its `number` is 0 until a number is assigned. (`unit`, `index`) is its place in the order of the
    subscription's requests at the provider. `touched` is True if a hand-over ended without an
    answer, so that the platform may have applied the request. Two fields are only for requests that
    no action created: `reset_run`, the run that created the request, and `performed_by`, the person
    who reset the subscription.
    """

    unit: int
    index: int
    origin: RequestOrigin
    request: Request
    create_time: Instant
    schedule_time: Instant
    number: int = 0
    action: int = 0
    reset_run: int = 0
    performed_by: str = ""
    bulk: bool = False
    touched: bool = False
    attempts: int = 0
    hidden_until: Instant = Instant(0)
    error_code: str = ""
    error_description: str = ""


class LastError(Value, frozen=True, kw_only=True):
    request: int
    error_code: str
    error_description: str
    time: Instant


class Link(Value, frozen=True, kw_only=True):
    """The link between a subscription and one platform.

    `delivered_unit`: the latest unit with a request that was handed over or answered; no older unit
    gets new requests. `refused_correction` is True if a request that no action created was rejected
    since the link was last in sync or reset. Then the next action does not heal the platform.
    `withheld`: corrections that the service does not create before the next reset, because the
    platform has rejected them once. `taken_over` is True if the platform already served the
    customer, and its contents are still unknown. `settle_time`: when a request at the platform last
    reached a final state.
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

    def expected(self, *, now: Instant, before_unit: int | None = None) -> PlatformImage:
        """Returns *confirmed* with the effects of the pending requests.

        If `before_unit` is given, only requests of earlier units count.
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


class ServicesPart(Value, frozen=True, kw_only=True, tag="services"):
    """The services with one platform id on a distributor.

    If `off` is True, the services stay, but become NOT_EFFECTIVE.
    """

    provider: str
    distributor: str
    provider_service_id: str
    off: bool = False


class ItemPart(Value, frozen=True, kw_only=True, tag="item"):
    provider: str
    goods_type: str
    serial_number: str


class HolderPart(Value, frozen=True, kw_only=True, tag="holder"):
    """The holder and the address, taken back because an update request was rejected."""

    holder: bool = True
    address: bool = True


class UsagePart(Value, frozen=True, kw_only=True, tag="usage"):
    reference: str


class StatePart(Value, frozen=True, kw_only=True, tag="state"):
    """The state of the subscription, with all its services."""


class ProviderPart(Value, frozen=True, kw_only=True, tag="provider"):
    """All services, items and usage records of the subscription at one provider, and the link."""

    provider: str


Part = ServicesPart | ItemPart | HolderPart | UsagePart | StatePart | ProviderPart


class ActionError(Value, frozen=True, kw_only=True):
    """The first reason for which an action was taken back or changed."""

    reason: Reason
    request: int = 0
    provider: str = ""
    error_code: str = ""
    error_description: str = ""


class Outcome(Value, frozen=True):
    """The result of one request of an action.

    `recreated` is True if the request was cancelled because the whole subscriber is sent again.
    `correction` is True if the request was rejected, but no part of the action was taken back for
    this reason.
    """

    provider: str
    state: RequestState
    recreated: bool = False
    correction: bool = False


class Requested(Value, frozen=True):
    """An entitlement for which an action had a request; all entitlements at the provider if
    `distributor` is empty, because the request was a BECOME_SUBSCRIBER.
    """

    provider: str
    distributor: str = ""
    provider_service_id: str = ""


class UnsettledAction(Value, frozen=True, kw_only=True):
    """An action that is not settled.

    `whole_activation`, `whole_deactivation`: providers that get one request for the whole
    subscription. `ineffective`: providers of the subscription that were not effective when the
    action was performed; `linked_then`: the providers of `ineffective` that the action linked.
    `automatic` is True for an automatic end, which does not become due again if it is taken back.
    `taken_back`: the parts of the action that were taken back; it never becomes shorter.
    `scheduled` is True if the service performed the action at the time for which a caller had
    scheduled it. `next_index`: the first free index in the action's unit. `requested`: the
    entitlements for which the action ever had a request.
    """

    id: int
    unit: int
    at: Instant
    action: AnyAction
    reference: str = ""
    performed_by: str = ""
    bulk: bool = False
    automatic: bool = False
    scheduled: bool = False
    whole_activation: tuple[str, ...] = ()
    whole_deactivation: tuple[str, ...] = ()
    ineffective: tuple[str, ...] = ()
    linked_then: tuple[str, ...] = ()
    next_index: int = 0
    requested: tuple[Requested, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    taken_back: tuple[Part, ...] = ()
    undone: bool = False
    error: ActionError | None = None

    def methods(self, provider: str) -> Methods:
        return Methods(provider in self.whole_activation, provider in self.whole_deactivation)


def changed_by(performed: UnsettledAction, cause: ActionError) -> UnsettledAction:
    """Records that the action is still valid, but that the rejection `cause` has changed its
    effect.
    """
    return error_once(performed, replace(cause, reason=Reason.CHANGED_BY_ROLLBACK))


def error_once(performed: UnsettledAction, error: ActionError) -> UnsettledAction:
    """Keeps the first rejection as the action's error.

    A later rejection replaces the error only if its reason is CHANGED_BY_ROLLBACK.
    """
    former = performed.error
    if former is not None and former.reason is not Reason.CHANGED_BY_ROLLBACK:
        return performed
    if former is not None and error.reason is Reason.CHANGED_BY_ROLLBACK:
        return performed
    return replace(performed, error=error)


class Aggregate(Value, frozen=True, kw_only=True):
    """A subscription with its unsettled actions and its links.

    `base` is None while Become Subscriber is unsettled, and while no action is unsettled.
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
        link = self.link(provider)
        return link.queue if link else ()

    def action(self, number: int) -> UnsettledAction | None:
        """Returns the unsettled action with that number."""
        for performed in self.performed:
            if performed.id == number:
                return performed
        return None

    def find(self, number: int) -> tuple[str, Pending] | None:
        """Returns the pending request with that number, and its provider."""
        for link in self.links:
            for pending in link.queue:
                if pending.number == number:
                    return link.provider, pending
        return None


def in_order(queue: Iterable[Pending]) -> tuple[Pending, ...]:
    return tuple(sorted(queue, key=lambda pending: (pending.unit, pending.index)))
