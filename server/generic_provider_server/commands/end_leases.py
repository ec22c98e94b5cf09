"""Ends leases: one of a command, or all that a stream or a server has, or all that ran out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from ..domain.lane import Lane
from ..domain.lease import Lease, LeaseEnd, back_off
from ..domain.refusals import Reason, not_found
from ..domain.subscription.aggregate import Aggregate
from ..domain.subscription.lifecycle import count_attempt, touch
from ..domain.subscription.records import SubscriptionRecord
from ..domain.values import Instant
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .claim import MOST_AT_ONCE

COUNTED = frozenset({LeaseEnd.RAN_OUT, LeaseEnd.STREAM_BROKE})


def subscription_of(work: Transaction, number: str) -> SubscriptionRecord:
    """Loads the subscription and ends its leases that ran out. Raises Refused if there is none."""
    end_overdue(work, number)
    record = work.record(number)
    if record is None:
        raise not_found(Reason.SUBSCRIPTION_NOT_FOUND, number)
    return record


def streams_of(leases: Iterable[Lease | None]) -> set[str]:
    return {lease.stream for lease in leases if lease is not None}


def end_overdue(work: Transaction, number: str) -> None:
    work.record(number)
    for lane in list(work.lanes[number].values()):
        if lane.count and lane.lease_until <= work.now:
            end_lease(work, lane, LeaseEnd.RAN_OUT)


def end_lease(work: Transaction, lane: Lane, cause: LeaseEnd) -> None:
    """Ends a lease with unanswered requests: nobody knows what the adapter did with them."""
    work.put_lane(replace(lane, count=0), ran_out=cause is LeaseEnd.RAN_OUT)
    number, provider = lane.subscription, lane.provider
    aggregate = _aggregate(work, lane)
    leased = lane.leased(aggregate.queue(provider))
    circumstances = work.circumstances(number)
    change = touch(aggregate, provider, numbers=leased, circumstances=circumstances)
    work.put(number, change)
    if cause in COUNTED:
        fail_attempt(work, lane)
    behind = [p for p in change.aggregate.queue(provider) if p.number in leased][1:]
    for pending in behind:
        work.note_attempt(pending, lane)


def fail_attempt(
    work: Transaction,
    lane: Lane,
    *,
    delay: int | None = None,
    error_code: str = "",
    error_description: str = "",
) -> None:
    """Counts a failed attempt of the lane's first request and hides it for `delay`."""
    aggregate = _aggregate(work, lane)
    first = aggregate.queue(lane.provider)[0]
    if delay is None:
        delay = back_off(first.attempts + 1, jitter=random.uniform(0.8, 1.2))
    change = count_attempt(
        aggregate,
        lane.provider,
        delay=delay,
        circumstances=work.circumstances(lane.subscription),
        error_code=error_code,
        error_description=error_description,
    )
    work.put(lane.subscription, change)
    head = change.aggregate.find(first.number)
    if head is not None:
        work.note_attempt(head[1], lane)


def _aggregate(work: Transaction, lane: Lane) -> Aggregate:
    record = work.record(lane.subscription)
    if record is None:
        raise LookupError(f"lane {lane.key} without its subscription")
    return record.aggregate


@dataclass(frozen=True, slots=True, kw_only=True)
class EndLeases:
    """Ends leases that ran out, and those for which `broken` is true.

    `find` returns at most `MOST_AT_ONCE` subscriptions. The functions below create it.
    """

    find: Callable[[Transaction], list[str]]
    broken: Callable[[Lane], bool] = lambda _: False

    def needs(self) -> Needs:
        return Needs(late=True, duty="leases")

    def run(self, work: Transaction) -> int:
        """Returns the number of subscriptions found. Call it again until it returns 0."""
        found = self.find(work)
        for number in work.one_by_one(work.load_free(found)):
            end_overdue(work, number)
            for lane in list(work.lanes[number].values()):
                if lane.count and self.broken(lane):
                    end_lease(work, lane, LeaseEnd.STREAM_BROKE)
        return len(found)


def end_of_overdue(now: Instant, *, since: Instant) -> EndLeases:
    """Ends the leases that ran out between `since` and `now`."""
    return EndLeases(find=lambda work: work.ran_out(since=since, until=now, most=MOST_AT_ONCE))


def end_of_stream(provider: str, stream: str) -> EndLeases:
    """Ends the leases of a stream that broke."""
    return EndLeases(
        find=lambda work: work.leased_to_stream(provider, stream, most=MOST_AT_ONCE),
        broken=lambda lane: lane.stream == stream,
    )


def end_of_server(server: str) -> EndLeases:
    """Ends the leases of a server that died."""
    return EndLeases(
        find=lambda work: work.leased_by_server(server, most=MOST_AT_ONCE),
        broken=lambda lane: lane.server == server,
    )


def end_of_other_servers(server: str) -> EndLeases:
    """Ends the leases of all other servers. Use it only where no other server can run."""
    return EndLeases(
        find=lambda work: work.leased_by_other_servers(server, most=MOST_AT_ONCE),
        broken=lambda lane: lane.server not in ("", server),
    )
