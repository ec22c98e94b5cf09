"""Contains the queries of the clock's duties. The cost of a query depends on what is due, not on
the history.
"""

from __future__ import annotations

from typing import Any

from peewee import SQL, Expression

from ...domain.lane import GRACE
from ...domain.values import Instant
from ..database.models import ActionRow, LaneRow, RequestRow, SubscriptionRow
from .base import BaseQueries

MOST_DUE = 200


class DutyQueries(BaseQueries):
    """Queries of the clock's duties. They leave out subscriptions that the duty has set aside."""

    def now(self) -> Instant:
        return self._memory.now()

    def steady(self) -> Instant:
        return self._memory.steady()

    def leases_ran_out(self, server: str, *, since: Instant) -> bool:
        """Tells whether leases ran out after `since` that the server must end."""
        mine = (LaneRow.server == server) & (LaneRow.lease_until <= self._memory.steady())
        nobodys = (LaneRow.server == "") & (LaneRow.lease_until <= self._memory.now() - GRACE)
        query = LaneRow.select(LaneRow.subscription).where(
            SQL("status = 1"),
            LaneRow.lease_until > since - GRACE,
            mine | nobodys,
            *self._not_set_aside(LaneRow.subscription, "leases"),
        )
        return bool(self._rows(query.limit(1)))

    def delays_are_over(self) -> bool:
        """Tells whether there are lanes whose delay is over."""
        query = LaneRow.select(LaneRow.subscription).where(
            SQL("status = 2"), LaneRow.ready_time <= self._memory.now()
        )
        return bool(self._rows(query.limit(1)))

    def providers_with_overdue(self) -> list[str]:
        """Returns the providers with requests that have waited longer than their window."""
        return [code for code in self._memory.providers.catalogues if self._has_overdue(code)]

    def subscriptions_due(self) -> list[str]:
        """Returns the subscriptions with an automatic end that is due, the earliest first."""
        query = SubscriptionRow.select(SubscriptionRow.number).where(
            SQL("due_time IS NOT NULL"),
            SubscriptionRow.due_time <= self._memory.now(),
            *self._not_set_aside(SubscriptionRow.number, "ends"),
        )
        found = self._rows(query.order_by(SubscriptionRow.due_time).limit(MOST_DUE))
        return [row.number for row in found]

    def subscriptions_with_scheduled(self) -> list[str]:
        """Returns the subscriptions with a scheduled action that is due, the earliest first."""
        query = ActionRow.select(ActionRow.subscription).where(
            SQL("due_time IS NOT NULL"),
            ActionRow.due_time <= self.now(),
            *self._not_set_aside(ActionRow.subscription, "scheduled"),
        )
        found = self._rows(query.order_by(ActionRow.due_time).limit(MOST_DUE))
        return list(dict.fromkeys([row.subscription for row in found]))

    def _has_overdue(self, provider: str) -> bool:
        settings = self._memory.providers.catalogues[provider].provider.delivery_settings
        overdue = RequestRow.select(RequestRow.number).where(
            RequestRow.provider == provider,
            SQL("state = 1"),
            RequestRow.create_time < self._memory.now() - settings.pending_window,
            *self._not_set_aside(RequestRow.subscription, "expiry"),
        )
        return bool(self._rows(overdue.limit(1)))

    def _not_set_aside(self, column: Any, duty: str) -> list[Expression]:
        aside = self._memory.set_asides.subscriptions(duty, now=self._memory.now())
        return [column.not_in(sorted(aside))] if aside else []
