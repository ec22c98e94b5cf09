"""Advises the support desk on the next step for a subscription at one provider."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from generic_provider import (
    ActionKind,
    ErrorReason,
    Provider,
    ProviderState,
    ProvisioningRequest,
    SubscriptionAction,
    SyncState,
    WaitingFor,
)

from .causes import cause
from .command_lines import advised
from .facts import Platform
from .output import moment, time_until
from .refused import names_past_end
from .repeatable import is_allowed, parts_there
from .services_off import how_to_switch_on
from .wording import trouble

MANY_ATTEMPTS = 3
TIME = "%Y-%m-%d %H:%M:%SZ"

Again = Callable[[SubscriptionAction], Sequence[str]]
"""A function that returns the words of the command line that performs an action again. The function
returns no words if no command line can perform exactly this action.
"""


def next_step(platform: Platform, again: Again) -> str:
    """Returns the advice in one or two sentences."""
    provider, state = platform.provider, platform.link.sync_state
    if provider is None:
        return _for_the_crm(platform, again)
    if provider.state != ProviderState.EFFECTIVE and (
        platform.pending or state == SyncState.OUT_OF_SYNC
    ):
        return _not_effective(platform)
    if platform.pending:
        return _until_settled(platform, provider=provider)
    if state == SyncState.IN_SYNC:
        return _asked(platform, again) or _in_sync(platform, provider)
    if state == SyncState.OUT_OF_SYNC:
        return _out_of_sync(platform, again)
    return "repeat this command: the subscription is just changing"


def _for_the_crm(platform: Platform, again: Again) -> str:
    """Returns the advice for a caller who may not read providers and requests."""
    if platform.link.sync_state == SyncState.IN_SYNC:
        return _asked(platform, again) or _nothing(platform)
    who = "ask somebody with the role support, who may see more"
    return advised(who, "subscription", "explain", platform.subscription.number)


def _in_sync(platform: Platform, provider: Provider) -> str:
    if provider.state != ProviderState.EFFECTIVE:
        return f"{_nothing(platform)}; {provider.code} is not effective, so nothing can be sent"
    again_if = "if the customer still has a fault, send everything again"
    return f"{_nothing(platform)}; {_reset(platform, again_if, '--full')}"


def _nothing(platform: Platform, why: str = "the platform holds what the CRM wants") -> str:
    switch_on = how_to_switch_on(platform.subscription, provider=platform.link.provider)
    return "; ".join(filter(None, (f"nothing: {why}", switch_on)))


def _not_effective(platform: Platform) -> str:
    off, provider = platform.switched_off, platform.link.provider
    since = f" since {moment(off, 'time')} (by {off.performed_by or off.caller})" if off else ""
    waiting = "pending requests wait, " if platform.pending else ""
    kept = (
        f"{provider} is not effective{since}; {waiting}changes are kept and are sent by a reset "
        "once it is effective again; to make it effective"
    )
    return advised(kept, "provider", "set-state", provider, "effective")


def _asked(platform: Platform, again: Again) -> str:
    """Returns the advice for the CRM: to perform an action, or to wait for the beginning of a usage
    record. Returns an empty text if there is no advice.
    """
    if platform.not_sent:
        items = {
            f"--item={each.provider}:{each.distributor}:{goods_type}:SERIAL"
            for each in platform.not_sent
            for goods_type in each.missing_goods_types
        }
        add = "action", "add-items", platform.subscription.number, *sorted(items)
        return advised("install what is missing, with its serial number", *add)
    if platform.not_repeated:
        then = _again(platform, _first_to_repeat(platform), again)
        return f"mend the cause of the refusal{then}"
    for usage in platform.coming:
        what = f"{usage.service} {usage.reference} begins at {moment(usage, 'start_time')}"
        return _nothing(platform, f"{what}, in {time_until(usage, 'start_time')}")
    return ""


def _out_of_sync(platform: Platform, again: Again) -> str:
    send = _reset(platform, "send what is missing (--preview shows it)") + _give_back(platform)
    if not platform.link.repair_rejected:
        return f"{cause(platform)}; {send}"
    said = f"mend the cause of the rejection, then {send}"
    if not platform.refused:
        lost = _reset(platform, "if the platform has lost the account", "--recreate")
        return f"{said}; {lost}"
    refused = _first_to_repeat(platform)
    name, then = ActionKind.name_of(refused.kind), _again(platform, refused, again)
    return f"{said}; the reset does not repeat {name}, which was taken back{then}"


def _give_back(platform: Platform) -> str:
    """Advises to send everything of the subscriptions that have an item in the CRM which the reset
    removes, because a platform that knows the item only once may then take it from them.
    """
    texts = []
    for owner in sorted(set(platform.owners.values())):
        items = " and ".join(sorted(i for i, each in platform.owners.items() if each == owner))
        what = (
            f"; when the platform has answered, send everything of {owner} again, because the "
            f"platform may have taken {items} from it"
        )
        only = "--provider", platform.link.provider, "--full"
        texts.append(advised(what, "reset", "subscription", owner, *only))
    return "".join(texts)


def _first_to_repeat(platform: Platform) -> SubscriptionAction:
    """Returns the newest refused action that the platform itself has rejected. An action that
    depended on a rejected action is usually not valid before that action is repeated, so such an
    action is returned only if there is no other.
    """
    depends = ErrorReason.DEPENDS_ON_REJECTED
    return min(platform.not_repeated, key=lambda each: each.error.reason == depends)


def _again(platform: Platform, refused: SubscriptionAction, again: Again) -> str:
    """Returns the advice to perform a refused action again, as the end of a sentence. If the
    service would refuse the action, because it is a second BECOME_SUBSCRIBER or because the state
    of the subscription does not allow it, the advice is to switch on what is off.

    The advice contains no command line if the service would refuse exactly this action, because
    the subscription no longer has one of its parts, or because one of its ends has passed.
    """
    present = platform.subscription
    if not is_allowed(refused, present):
        switch_on = how_to_switch_on(present, provider=platform.link.provider)
        return f"; {switch_on or f'then order the refused part of {refused.id} by another action'}"
    what = f", then perform {ActionKind.name_of(refused.kind)} again ({refused.id})"
    exactly = all(parts_there(refused, present)) and not names_past_end(refused.performed)
    words = again(refused) if exactly else ()
    return advised(what, *words) if words else what


def _reset(platform: Platform, purpose: str, *options: str) -> str:
    only = "--provider", platform.link.provider
    return advised(purpose, "reset", "subscription", platform.subscription.number, *only, *options)


def _until_settled(platform: Platform, *, provider: Provider) -> str:
    first, adapters = platform.pending[0], platform.adapters
    number = first.number
    if first.waiting_for == WaitingFor.ANSWER:
        return _until_answered(first, most=provider.delivery_settings.max_lease_time.ToTimedelta())
    if not adapters:
        return (
            f"no adapter of {provider.code} is connected: start one, or, if one runs, see its log: "
            "its platform may be down (adapters that poll are not shown)"
        )
    if first.waiting_for == WaitingFor.RETRY:
        said = f" ({trouble(first)})" if trouble(first) else ""
        return (
            f"wait for the next attempt at {moment(first, 'next_delivery_time')}{said}; "
            f"{_cancel(number)}"
        )
    listed = "adapters", "--provider", provider.code
    if all(each.in_flight >= each.max_in_flight for each in adapters):
        return advised(f"wait: all adapters of {provider.code} are busy", *listed)
    what = f"wait: an adapter takes {number} next; if it does not, check the log of the adapter"
    return advised(what, *listed)


def _until_answered(request: ProvisioningRequest, *, most: timedelta) -> str:
    """Returns the advice for a request on which an adapter works. `most`: the longest possible
    duration of a lease.
    """
    number, since = request.number, request.last_delivery_time.ToDatetime()
    said = (
        f"wait: {request.last_adapter} has had {number} since {since:{TIME}}; if the adapter "
        "does not answer, the request is handed over again when its lease ends, at "
        f"{since + most:{TIME}} at the latest"
    )
    if request.delivery_attempts < MANY_ATTEMPTS:
        return said
    return f"{said}; {_cancel(number, '--end-lease')}"


def _cancel(request: str, *options: str) -> str:
    words = "request", "cancel", request, *options, "--reason", "WHY"
    return advised("if the request can never succeed", *words)
