"""Contains the steps that all scenarios share."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass
from datetime import timedelta

from generic_provider.v1 import provisioning_service_pb2 as v1
from generic_provider.v1.resources_pb2 import ProvisioningRequest, RequestType

from .fake_service import Answer, FakeService
from .lease import CheckedLease, CheckedStream
from .named_parts import Offer
from .rules import Broken, Findings, Gone
from .subscriber import Subscriber

QUIET_SECONDS = 1.0
"""The seconds for which the check observes whether the adapter breaks a rule."""
LEAST_CREDIT = 10
MOST_GIVEN = 5
"""The greatest number of leases for one request. If the adapter releases a lease because it arrived
too late, the request is handed over again.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The settings of a check, which describe the adapter and its platform."""

    offer: Offer
    """The distributor, the goods and the services that the requests of the check name."""
    rejecting: str | None = None
    """A service whose requests the adapter rejects."""
    down: str | None = None
    """A service for whose requests the adapter behaves as if the platform were down."""
    slow_type: RequestType.ValueType | None = None
    """A request type. The adapter needs more than a second for each request of this type."""
    first_stream: timedelta = timedelta(seconds=60)
    """The time to wait for the first stream. This time is long, because a person may still have to
    start the adapter.
    """
    patience: timedelta = timedelta(seconds=35)
    """The time to wait for a reaction of the adapter. An adapter may pause for 30 s before it
    reconnects.
    """
    slow: bool = False
    """If True, the check also runs scenarios that take minutes."""


class Play:
    def __init__(self, service: FakeService, findings: Findings, terms: Terms) -> None:
        self.service = service
        self.findings = findings
        self.terms = terms
        self.patience = terms.patience.total_seconds()
        # The numbers differ from the numbers of an earlier check, because the platform may still
        # hold the subscribers of that check.
        self._numbers = itertools.count(int(time.time()) * 1_000 % 10**10)

    async def stream(self) -> CheckedStream:
        await self.service.until(self.service.current, seconds=self.patience)
        stream = self.service.current()
        if stream is None:
            raise Gone(1, f"no stream within {self.patience:g} s")
        return stream

    async def reconnected(self, old: CheckedStream) -> float:
        """Waits for the next stream.

        Returns the seconds between the end of the old stream and the start of the next stream.
        """
        streams = self.service.streams
        later = streams.index(old) + 1
        await self.service.until(
            lambda: not old.open and len(streams) > later, seconds=self.patience
        )
        if len(streams) == later or old.closed_at is None:
            raise Gone(1, f"no new stream within {self.patience:g} s after one had ended")
        return streams[later].opened_at - old.closed_at

    async def give(
        self, *requests: ProvisioningRequest, timed: bool = False, seconds: float = 0
    ) -> CheckedLease:
        """Hands the requests over on a new lease.

        `seconds`: the duration of the lease; 0 means the duration that the adapter asked for.
        """
        return self.service.give(requests, on=await self.stream(), timed=timed, seconds=seconds)

    async def answered(self, lease: CheckedLease, *, rule: int) -> None:
        """Waits until every request of the lease is answered."""
        if await self.service.until(lambda: lease.done, seconds=self.patience):
            return
        raise Broken(rule, f"{lease.waiting[0]} was not answered within {self.patience:g} s")

    async def first_answer(
        self, request: ProvisioningRequest, *, rule: int, seconds: float | None = None
    ) -> Answer:
        """Returns the first answer to the request. `seconds`: how long to wait for the answer; None
        means the patience of the check.
        """
        patience = self.patience if seconds is None else seconds
        await self.service.until(lambda: self.service.answers_to(request), seconds=patience)
        if found := self.service.answers_to(request):
            return found[0]
        raise Broken(rule, f"{request.number} was not answered within {patience:g} s")

    async def _kept(self, request: ProvisioningRequest) -> bool:
        """Hands the request over. Returns False if the adapter releases the lease."""
        lease = await self.give(request)
        await self.service.until(lambda: lease.done or lease.released, seconds=self.patience)
        return not lease.released

    async def newcomer(self, *, rule: int) -> Subscriber:
        """Creates a subscriber on the platform. Raises Broken for `rule` if the adapter does not
        answer the BECOME_SUBSCRIBER.
        """
        stream = await self.stream()
        one = Subscriber(stream.request.provider, self._numbers, offer=self.terms.offer)
        become = one.become()
        for _ in range(MOST_GIVEN):
            if await self._kept(become):
                break
        answer = await self.first_answer(become, rule=rule, seconds=0)
        if answer.status != v1.RESPONSE_STATUS_ACCEPTED:
            raise Broken(5, f"BECOME_SUBSCRIBER was answered {said(answer)}")
        one.account_number = answer.account_number
        return one

    def work(self, one: Subscriber) -> ProvisioningRequest:
        """Returns a request of the type `slow_type` of the terms, or an activation if the terms
        have no such type.
        """
        slow = self.terms.slow_type
        return one.activate() if slow is None else one.of(slow)

    async def quiet(self) -> None:
        await asyncio.sleep(QUIET_SECONDS)


def said(answer: Answer) -> str:
    status = v1.ResponseStatus.Name(answer.status).removeprefix("RESPONSE_STATUS_")
    return f"{status} {answer.error_code}".rstrip()
