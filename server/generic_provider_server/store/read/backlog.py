"""Contains the queries about pending requests.

The cost of a query depends on the pending requests and the links out of sync, not on the history.
"""

from __future__ import annotations

from collections.abc import Sequence

from peewee import SQL, Expression, Field, Function, fn

from ...domain.lane import LaneState
from ...domain.subscription.request_records import RequestRecord
from ...domain.values import Instant, RequestType, Value
from ..database.models import (
    LaneRow,
    LinkRow,
    RequestRow,
    ServerRow,
)
from .base import BaseQueries


class Backlog(Value, frozen=True, kw_only=True):
    """The pending requests of a provider.

    `by_age`: a pair for each age class: the greatest age in microseconds, and the number of pending
    requests in the class. The last class has no greatest age: its first value is None.
    """

    pending: int
    leased: int
    waiting_for_retry: int
    blocked_subscriptions: int
    oldest: RequestRecord | None
    by_type: tuple[tuple[RequestType, int], ...]
    by_age: tuple[tuple[int | None, int], ...]
    out_of_sync_subscriptions: int


MINUTE = 60_000_000
AGES = (MINUTE, 10 * MINUTE, 60 * MINUTE, 1_440 * MINUTE)


class BacklogQueries(BaseQueries):
    def backlog(self, provider: str) -> Backlog:
        now = self._memory.now()
        leased = (LaneRow.status == LaneState.LEASED) & (LaneRow.pending > LaneRow.count)
        delayed = LaneRow.status == LaneState.DELAYED
        lanes = LaneRow.select(
            fn.COALESCE(fn.SUM(LaneRow.pending), 0).alias("pending"),
            fn.COALESCE(fn.SUM(LaneRow.count), 0).alias("leased"),
            _count(LaneRow.head, delayed).alias("delayed"),
            _count(LaneRow.head, leased | (delayed & (LaneRow.pending > 1))).alias("blocked"),
        )
        (lane,) = self._rows(lanes.where(LaneRow.provider == provider))
        pending = (RequestRow.provider == provider) & SQL("state = 1")
        first = RequestRow.select().where(pending).order_by(RequestRow.create_time).limit(1)
        oldest = self._requests(self._rows(first))
        by_type = self._rows(
            RequestRow.select(RequestRow.type, fn.COUNT(RequestRow.number))
            .where(pending)
            .group_by(RequestRow.type)
        )
        return Backlog(
            pending=lane.pending,
            leased=lane.leased,
            waiting_for_retry=lane.delayed,
            blocked_subscriptions=lane.blocked,
            oldest=oldest[0] if oldest else None,
            by_type=tuple((RequestType(kind), count) for kind, count in by_type),
            by_age=self._by_age(pending, now),
            out_of_sync_subscriptions=self.out_of_sync(provider),
        )

    def oldest_leases(self, streams: Sequence[str]) -> dict[str, Instant]:
        """Returns for each stream the time at which its oldest live lease was given."""
        query = (
            LaneRow.select(LaneRow.stream, fn.MIN(LaneRow.lease_start))
            .where(SQL("status = 1"), LaneRow.stream.in_(list(streams)))
            .group_by(LaneRow.stream)
        )
        return {stream: Instant(start) for stream, start in self._rows(query)}

    def lease_owners(self) -> list[str]:
        """Returns the ids of the server processes that own live leases."""
        query = LaneRow.select(LaneRow.server).where(SQL("status = 1"), LaneRow.server != "")
        return [row.server for row in self._rows(query.distinct())]

    def servers(self) -> list[tuple[str, bytes]]:
        """Returns the id of each server process, with the document that describes the streams of
        the process.
        """
        return [(row.id, bytes(row.document)) for row in self._rows(ServerRow.select())]

    def backlog_size(self, provider: str) -> tuple[int, int]:
        """Returns the number of pending requests, and the microseconds since the earliest time for
        which a pending request was scheduled.
        """
        query = LaneRow.select(
            fn.COALESCE(fn.SUM(LaneRow.pending), 0).alias("pending"),
            fn.MIN(LaneRow.ready_since).alias("oldest"),
        )
        (found,) = self._rows(query.where(LaneRow.provider == provider))
        age = 0 if found.oldest is None else max(0, self._memory.now() - found.oldest)
        return found.pending, age

    def _by_age(self, pending: Expression, now: int) -> tuple[tuple[int | None, int], ...]:
        created = RequestRow.create_time
        younger = (now + 1, *[now - age for age in AGES])
        older = [created >= start for start in younger[1:]]
        ages = [(created < start) & end for start, end in zip(younger, older, strict=False)]
        ages.append(created < younger[-1])
        counts = RequestRow.select(*[_count(RequestRow.number, each) for each in ages])
        return tuple(zip((*AGES, None), self._rows(counts.where(pending))[0], strict=True))

    def out_of_sync(self, provider: str) -> int:
        query = LinkRow.select(fn.COUNT(LinkRow.subscription)).where(
            LinkRow.provider == provider, SQL("sync_state = 3")
        )
        return int(self._rows(query)[0][0])


def _count(column: Field, condition: Expression) -> Function:
    return fn.COUNT(column).filter(condition)
