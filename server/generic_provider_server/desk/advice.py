"""Advises the support desk what to do for a subscription at one provider."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import timedelta

from generic_provider import (
    ActionKind,
    ConnectedAdapter,
    Provider,
    ProviderLink,
    ProviderState,
    ProvisioningRequest,
    SubscriptionAction,
    SyncState,
    WaitingFor,
)

from .output import moment
from .wording import error

MANY_ATTEMPTS = 3
PLACE = ("city", "postal-code", "country")
TIME = "%Y-%m-%d %H:%M:%SZ"


def next_step(
    link: ProviderLink,
    *,
    pending: Sequence[ProvisioningRequest],
    adapters: Sequence[ConnectedAdapter],
    provider: Provider,
    subscription: str,
    not_sent: Sequence[str],
    refused: SubscriptionAction | None,
) -> str:
    """Returns the advice in one or two sentences. `pending` must be in order, the oldest request
    first.

    `refused`: the newest action, if this provider's platform refused it.
    """
    reset = f"generic-provider reset subscription {subscription} --provider {link.provider}"
    if provider.state != ProviderState.EFFECTIVE and (
        pending or link.sync_state == SyncState.OUT_OF_SYNC
    ):
        then = "" if pending else f"; after that: {reset}"
        switch = f"generic-provider provider set-state {link.provider} effective"
        return f"{link.provider} is not effective and gets nothing: {switch}{then}"
    if pending:
        return _until_settled(pending[0], adapters, provider=provider)
    match link.sync_state:
        case SyncState.IN_SYNC if not_sent:
            return f"install what is missing: generic-provider action add-items {subscription}"
        case SyncState.IN_SYNC if refused:
            return f"mend the cause of the refusal, then {_again(refused)}"
        case SyncState.IN_SYNC:
            return (
                "nothing: the platform holds what the CRM wants; if the customer sees otherwise, "
                f"send everything again: {reset} --full"
            )
        case SyncState.OUT_OF_SYNC:
            send = f"send what is missing (--preview shows it): {reset}"
            if link.repair_rejected:
                return f"mend the cause of the rejection, then {send}{_then(refused)}"
            return (
                f"{link.provider} was not effective when this was changed, or somebody else "
                f"changed the platform, or its account was taken over; {send}"
            )
        case _:
            return "repeat this command: the subscription is just changing"


def _then(refused: SubscriptionAction | None) -> str:
    if refused is None:
        return ""
    name = ActionKind.name_of(refused.kind)
    return f"; it does not repeat {name}, which was taken back: then {_again(refused)}"


def _again(refused: SubscriptionAction) -> str:
    """Says how to perform the action again. If everything that it asked for fits into one command,
    names the command.
    """
    if refused.kind != ActionKind.CHANGE_LOCATION:
        return f"perform {ActionKind.name_of(refused.kind)} again ({refused.id})"
    address = refused.performed.change_location.address
    given = [("address-line", line) for line in address.lines]
    given += [(name, getattr(address, name.replace("-", "_"))) for name in PLACE]
    given += [("address-parameter", f"{key}={value}") for key, value in address.parameters.items()]
    options = " ".join([f"--{name} {shlex.quote(value)}" for name, value in given if value])
    command = f"generic-provider action change-location {refused.subscription} --whole {options}"
    return f"perform {refused.id} again: {command}"


def _until_settled(
    first: ProvisioningRequest, adapters: Sequence[ConnectedAdapter], *, provider: Provider
) -> str:
    number = first.number
    if first.waiting_for == WaitingFor.ANSWER:
        return _until_answered(first, most=provider.delivery_settings.max_lease_time.ToTimedelta())
    if not adapters:
        return (
            f"no adapter of {provider.code} is connected: start one, or, if one runs, see its log: "
            "its platform may be down"
        )
    if first.waiting_for == WaitingFor.RETRY:
        said = f" ({error(first)})" if error(first) else ""
        return (
            f"wait for the next attempt at {moment(first, 'next_delivery_time')}{said}; "
            f"if it can never succeed: generic-provider request cancel {number} --reason …"
        )
    if all(each.in_flight >= each.max_in_flight for each in adapters):
        return f"wait: all adapters of {provider.code} are busy"
    return f"wait: an adapter takes {number} next; if it does not, check the log of the adapter"


def _until_answered(request: ProvisioningRequest, *, most: timedelta) -> str:
    """Says what to do for a request that an adapter works on. `most`: the longest time that a lease
    can last.
    """
    number, since = request.number, request.last_delivery_time.ToDatetime()
    said = (
        f"wait: {request.last_adapter} has had {number} since {since:{TIME}}; if it does not "
        f"answer, the request is handed over again when its lease ends, at {since + most:{TIME}} "
        "at the latest"
    )
    if request.delivery_attempts < MANY_ATTEMPTS:
        return said
    cancel = f"generic-provider request cancel {number} --end-lease --reason …"
    return f"{said}; if it can never succeed: {cancel}"
