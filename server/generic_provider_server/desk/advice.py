"""Advises the support desk what to do for a subscription at one provider."""

from __future__ import annotations

from collections.abc import Sequence

from generic_provider import (
    ActionKind,
    ConnectedAdapter,
    ProviderLink,
    ProvisioningRequest,
    SubscriptionAction,
    SyncState,
    WaitingFor,
)

from .output import moment
from .wording import error


def next_step(
    link: ProviderLink,
    *,
    pending: Sequence[ProvisioningRequest],
    adapters: Sequence[ConnectedAdapter],
    effective: bool,
    subscription: str,
    not_sent: Sequence[str],
    refused: SubscriptionAction | None,
) -> str:
    """Returns one or two sentences. `pending` must be in order, the oldest first.

    `refused`: the newest action, if this provider's platform refused it.
    """
    reset = f"generic-provider reset subscription {subscription} --provider {link.provider}"
    if not effective and (pending or link.sync_state == SyncState.OUT_OF_SYNC):
        then = "" if pending else f"; after that: {reset}"
        switch = f"generic-provider provider set-state {link.provider} effective"
        return f"{link.provider} is not effective and gets nothing: {switch}{then}"
    if pending:
        return _until_settled(pending[0], adapters)
    match link.sync_state:
        case SyncState.IN_SYNC if not_sent:
            return f"install what is missing: generic-provider action add-items {subscription}"
        case SyncState.IN_SYNC if refused:
            name = ActionKind.name_of(refused.kind)
            return f"mend the cause of the refusal, then perform {name} again ({refused.id})"
        case SyncState.IN_SYNC:
            return (
                "nothing: the platform holds what the CRM wants; if the customer sees otherwise, "
                f"send everything again: {reset} --full"
            )
        case SyncState.OUT_OF_SYNC:
            send = f"send what is missing (--preview shows it): {reset}"
            if link.repair_rejected:
                return f"mend the cause of the rejection, then {send}"
            return (
                f"{link.provider} was not effective when this was changed, or somebody changed "
                f"the platform itself; {send}"
            )
        case _:
            return "repeat this command: the subscription is just changing"


def _until_settled(first: ProvisioningRequest, adapters: Sequence[ConnectedAdapter]) -> str:
    number = first.number
    if first.waiting_for == WaitingFor.ANSWER:
        since = moment(first, "last_delivery_time")
        return (
            f"wait: {first.last_adapter} has had {number} since {since}; if it does not answer, "
            "the request is handed over again when its lease ends"
        )
    if not adapters:
        return f"start an adapter of {first.provider}: none is connected"
    if first.waiting_for == WaitingFor.RETRY:
        said = f" ({error(first)})" if error(first) else ""
        return (
            f"wait for the next attempt at {moment(first, 'next_delivery_time')}{said}; "
            f"if it can never succeed: generic-provider request cancel {number} --reason …"
        )
    if all(each.in_flight >= each.max_in_flight for each in adapters):
        return f"wait: all adapters of {first.provider} are busy"
    return f"wait: an adapter takes {number} next; if it does not, check the log of the adapter"
