"""Computes when a recurring reset run is due."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from ..domain.refusals import InvalidField
from ..domain.values import SECOND, Instant

DAY_FIELD, MONTH_FIELD = 2, 3
"""The places of these fields in an expression of five fields."""


def next_time(cron: str, time_zone: str, *, after: Instant) -> Instant:
    """Returns the first time after `after` at which the run is due.

    Raises InvalidField if the expression or the name of the time zone is wrong.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidField(("time_zone", f"{time_zone!r} is no name of a time zone")) from None
    start = datetime.fromtimestamp(after / SECOND, UTC).astimezone(zone)
    try:
        found = (int(due.timestamp()) * SECOND for due in CronSim(cron, start))
        # when clocks are set back, CronSim begins with times that have passed
        return Instant(next(due for due in found if due > after))
    except CronSimError as error:
        if _never_due(cron, start):
            why = "is never due: no month that it names has a day that it names"
            raise InvalidField(("cron", why)) from None
        raise InvalidField(("cron", f"is not an expression of five fields: {error}")) from None
    except StopIteration:
        raise InvalidField(("cron", "is not due within the next 50 years")) from None


def _never_due(cron: str, start: datetime) -> bool:
    """Tells whether CronSim has refused the expression only because its months do not have its
    days. If so, CronSim takes the same expression for every day, and for every month.
    """
    fields = cron.split()
    try:
        for place in (DAY_FIELD, MONTH_FIELD):
            CronSim(" ".join([*fields[:place], "*", *fields[place + 1 :]]), start)
    except CronSimError:
        return False
    return True
