"""Decodes the definitions of reset runs."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from generic_provider.v1 import reset_service_pb2 as api

from ..commands.reset_run_times import next_time
from ..domain.refusals import InvalidField
from ..domain.resets.records import ResetDefinition
from ..domain.subscription.differences import DifferenceKind
from ..domain.values import Instant
from .checks import NAME, Checks

Optional = Literal["first", "max_switch_off_percent", "subscriptions_per_second"]
MOST_NAMES, MOST_SUBSCRIPTIONS, MOST_CODES = 100, 10_000, 1_000
MOST_NUMBER = 2**32 - 1
MOST_BYTES = 900 * 1024
"""The greatest size in bytes of a definition. Some responses contain the definition twice, and must
still fit into one message.
"""
CRON_FIELDS = 5
EVERY_MINUTE = "* * * * *"
OF_ONE_MACHINE = ("localtime", "posixrules", "posix/", "right/", "Factory")
"""The beginnings of names that are refused, although many machines have files with such names in
the folder of the time zones. These files differ between machines, or count leap seconds.
"""


def definition_of(checks: Checks, message: api.ResetRunDefinition, at: str) -> ResetDefinition:
    """Returns the definition in the message.

    `at`: the field of the request that contains the definition.
    """
    names, optional = partial(_names, checks, message, at), partial(_optional, checks, message, at)
    kinds = checks.enums(f"{at}.difference_kinds", message.difference_kinds, DifferenceKind)
    definition = ResetDefinition(
        name=checks.text(f"{at}.name", message.name, most=NAME, required=True),
        provider=checks.code(f"{at}.provider", message.provider),
        created_from=checks.instant(f"{at}.created_from", message),
        created_to=checks.instant(f"{at}.created_to", message),
        subscription_types=names("subscription_types", MOST_NAMES),
        subscriptions=names("subscriptions", MOST_SUBSCRIPTIONS),
        difference_kinds=kinds,
        services=names("services", MOST_CODES),
        distributors=names("distributors", MOST_CODES),
        error_codes=names("error_codes", MOST_NAMES),
        first=optional("first", least=1, most=MOST_NUMBER),
        full=message.full,
        recreate=message.recreate,
        platform_restored_to=checks.instant(f"{at}.platform_restored_to", message),
        max_switch_off_percent=optional("max_switch_off_percent", least=0, most=100),
        subscriptions_per_second=optional("subscriptions_per_second", least=1, most=MOST_NUMBER),
        run_at=checks.instant(f"{at}.run_at", message),
        cron=checks.text(f"{at}.cron", message.cron, most=NAME),
        time_zone=checks.text(f"{at}.time_zone", message.time_zone) or "UTC",
    )
    if (size := message.ByteSize()) > MOST_BYTES:
        why = f"are too long: the definition has {size} bytes, at most {MOST_BYTES} are allowed"
        checks.wrong(f"{at}.subscriptions", why)
    _check_times(checks, definition, at)
    _check_schedule(checks, message, definition, at)
    return definition


def _names(
    checks: Checks, message: api.ResetRunDefinition, at: str, field: str, most: int
) -> tuple[str, ...]:
    values: Any = getattr(message, field)
    checks.count(f"{at}.{field}", values, most=most)
    return checks.each(f"{at}.{field}", values[:most], Checks.code)


def _optional(
    checks: Checks,
    message: api.ResetRunDefinition,
    at: str,
    field: Optional,
    *,
    least: int,
    most: int,
) -> Any:
    if not message.HasField(field):
        return None
    value = getattr(message, field)
    if not least <= value <= most:
        checks.wrong(f"{at}.{field}", f"is {value}, allowed is {least} to {most}")
    return value


def _check_times(checks: Checks, definition: ResetDefinition, at: str) -> None:
    start, end = definition.created_from, definition.created_to
    if definition.platform_restored_to is not None and (definition.full or definition.recreate):
        checks.wrong(f"{at}.platform_restored_to", "is not allowed together with full or recreate")
    if start is not None and end is not None and start >= end:
        checks.wrong(f"{at}.created_to", "is not after created_from")


def _check_schedule(
    checks: Checks, message: api.ResetRunDefinition, definition: ResetDefinition, at: str
) -> None:
    cron = definition.cron or EVERY_MINUTE
    if message.WhichOneof("schedule") == "cron" and not definition.cron:
        checks.wrong(f"{at}.cron", "is required")
    elif len(cron.split()) > CRON_FIELDS:
        # In an expression of six fields, the first field would be the seconds.
        checks.wrong(f"{at}.cron", "has more than five fields")
        cron = EVERY_MINUTE
    if definition.time_zone.startswith(OF_ONE_MACHINE):
        checks.wrong(f"{at}.time_zone", f"{definition.time_zone!r} is not the name of a time zone")
    try:
        next_time(cron, definition.time_zone, after=Instant(0))
    except InvalidField as wrong:
        for field, why in wrong.violations:
            checks.wrong(f"{at}.{field}", why)
