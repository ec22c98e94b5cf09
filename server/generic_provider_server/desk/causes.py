"""Names the possible causes of differences between the CRM and a platform."""

from __future__ import annotations

from collections.abc import Iterator

from generic_provider import AuditEntry, DifferenceKind, SubscriptionAction

from .facts import Platform, is_later
from .output import moment


def cause(platform: Platform) -> str:
    """Returns a text with the causes that are possible according to the facts in `platform`."""
    found = [*_possible(platform)]
    if not found and platform.link.HasField("last_error"):
        found = [f"{platform.link.provider} refused {platform.link.last_error.request}"]
    return f"perhaps {' or '.join(found)}" if found else "the cause is not known"


def _possible(platform: Platform) -> Iterator[str]:
    code, off = platform.link.provider, platform.switched_off
    if off and any(_is_within(each, off, platform.switched_on) for each in platform.actions):
        when = moment(off, "time")
        yield f"{code} was made not effective at {when}, and later changes in the CRM were not sent"
    if platform.expired:
        number, when = platform.expired.number, moment(platform.expired, "settle_time")
        yield f"{number} expired at {when}, because no adapter answered it in time"
    if any(each.kind == DifferenceKind.UNCERTAIN for each in platform.link.differences):
        yield _uncertain(platform)
    if platform.report:
        yield f"the report of {code} at {moment(platform.report, 'time')} showed other contents"


def _is_within(action: SubscriptionAction, off: AuditEntry, on: AuditEntry | None) -> bool:
    """Tells whether the action was executed between the calls `off` and `on`, or after `off` if
    `on` is None.
    """
    when = action.execute_time if action.HasField("execute_time") else action.create_time
    return is_later(when, off.time) and not (on and is_later(when, on.time))


def _uncertain(platform: Platform) -> str:
    taken_over = {
        existing.provider
        for action in platform.actions
        for existing in action.performed.become_subscriber.existing
    }
    if platform.link.provider in taken_over:
        return "the platform had this account already, and nobody has reported its contents"
    return "a request ended without an answer, so nobody knows whether the platform applied it"
