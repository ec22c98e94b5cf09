"""Hands ready requests over to adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..domain.catalogue import catalogue_of
from ..domain.lane import Lane, claim, first_unit
from ..domain.platform.image import PlatformImage
from ..domain.subscription.aggregate import Aggregate
from ..domain.subscription.due import overdue
from ..domain.subscription.pending_requests import Pending
from ..domain.subscription.request_records import RequestRecord, request_record
from ..domain.subscription.target import target_after
from ..domain.values import Value
from ..store.database.documents import encode
from ..store.memory.set_aside import DELIVERY
from ..store.notices.notice import Notice
from ..store.notices.tally import HANDOVER
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .expiry import expire_overdue

MOST_AT_ONCE = 500
"""The greatest number of requests that one claim gives to a stream."""

MOST_LIVE_AT_ONCE = 1_000
"""The greatest number of live lanes in one claim. All other commands wait for the claim, and a
provider may have hundreds of streams. The streams that get nothing have their turn in the next
claims.
"""

MOST_BULK_AT_ONCE = 100
"""The greatest number of bulk lanes in one claim. The number is small, because live actions
wait for the claim.
"""

MOST_BYTES = 1024 * 1024
"""The greatest size in bytes, in stored form, of the requests that one claim gives to a stream or
to a call of PullPendingRequests. The size is limited, because such a call gets all its requests in
one message.
"""

MORE_BYTES = 512
"""The number of bytes that each request needs in a message in addition to its stored form."""

LIVE_TURNS = 4
"""While live and bulk lanes wait, the server hands over this number of live lanes for each bulk
lane.
"""


class Demand(Value, frozen=True, kw_only=True):
    """A stream that can take requests, or a call of PullPendingRequests, which is called a pull
    here. Durations are in microseconds.

    `credit`: a function that returns the number of requests that the stream or pull can take now.
    The argument of `credit` is the notice of the running transaction, which may have freed credit.
    """

    stream: str
    adapter: str
    credit: Callable[[Notice], int]
    lease_duration: int
    include_target: bool = False


class Handed(Value, frozen=True):
    """Requests of one subscription that were handed over on a new lease."""

    lane: Lane
    account_number: str
    attempt: int
    requests: tuple[RequestRecord, ...]
    target: PlatformImage | None


class Claim(Value, frozen=True, kw_only=True):
    """Hands over ready requests to the first demand, then to the second demand, and so on. Among
    the live lanes, and among the bulk lanes, the lane that has been ready longest comes first.

    `server`: this process, which gives the leases. No lease is given while the last sign of life of
    this process is too old. `turn`: the number of the claim, from which `weave` computes when the
    first bulk lane follows.
    """

    provider: str
    server: str
    demands: tuple[Demand, ...]
    turn: int = 0

    def needs(self) -> Needs:
        return Needs(searches=True, for_adapter=True, duty=DELIVERY)

    def run(self, transaction: Transaction) -> tuple[tuple[Handed, ...], ...]:
        if not self._is_possible(transaction):
            return tuple([() for _ in self.demands])
        credit = sum(_share(transaction, demand) for demand in self.demands)
        most = min(credit, MOST_LIVE_AT_ONCE)
        most_bulk = min(most, MOST_BULK_AT_ONCE)
        live = transaction.search.ready(self.provider, bulk=0, most=most)
        bulk = transaction.search.ready(self.provider, bulk=1, most=most_bulk)
        free = self._free(transaction, live, bulk)
        shares = tuple(
            [tuple(self._hand_over(transaction, each, free, found=True)) for each in self.demands]
        )
        handed = {each.lane.subscription for share in shares for each in share}
        if len(live) < most and len(bulk) < most_bulk and handed.issuperset([*live, *bulk]):
            transaction.search.note_empty(self.provider)
        return shares

    def hand_over(
        self, transaction: Transaction, ready: Iterable[str]
    ) -> Iterator[tuple[str, Handed]]:
        """Hands over requests that the running transaction has made ready, so that the lanes of
        these requests are written only once. The provider must have no other ready requests. Yields
        the id of the stream and the requests of each new lease.
        """
        if not self._is_possible(transaction):
            return
        live, bulk = list[str](), list[str]()
        for number in ready:
            queue = transaction.subscription(number).aggregate.queue(self.provider)
            (bulk if all(pending.bulk for pending in queue) else live).append(number)
        woven = weave(live, bulk, turn=self.turn)
        for demand in self.demands:
            for handed in self._hand_over(transaction, demand, woven):
                yield demand.stream, handed

    def _is_possible(self, transaction: Transaction) -> bool:
        catalogue = catalogue_of(transaction.catalogues, self.provider)
        return transaction.is_alive and catalogue.effective

    def _free(
        self, transaction: Transaction, live: Sequence[str], bulk: Sequence[str]
    ) -> Iterator[str]:
        """Yields the subscriptions that no other process is changing, in the order of `weave`."""
        free = set(transaction.load_free([*live, *bulk]))
        lives, bulks = ([each for each in lane if each in free] for lane in (live, bulk))
        return transaction.one_by_one(weave(lives, bulks, turn=self.turn))

    def _hand_over(
        self, transaction: Transaction, demand: Demand, ready: Iterator[str], *, found: bool = False
    ) -> Iterator[Handed]:
        """Leases the first ready requests to the stream of the demand.

        `found`: true if the claim has found the lanes in the table, where they are READY. The delay
        of such a lane is over even if it lasts longer by the clock of this process, because the
        clock of the process that made the lane READY may have been ahead. If such a lane were left
        out, each claim would find it again, instead of later lanes.
        """
        credit, room = _share(transaction, demand), MOST_BYTES
        while credit > 0:
            number = next(ready, None)
            if number is None:
                return
            aggregate = transaction.existing(number).aggregate
            lane = transaction.lane(self.provider, number)
            queue = aggregate.queue(self.provider)
            if found and queue and not lane.is_leased:
                due = first_unit(queue)
            else:
                due = lane.due(queue, now=transaction.now)
            if not due:
                continue
            if overdue(due, transaction.catalogues[self.provider], at=transaction.now):
                expire_overdue(transaction, self.provider, number, at=transaction.now)
                # the claim has read this lane but hands over no request of it, so there may be
                # ready lanes that the claim has not read
                transaction.notice.add_ready(self.provider, transaction.now)
                continue
            taken, left = fitting(due[:credit], room)
            target = None
            if demand.include_target:
                target = self._target(transaction, aggregate, taken)
                left -= len(encode(target))
            if left < 0 and room < MOST_BYTES:
                return
            credit, room = credit - len(taken), left
            yield self._lease(transaction, demand, lane, aggregate, taken, target=target)

    def _target(
        self, transaction: Transaction, aggregate: Aggregate, taken: tuple[Pending, ...]
    ) -> PlatformImage:
        catalogue = transaction.catalogues[self.provider]
        return target_after(aggregate, taken, catalogue=catalogue, now=transaction.now)

    def _lease(
        self,
        transaction: Transaction,
        demand: Demand,
        lane: Lane,
        aggregate: Aggregate,
        taken: tuple[Pending, ...],
        *,
        target: PlatformImage | None,
    ) -> Handed:
        settings = transaction.catalogues[self.provider].provider.delivery_settings
        duration = min(demand.lease_duration, settings.max_lease_time)
        change = claim(
            lane,
            taken,
            stream=demand.stream,
            server=self.server,
            adapter=demand.adapter,
            duration=duration,
            steady=transaction.steady,
            now=transaction.now,
        )
        transaction.put_lane(change)
        first_time = [transaction.now - p.schedule_time for p in taken if not p.attempts]
        transaction.notice.tally.spans[HANDOVER, self.provider] += first_time
        given = change.lane
        link = aggregate.link(self.provider)
        return Handed(
            lane=given,
            account_number=link.account_number if link else "",
            attempt=taken[0].attempts + 1,
            requests=tuple(
                [request_record(aggregate, self.provider, p, lane=given) for p in taken]
            ),
            target=target,
        )


def _share(transaction: Transaction, demand: Demand) -> int:
    return max(0, min(demand.credit(transaction.notice), MOST_AT_ONCE))


def fitting(pending: tuple[Pending, ...], room: int) -> tuple[tuple[Pending, ...], int]:
    """Returns the first requests that fit into `room` bytes, but at least one request, and the
    number of unused bytes.
    """
    for n, each in enumerate(pending):
        size = len(encode(each.request)) + MORE_BYTES
        if n and size > room:
            return pending[:n], room
        room -= size
    return pending, room


def weave(live: list[str], bulk: list[str], *, turn: int) -> Iterator[str]:
    """Yields LIVE_TURNS subscriptions with live lanes, then one subscription with a bulk lane, and
    so on.

    `turn`: the position in this alternation of live and bulk lanes, counted from 0, at which the
    first yielded subscription stands. A later start position changes only the order, and leaves no
    subscription out. When one of the lists `live` and `bulk` has ended, the remaining subscriptions
    of the other list follow.
    """
    lives, bulks = iter(live), iter(bulk)
    while True:
        turn += 1
        first, second = (bulks, lives) if turn % (LIVE_TURNS + 1) == 0 else (lives, bulks)
        number = next(first, None) or next(second, None)
        if number is None:
            return
        yield number
