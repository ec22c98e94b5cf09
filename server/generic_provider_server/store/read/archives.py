"""Finds archives by their number, or by a request, a reset run or a subscription in an archive."""

from __future__ import annotations

from peewee import SQL

from ...domain.archive import ArchiveRecord, ArchiveState
from ...domain.values import Instant, Value
from ..database.archive_models import ArchivedRow, ArchiveRow
from ..database.archive_rows import archive_of_row
from ..database.rows import first_of
from .base import BaseQueries

MOST_NAMED = 100


class ArchiveFilter(Value, frozen=True, kw_only=True):
    provider: str = ""
    states: tuple[ArchiveState, ...] = ()
    subscription: str = ""


class ArchiveQueries(BaseQueries):
    def archive(self, number: int) -> ArchiveRecord | None:
        return first_of(
            self._rows(ArchiveRow.select().where(ArchiveRow.number == number)), archive_of_row
        )

    def archives(self, wanted: ArchiveFilter, *, before: int, limit: int) -> list[ArchiveRecord]:
        """Returns archives, the newest first.

        If `before` is not 0, only archives with smaller numbers are returned.
        """
        query = ArchiveRow.select().order_by(ArchiveRow.number.desc()).limit(limit)
        if before:
            query = query.where(ArchiveRow.number < before)
        if wanted.provider:
            query = query.where(ArchiveRow.provider == wanted.provider)
        if wanted.states:
            query = query.where(ArchiveRow.state.in_([int(each) for each in wanted.states]))
        if wanted.subscription:
            holding = ArchivedRow.select(ArchivedRow.archive).where(
                ArchivedRow.subscription == wanted.subscription
            )
            query = query.where(ArchiveRow.number.in_(holding))
        return [archive_of_row(row) for row in self._rows(query)]

    def archives_with(self, subscription: str) -> list[str]:
        """Returns the ids of the newest archives that contain requests of the subscription. Deleted
        archives are left out.
        """
        there = tuple(each for each in ArchiveState if each is not ArchiveState.DELETED)
        wanted = ArchiveFilter(subscription=subscription, states=there)
        return [each.id for each in self.archives(wanted, before=0, limit=MOST_NAMED)]

    def archive_holding(self, request: int) -> ArchiveRecord | None:
        """Returns the archive that contains the request."""
        query = ArchiveRow.select().join(ArchivedRow, on=(ArchivedRow.archive == ArchiveRow.number))
        return first_of(self._rows(query.where(ArchivedRow.number == request)), archive_of_row)

    def archive_of_run(self, run: int) -> ArchiveRecord | None:
        """Returns the newest archive that contains requests of the reset run."""
        query = ArchiveRow.select().join(ArchivedRow, on=(ArchivedRow.archive == ArchiveRow.number))
        query = query.where(ArchivedRow.reset_run == run, SQL("reset_run <> 0"))
        return first_of(
            self._rows(query.order_by(ArchiveRow.number.desc()).limit(1)), archive_of_row
        )

    def archive_settled_after(self, since: Instant, *, provider: str) -> ArchiveRecord | None:
        """Returns an archive that may contain requests of the provider that were settled after
        `since`.
        """
        query = ArchiveRow.select().where(
            ArchiveRow.state != int(ArchiveState.FAILED),
            ArchiveRow.last_settle_time > since,
            ArchiveRow.provider.in_(["", provider]),
        )
        return first_of(self._rows(query.limit(1)), archive_of_row)
