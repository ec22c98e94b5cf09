"""Changes an aggregate after an answer to a request, or after the end of a request without an
answer.

Each function is pure.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from ..actions import AddUsage, CancelUsage
from ..platform.doubt import doubt, doubt_only
from ..platform.image import unexpired
from ..platform.named_elements import Name
from ..platform.request import Request
from ..platform.request_effects import effect
from ..refusals import Reason
from ..values import (
    RequestState,
    RequestType,
)
from .aggregate import Aggregate, LastError
from .correct import reconcile
from .due import without_usage
from .ledger import Ledger
from .pending_requests import Pending
from .rollback import refuse_correction, roll_back
from .transition import Circumstances, Transition
from .unsettled_actions import ActionError, UnsettledAction

UNCERTAIN_REASONS = frozenset({Reason.DELIVERY_ATTEMPTS_EXHAUSTED, Reason.CANCELLED_BY_OPERATOR})
"""Reasons for which the service rejects a request although the platform has not answered."""


def accept(
    aggregate: Aggregate,
    number: int,
    *,
    circumstances: Circumstances,
    account_number: str = "",
    reference_number: str = "",
    said: str = "",
) -> Transition:
    """Completes the request, because the platform has applied it.

    `said`: the person who answered in the name of the platform, and the reason; empty if an adapter
    answered.
    """
    provider, pending = _find(aggregate, number)
    ledger = Ledger(aggregate, circumstances)
    link = ledger.links[provider]
    if pending.request.type is RequestType.BECOME_SUBSCRIBER:
        account = account_number or link.account_number
        ledger.links[provider] = replace(link, account_number=account, taken_over=False)
    if pending is link.queue[0]:
        ledger.as_expected.add(provider)
    ledger.finish(
        provider,
        pending,
        RequestState.COMPLETED,
        delivered=True,
        confirmed=effect(link.confirmed, pending.request),
        error_description=said,
        reference_number=reference_number,
    )
    return ledger.transition()


def reject(
    aggregate: Aggregate,
    number: int,
    *,
    circumstances: Circumstances,
    reason: Reason = Reason.REJECTED_BY_PLATFORM,
    error_code: str = "",
    error_description: str = "",
    reference_number: str = "",
) -> Transition:
    """Rejects the request. If the request was handed over and the platform has not answered, the
    elements that the request names become uncertain.
    """
    provider, pending = _find(aggregate, number)
    ledger = Ledger(aggregate, circumstances)
    link = ledger.links[provider]
    last_error = LastError(
        request=number,
        error_code=error_code,
        error_description=error_description,
        time=circumstances.now,
    )
    ledger.links[provider] = replace(link, last_error=last_error)
    uncertain = pending.touched and reason in UNCERTAIN_REASONS
    corrects = _corrects(ledger, pending)
    ledger.finish(
        provider,
        pending,
        RequestState.REJECTED,
        confirmed=doubt(link.confirmed, pending.request) if uncertain else None,
        error_code=error_code,
        error_description=error_description,
        reference_number=reference_number,
        correction=corrects,
        delivered=reason not in UNCERTAIN_REASONS,
    )
    handle = refuse_correction if corrects else roll_back
    handle(ledger, provider=provider, rejected=pending, error=_error(reason, provider, last_error))
    return ledger.transition()


def _corrects(ledger: Ledger, pending: Pending) -> bool:
    """Tells whether the rejection of the request takes nothing back in the CRM.

    Nothing is taken back if no action created the request. A usage record is taken back only if the
    action is Add Usage or Cancel Usage and named this record: any other record was bought before
    the action.
    """
    usage = pending.request.usage
    match ledger.performed[pending.action] if pending.action else None:
        case None:
            return True
        case UnsettledAction(action=AddUsage(reference=own) | CancelUsage(usage=own)):
            return usage is not None and usage.reference != own
        case _:
            return usage is not None


def _error(reason: Reason, provider: str, last: LastError) -> ActionError:
    return ActionError(
        reason=reason,
        request=last.request,
        provider=provider,
        error_code=last.error_code,
        error_description=last.error_description,
    )


def expire(aggregate: Aggregate, provider: str, *, circumstances: Circumstances) -> Transition:
    """Expires all pending requests at a provider. The CRM keeps the changes that these requests
    carried.
    """
    ledger = Ledger(aggregate, circumstances)
    for pending in ledger.links[provider].queue:
        ledger.abandon(provider, pending, RequestState.EXPIRED)
    return ledger.transition()


def end_usage(aggregate: Aggregate, *, circumstances: Circumstances) -> Transition:
    """Removes usage records that have ended. Pending requests for these records expire, unless a
    live lease covers them.

    `base` keeps the records while an action is unsettled, so that a replay of Cancel Usage finds
    the records.
    """
    ledger = Ledger(aggregate, circumstances)
    now = circumstances.now
    for provider, link in list(ledger.links.items()):
        leased = ledger.leased(provider)
        for pending in link.queue:
            usage = pending.request.usage
            if usage is not None and usage.end_time <= now and pending.number not in leased:
                ledger.finish(provider, pending, RequestState.EXPIRED)
        confirmed = unexpired(ledger.links[provider].confirmed, now=now)
        ledger.links[provider] = replace(ledger.links[provider], confirmed=confirmed)
    ledger.desired = without_usage(ledger.desired, now=now)
    return ledger.transition()


def touch(
    aggregate: Aggregate, provider: str, *, numbers: AbstractSet[int], circumstances: Circumstances
) -> Transition:
    """Marks the requests with these numbers as `touched`, because their hand-over ended without an
    answer ACCEPTED or REJECTED.
    """
    ledger = Ledger(aggregate, circumstances)
    for pending in ledger.links[provider].queue:
        if pending.number in numbers:
            ledger.put_back(provider, replace(pending, touched=True))
    return ledger.transition()


def count_attempt(
    aggregate: Aggregate,
    number: int,
    *,
    delay: int,
    circumstances: Circumstances,
    error_code: str = "",
    error_description: str = "",
) -> Transition:
    """Counts a failed attempt of the request.

    The request is not handed over again for `delay` microseconds. If the request has reached the
    provider's limit of attempts, the function rejects the request instead.
    """
    provider, pending = _find(aggregate, number)
    tried = replace(
        pending,
        touched=True,
        attempts=pending.attempts + 1,
        hidden_until=circumstances.now + delay,
        error_code=error_code or pending.error_code,
        error_description=error_description or pending.error_description,
    )
    ledger = Ledger(aggregate, circumstances)
    ledger.put_back(provider, tried)
    tried_once_more = ledger.transition()
    most = circumstances.catalogues[provider].provider.delivery_settings.max_delivery_attempts
    if not most or tried.attempts < most:
        return tried_once_more
    return reject(
        tried_once_more.aggregate,
        tried.number,
        circumstances=circumstances,
        reason=Reason.DELIVERY_ATTEMPTS_EXHAUSTED,
        error_code=tried.error_code or Reason.DELIVERY_ATTEMPTS_EXHAUSTED.value,
        error_description=tried.error_description
        or f"no answer after {tried.attempts} delivery attempts",
    )


def accepted_late(
    aggregate: Aggregate,
    provider: str,
    request: Request,
    *,
    state: RequestState,
    names: AbstractSet[Name],
    circumstances: Circumstances,
) -> Transition:
    """Handles a late answer ACCEPTED: the platform was changed at an unknown time.

    `names`: the elements of the request that become uncertain. `state`: the state of the request.
    If the CRM has taken the change back, a new request corrects the platform at once.
    """
    ledger = Ledger(aggregate, circumstances)
    link = ledger.links[provider]
    confirmed = doubt_only(link.confirmed, request, names)
    if confirmed == link.confirmed:
        return Transition(aggregate=aggregate)
    ledger.links[provider] = replace(link, confirmed=confirmed)
    catalogue = ledger.catalogues[provider]
    taken_back = state in (RequestState.CANCELLED, RequestState.REJECTED)
    if taken_back and catalogue.effective:
        held = link.confirmed
        doubted = {name for name in names if doubt_only(held, request, {name}) != held}
        reconcile(ledger, provider, catalogue, names=lambda: doubted)
    return ledger.transition()


def _find(aggregate: Aggregate, number: int) -> tuple[str, Pending]:
    found = aggregate.find(number)
    if found is None:
        raise LookupError(f"request {number} is not pending")
    return found
