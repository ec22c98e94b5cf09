"""Computes when a recurring reset run is due."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from ..domain.refusals import InvalidField
from ..domain.values import SECOND, Instant


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
        raise InvalidField(("cron", f"is not an expression of five fields: {error}")) from None
    except StopIteration:
        raise InvalidField(("cron", "is not due within the next 50 years")) from None
