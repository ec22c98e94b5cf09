"""Contains the queries of the clock's duties. The cost of a query depends on the due work, not on
the number of stored rows.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from ...domain.lane import GRACE, ended_delays
from ...domain.values import Instant
from ..database import duty_statements as sql
from .base import BaseQueries

MOST_DUE = 200


class DutyQueries(BaseQueries):
    """Queries of the clock's duties. The queries leave out subscriptions that are set aside from
    the duty.
    """

    def now(self) -> Instant:
        return self._memory.now()

    def steady(self) -> Instant:
        return self._memory.steady()

    def leases_ran_out(self, server: str, *, since: Instant) -> bool:
        """Tells whether there are leases that ran out after `since` and that the server
        must end.
        """
        times = since - GRACE, server, self._memory.steady(), self._memory.now() - GRACE
        return bool(self._due(sql.LEASES_RAN_OUT, *times, duty="leases", most=1))

    def delays_are_over(self) -> bool:
        """Tells whether there is a lane whose delay is over."""
        times = ended_delays(self.now())
        return any(self._select(sql.DELAYS_ARE_OVER, *each) for each in times)

    def providers_with_overdue(self) -> list[str]:
        """Returns the providers with requests that have waited longer than the provider allows."""
        return [code for code in self._memory.providers.catalogues if self._has_overdue(code)]

    def subscriptions_due(self) -> dict[str, Instant]:
        """Returns the subscriptions for which an automatic end or the end of a usage record is due,
        each with the time of the first end, in the order of these times.
        """
        return self._due_times(sql.SUBSCRIPTIONS_DUE, duty="ends")

    def subscriptions_with_scheduled(self) -> dict[str, Instant]:
        """Returns the subscriptions with a scheduled action that is due, each with the due time of
        the first of these actions, in the order of these times.
        """
        return self._due_times(sql.SCHEDULED_ARE_DUE, duty="scheduled")

    def events_are_old(self, *, before: Instant) -> bool:
        """Tells whether the first rows of events are older than `before`."""
        found = self._select(sql.OLD_EVENT, before, before, self.now())
        return any(row.number is not None for row in found)

    def audit_is_old(self, *, before: Instant) -> bool:
        """Tells whether the oldest entry of the audit trail is older than `before`."""
        return bool(self._select(sql.AUDIT_IS_OLD, before))

    def archive_waits_for(self, server: str) -> bool:
        """Tells whether the server process has to make an archive: no other living process works on
        the oldest archive that has to be made.
        """
        found = self._select(sql.ARCHIVE_TO_MAKE)
        return any(row.living is None or row.worker == server for row in found)

    def _has_overdue(self, provider: str) -> bool:
        settings = self._memory.providers.catalogues[provider].provider.delivery_settings
        before = self.now() - settings.pending_window
        return bool(self._due(sql.REQUESTS_OVERDUE, provider, before, duty="expiry", most=1))

    def _due_times(self, statement: str, *, duty: str) -> dict[str, Instant]:
        """Returns MOST_DUE subscriptions, or all due subscriptions if fewer are due. Several rows
        may belong to the same subscription, so the function may have to read more than MOST_DUE
        rows to find MOST_DUE subscriptions.
        """
        now, most = self.now(), MOST_DUE
        while True:
            rows = self._due(statement, now, duty=duty, most=most)
            times = dict[str, Instant]()
            for subscription, time in rows:
                times.setdefault(subscription, Instant(time))
            if len(times) >= MOST_DUE or len(rows) < most:
                return dict(islice(times.items(), MOST_DUE))
            most *= 2

    def _due(self, statement: str, *parameters: Any, duty: str, most: int) -> list[Any]:
        """Returns at most `most` rows, without the rows of subscriptions that are set aside from
        the duty.
        """
        aside = sorted(self._memory.set_asides.subscriptions(duty, now=self.now()))
        marks = ",".join(["''", *"?" * len(aside)])
        return self._select(statement.format(marks), *parameters, *aside, most)
