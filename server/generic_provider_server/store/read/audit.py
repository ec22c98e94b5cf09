"""Reads the audit trail, beginning with the newest entry."""

from __future__ import annotations

from typing import Any

from peewee import SQL

from ...domain.audit import AuditEntry
from ...domain.values import Instant, Value
from ..database.audit_rows import AuditRow, entry_of_row
from .base import BaseQueries


class AuditFilter(Value, frozen=True, kw_only=True):
    methods: tuple[str, ...] = ()
    caller: str = ""
    performed_by: str = ""
    provider: str = ""
    subscription: str = ""
    resource: str = ""
    codes: tuple[int, ...] = ()
    refused: bool = False
    time_from: Instant | None = None
    time_to: Instant | None = None

    def scans(self) -> bool:
        """Tells whether no index suits the filter, so that the query examines many entries that the
        filter leaves out.

        The index of subscriptions suits every filter that names a subscription, because one
        subscription has few entries. The indexes of persons and of refusals suit only filters with
        a single condition (apart from times), because one person or program may have millions of
        entries.
        """
        others = self.methods, self.caller, self.provider, self.resource, self.codes
        both = bool(self.performed_by) and self.refused
        return not self.subscription and (both or any(others))


class AuditQueries(BaseQueries):
    def audit_entries(
        self,
        wanted: AuditFilter,
        *,
        before: tuple[int, int] | None,
        limit: int,
        until: int | None = None,
    ) -> list[AuditEntry]:
        """Returns the newest entries.

        `before`: only entries with smaller keys are returned. `until`: the time of the oldest entry
        that the query examines.
        """
        conditions = [*_conditions(wanted), *_older(before)]
        if until is not None:
            conditions.append(AuditRow.time >= until)
        order = AuditRow.time.desc(), AuditRow.call.desc()
        query = AuditRow.select().where(*conditions) if conditions else AuditRow.select()
        return [entry_of_row(row) for row in self._rows(query.order_by(*order).limit(limit))]

    def end_of_audit(self, wanted: AuditFilter, *, before: tuple[int, int] | None) -> int | None:
        """Returns the time of the oldest entry that the query for one page examines. If no index
        suits the filter, the query examines only MOST_EXAMINED entries: the newest entries with
        keys smaller than `before`. Returns None if an index suits the filter, or if there are fewer
        entries.
        """
        if not wanted.scans():
            return None
        conditions = [*_period(wanted), *_older(before)]
        last: int | None = self._last_examined(AuditRow.time, conditions, AuditRow.time.desc())
        return last


def _conditions(wanted: AuditFilter) -> list[Any]:
    row = AuditRow
    equal = (
        (row.caller, wanted.caller),
        (row.performed_by, wanted.performed_by),
        (row.provider, wanted.provider),
        (row.subscription, wanted.subscription),
        (row.resource, wanted.resource),
    )
    any_of = (row.method, wanted.methods), (row.code, wanted.codes)
    conditions: list[Any] = [column == value for column, value in equal if value]
    conditions += [column.in_(list(values)) for column, values in any_of if values]
    # literals, so that the partial indexes are used
    if wanted.refused:
        conditions.append(SQL("refused > 0"))
    if wanted.subscription:
        conditions.append(SQL("subscription <> ''"))
    if wanted.performed_by:
        conditions.append(SQL("performed_by <> ''"))
    return conditions + _period(wanted)


def _period(wanted: AuditFilter) -> list[Any]:
    start, end = wanted.time_from, wanted.time_to
    conditions = [] if start is None else [AuditRow.time >= start]
    return conditions if end is None else [*conditions, AuditRow.time < end]


def _older(key: tuple[int, int] | None) -> list[Any]:
    if key is None:
        return []
    time, call = key
    return [AuditRow.time <= time, (AuditRow.time < time) | (AuditRow.call < call)]
