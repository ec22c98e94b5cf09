"""Decodes platform reports. A malformed entry does not prevent the other entries from being
applied.
"""

from __future__ import annotations

from generic_provider.v1 import provisioning_service_pb2 as api

from ..commands.report import Outcome
from ..domain.platform.reported import Reported, ReportedEntitlement, ReportedItem
from ..domain.subscription.report import CLOCKS
from ..domain.values import Instant
from ..services.reporting import Example, Reporting, Subscriber, Terms
from ..store.archives.lines import moment
from . import encode_parts
from .checks import CODE, TEXT, Checks
from .responses import printable

MOST_SUBSCRIBERS = 1_000
MOST_ITEMS = 1_000
EVERYTHING = 100.0
MOST_ENTITLEMENTS = 2_000


def terms_of(request: api.ReportPlatformStateRequest, *, now: Instant) -> Terms:
    """Returns the settings of the report from its first message. Raises InvalidField if a setting
    is wrong. `now`: the time of the database's clock.
    """
    checks = Checks()
    provider = checks.code("provider", request.provider)
    observed_time = checks.instant("observed_time", request, required=True)
    percent = request.max_missing_percent if request.HasField("max_missing_percent") else 5.0
    if not 0 <= percent <= EVERYTHING:
        checks.wrong("max_missing_percent", f"is {percent:g}, allowed is 0 to 100")
    if (observed_time or 0) > now + CLOCKS:
        clock = f"the server's clock, which shows {moment(now):%Y-%m-%d %H:%M:%SZ}"
        checks.wrong("observed_time", f"is more than 5 minutes ahead of {clock}")
    checks.done()
    return Terms(
        provider=provider,
        observed_time=observed_time or Instant(0),
        complete=request.complete,
        max_missing_percent=percent,
    )


def subscribers_of(request: api.ReportPlatformStateRequest) -> list[Subscriber]:
    checks = Checks()
    named = request.platform_subscriptions
    checks.count("platform_subscriptions", named, most=MOST_SUBSCRIBERS)
    checks.done()
    return [_subscriber(message) for message in named]


def _subscriber(message: api.PlatformSubscription) -> Subscriber:
    checks = Checks()
    if not (message.account_number or message.subscription):
        checks.wrong("subscription", "is required unless account_number is given")
    account = checks.text("account_number", printable(message.account_number))
    number = checks.text("subscription", message.subscription)
    malformed = frozenset([field for field, _ in checks.violations])
    held = None if message.missing else _held(checks, message)
    wrong = "; ".join(f"{field} {why}" for field, why in checks.violations)[:TEXT]
    return Subscriber(
        account_number=account[:CODE],
        subscription=number[:CODE],
        held=held,
        wrong=wrong,
        malformed=malformed,
    )


def _held(checks: Checks, message: api.PlatformSubscription) -> Reported:
    checks.count("items", message.items, most=MOST_ITEMS)
    checks.count("entitlements", message.entitlements, most=MOST_ENTITLEMENTS)
    return Reported(
        items=checks.each("items", message.items, _item),
        entitlements=checks.each("entitlements", message.entitlements, _entitlement),
    )


def _item(checks: Checks, at: str, message: api.PlatformItem) -> ReportedItem:
    return ReportedItem(
        serial_number=checks.code(f"{at}.serial_number", message.serial_number),
        goods_type=checks.text(f"{at}.goods_type", message.goods_type),
        provider_goods_type=checks.text(f"{at}.provider_goods_type", message.provider_goods_type),
        distributor=checks.text(f"{at}.distributor", message.distributor),
    )


def _entitlement(checks: Checks, at: str, message: api.PlatformEntitlement) -> ReportedEntitlement:
    checks.count(f"{at}.serial_numbers", message.serial_numbers, most=MOST_ITEMS)
    return ReportedEntitlement(
        provider_service_id=checks.code(f"{at}.provider_service_id", message.provider_service_id),
        distributor=checks.text(f"{at}.distributor", message.distributor),
        serial_numbers=checks.each(f"{at}.serial_numbers", message.serial_numbers, Checks.code),
        term_end=checks.instant(f"{at}.term_end", message),
    )


def summary(reporting: Reporting, *, out_of_sync: int) -> api.ReportPlatformStateResponse:
    outcomes = reporting.outcomes
    return api.ReportPlatformStateResponse(
        received=reporting.received,
        unchanged=outcomes[Outcome.UNCHANGED],
        changed=outcomes[Outcome.CHANGED],
        skipped=outcomes[Outcome.SKIPPED],
        missing=outcomes[Outcome.MISSING],
        unknown_subscriptions=outcomes[Outcome.UNKNOWN],
        unknown_ids=reporting.unknown_ids,
        examples=[_example(each) for each in reporting.examples],
        out_of_sync=out_of_sync,
        skipped_pending=reporting.skipped_pending,
        unnamed_skipped=reporting.unnamed_skipped,
        repeat_after=encode_parts.timestamp(reporting.repeat_after)
        if reporting.repeat_after
        else None,
    )


def _example(example: Example) -> api.ReportPlatformStateResponse.Example:
    shown = api.ReportPlatformStateResponse.Example(why=example.why)
    if example.id:
        shown.id, shown.of_subscription = example.id, example.subscription
    elif example.subscription:
        shown.subscription = example.subscription
    else:
        shown.account_number = example.account_number
    return shown
