"""Runs an adapter's routines for the requests that it got."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from datetime import timedelta

from generic_provider._answers import Answers
from generic_provider._pulse import Pulse
from generic_provider._routines import Routines
from generic_provider._streams import Stream, TokenOnStream
from generic_provider.enums import RequestType, ResponseStatus
from generic_provider.outcomes import PlatformDown, Work
from generic_provider.stats import Stats
from generic_provider.v1.provisioning_service_pb2 import ProvisioningResponse, SubscriptionRequests
from generic_provider.v1.resources_pb2 import ProvisioningRequest

ENDED = float("-inf")


class HeldLease:
    """The requests of one lease that are not answered yet. A HeldLease also knows whether the
    adapter may still begin these requests.
    """

    def __init__(self, given: SubscriptionRequests, *, source: Stream, sent: float) -> None:
        self.subscription = given.subscription
        self.token = given.lease_token
        self.account_number = given.account_number
        self.target = given.target
        self.requests = deque(given.requests)
        self.source = source
        self.begun = False
        self.given_back = False
        self.duration = given.lease_duration.ToTimedelta().total_seconds()
        self._runs_out_at = sent + self.duration
        """The time at which the lease runs out, by the stream's estimate of the server's clock."""

    def is_late(self) -> bool:
        """Tells whether more than half of the lease's duration has passed."""
        return self._runs_out_at - self.source.time() < self.duration / 2

    def extend(self, duration: timedelta, *, since: float) -> None:
        """Extends the lease, unless it was ended during the call that extended it.

        `since`: the start of that call, in seconds of the monotonic clock.
        """
        if self._runs_out_at == ENDED:
            return
        self.duration = duration.total_seconds()
        until = self.source.time() - time.monotonic() + since + self.duration
        self._runs_out_at = max(self._runs_out_at, until)

    def end(self, *, given_back: bool) -> None:
        """Ends the lease.

        The adapter finishes and answers the requests of the lease that have begun, and begins no
        other requests of the lease. `given_back`: true if the lane itself need not release the
        lease.
        """
        self._runs_out_at = ENDED
        self.given_back = self.given_back or given_back

    @property
    def handed(self) -> TokenOnStream:
        return self.token, self.source

    def running(self) -> bool:
        return self.source.time() < self._runs_out_at

    def live(self) -> bool:
        """Tells whether requests of the lease may be begun now."""
        return self.running() and not self.source.silent()

    def begins_with(self, request: ProvisioningRequest) -> bool:
        return bool(self.requests) and self.requests[0].number == request.number

    def learn(self, account_number: str) -> None:
        """Sets the account number in the remaining requests of the lease, because these requests
        were handed over before the number was known.
        """
        self.account_number = account_number or self.account_number
        for each in self.requests:
            each.account_number = each.account_number or self.account_number


class Lanes:
    """Runs the requests of each subscription in a task of its own, which is called a lane here.

    Requests of one lane run one after the other; lanes run in parallel.
    """

    def __init__(
        self,
        routines: Routines,
        answers: Answers,
        *,
        tasks: asyncio.TaskGroup,
        pool: Executor,
        max_in_flight: int,
        stats: Stats,
        pulse: Pulse,
        platform_down: Callable[[PlatformDown], None],
        give_back: Callable[[str], None],
    ) -> None:
        self._routines = routines
        self._answers = answers
        self._tasks = tasks
        self._pool = pool
        self._slots = asyncio.Semaphore(max_in_flight)
        self._stats = stats
        self._pulse = pulse
        self._platform_down = platform_down
        self._give_back = give_back
        self._newest: dict[str, HeldLease] = {}
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self._unstarted: list[TokenOnStream] = []

    def take(self, lease: HeldLease) -> None:
        """Adds a lease.

        The new lease replaces an older lease of the same subscription, which must have ended.
        """
        self._newest[lease.subscription] = lease
        if lease.subscription not in self._lanes:
            lane = self._tasks.create_task(self._work_off(lease.subscription))
            self._lanes[lease.subscription] = lane

    def live(self) -> list[HeldLease]:
        return [lease for lease in self._newest.values() if lease.live()]

    def running(self) -> list[HeldLease]:
        return [lease for lease in self._newest.values() if lease.running()]

    def end(self, leases: Iterable[HeldLease]) -> list[TokenOnStream]:
        """Ends the leases. Returns the token and the stream of each, because the caller must
        release them.
        """
        ended = list(leases)
        for lease in ended:
            lease.end(given_back=True)
        return [lease.handed for lease in ended]

    def cut(self, source: Stream) -> None:
        """Ends the leases of a stream that has ended without a drain."""
        for lease in self._newest.values():
            if lease.source is source:
                lease.end(given_back=False)

    def stop(self) -> list[TokenOnStream]:
        """Begins no more requests, and ends the leases of which no request has begun. Returns the
        token and the stream of each of these leases, because the caller must release them.
        """
        self._stopping = True
        return self.end(lease for lease in self.live() if not lease.begun)

    async def finished(self) -> list[TokenOnStream]:
        """Waits until all requests that have begun are done. Returns the token and the stream of
        each lease that has requests left, because the caller must release them.
        """
        if self._lanes:
            await asyncio.wait(self._lanes.values())
        return self._unstarted

    async def _work_off(self, subscription: str) -> None:
        try:
            while lease := self._next(subscription):
                await self._step(lease)
        finally:
            del self._lanes[subscription]
            left = self._newest.pop(subscription)
        if not left.requests or left.given_back:
            return
        if self._stopping:
            self._unstarted.append(left.handed)
        else:
            self._give_back(left.token)

    def _next(self, subscription: str) -> HeldLease | None:
        lease = self._newest[subscription]
        return lease if lease.requests and lease.live() and not self._stopping else None

    async def _step(self, lease: HeldLease) -> None:
        known = self._answers.known(lease.requests[0].number)
        if known is not None:
            self._answer(lease, [lease.requests[0]], known)
            return
        async with self._slots:
            await self._pulse.steady()
            if self._next(lease.subscription) is not lease:
                return  # the lease was replaced or has ended in the meantime
            lease.begun = True
            self._stats.in_work += 1
            try:
                await self._do(lease)
            finally:
                self._stats.in_work -= 1

    async def _do(self, lease: HeldLease) -> None:
        requests = self._routines.front(list(lease.requests))
        work = Work(lease.subscription, lease.account_number, requests, lease.target)
        answer = await self._routines.answer(work, self._pool)
        if isinstance(answer, PlatformDown):
            self._platform_down(answer)
            return
        self._answer(lease, requests, answer)

    def _answer(
        self,
        lease: HeldLease,
        requests: Sequence[ProvisioningRequest],
        answer: ProvisioningResponse,
    ) -> None:
        for request in requests:
            newest = self._newest[lease.subscription]
            holder = newest if newest.begins_with(request) else lease
            holder.requests.popleft()
            holder.begun = True
            self._put(answer, request=request.number, token=holder.token)
            if answer.status != ResponseStatus.ACCEPTED:
                holder.requests.clear()
                return
            if request.type == RequestType.BECOME_SUBSCRIBER:
                holder.learn(answer.account_number)

    def _put(self, answer: ProvisioningResponse, *, request: str, token: str) -> None:
        mine = ProvisioningResponse()
        mine.CopyFrom(answer)
        mine.request, mine.lease_token = request, token
        self._stats.count(answer.status)
        self._answers.put(mine)
