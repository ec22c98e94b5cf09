"""Defines unsettled actions, and the parts of an action that can be taken back."""

from __future__ import annotations

from msgspec.structs import replace

from ..actions import AnyAction
from ..platform.plan import Methods
from ..refusals import Reason
from ..values import Instant, RequestState, Value


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
    """The holder and the address, taken back because an update request was rejected. If the request
    was an UPDATE_ADDRESS, `holder` is False, because only the address is taken back.
    """

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
    """Tells why a scheduled action was refused or cancelled, or why an action was taken back wholly
    or in part.

    The reason CHANGED_BY_ROLLBACK means that the action remains valid, but that the rollback of
    another action has changed its effect. If the action itself is rejected later, the new reason
    replaces CHANGED_BY_ROLLBACK.
    """

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
    """An entitlement for which an action created a request.

    If the request was a BECOME_SUBSCRIBER, `distributor` is empty, and the value stands for all
    entitlements at the provider.
    """

    provider: str
    distributor: str = ""
    provider_service_id: str = ""


class UnsettledAction(Value, frozen=True, kw_only=True):
    """An action that is not settled.

    `whole_activation`, `whole_deactivation`: providers that get one request for the whole
    subscription. `ineffective`: providers of the subscription that were not effective when the
    action was performed; `linked_then`: the providers of `ineffective` that the action linked.
    `automatic` is True for an automatic end. An automatic end that was taken back does not become
    due again. `taken_back`: the parts of the action that were taken back; the list never becomes
    shorter. `undone` is True if the whole action was taken back. `scheduled` is True if the service
    performed the action at the time for which a caller had scheduled it. `next_index`: the first
    free index in the action's unit. `requested`: the entitlements for which the action ever had a
    request.
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

    A later rejection replaces the error only if the reason of the former error is
    CHANGED_BY_ROLLBACK.
    """
    former = performed.error
    if former is not None and former.reason is not Reason.CHANGED_BY_ROLLBACK:
        return performed
    if former is not None and error.reason is Reason.CHANGED_BY_ROLLBACK:
        return performed
    return replace(performed, error=error)
