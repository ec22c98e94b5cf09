"""Contains the steps that all scenarios share."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from generic_provider.v1 import provisioning_service_pb2 as v1
from generic_provider.v1.resources_pb2 import ProvisioningRequest, RequestType

from .fake_service import Answer, FakeService
from .lease import CheckedLease, CheckedStream
from .named_parts import Offer
from .rules import Broken, Findings, Gone, Untested
from .subscriber import Subscriber

QUIET_SECONDS = 1.0
"""The seconds for which the check observes whether the adapter breaks a rule."""
LEAST_CREDIT = 10
MOST_GIVEN = 5
"""The greatest number of leases for one request. If a lease ends without an answer, or with the
answer RETRY_LATER, the request is handed over again, as by the service.
"""
UNKNOWN = "RETRY_LATER UNKNOWN_TYPE"


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

    async def answered(
        self, lease: CheckedLease, *, rule: int, up_to: ProvisioningRequest | None = None
    ) -> CheckedLease:
        """Waits until every request of the lease is answered, or until `up_to` is answered. If the
        lease ends earlier, for example because its stream ends or because the adapter answers
        RETRY_LATER, hands the other requests over again, as the service does. Returns the newest
        lease. Raises Broken for `rule` if a request is not answered, and Untested if a request is
        rejected, or is answered RETRY_LATER each time.
        """
        last = up_to.number if up_to else lease.requests[-1].number
        for given in range(1, MOST_GIVEN + 1):
            await self._worked_off(lease, last, rule=rule)
            if last not in lease.waiting:
                break
            left = self._left_of(lease, rule=rule)
            is_retried = left[0].number not in lease.waiting  # its answer is RETRY_LATER
            if given == MOST_GIVEN and is_retried:
                raise refused(left[0], self._answers(left[0], lease)[-1], rule=rule)
            if given == MOST_GIVEN:
                told = f"{left[0].number} was handed over {MOST_GIVEN} times{self._met(left[0])}"
                raise Broken(rule, told)
            if is_retried:
                await self.quiet()  # the service waits too
            lease = await self.give(*left)
        return lease

    async def _worked_off(self, lease: CheckedLease, last: str, *, rule: int) -> None:
        """Waits until the lease has ended, or its request `last` is answered. The patience of the
        check begins anew with each answer.
        """
        while lease.live and last in lease.waiting:
            first = next(each for each in lease.requests if each.number == lease.waiting[0])
            if not await self.service.until(_ended_or_answered(lease), seconds=self.patience):
                told = f"{first.number} was not answered within {self.patience:g} s"
                raise Broken(rule, f"{told}{self._met(first)}")

    def _left_of(self, lease: CheckedLease, *, rule: int) -> list[ProvisioningRequest]:
        """Returns the requests of an ended lease that the service would hand over again. Raises
        Untested for `rule` if the adapter has rejected one, because the scenario needs requests
        that the platform accepts.
        """
        left = []
        for request in lease.requests:
            answers = self._answers(request, lease)
            if answers and answers[-1].status == v1.RESPONSE_STATUS_REJECTED:
                raise refused(request, answers[-1], rule=rule)
            retried = answers and answers[-1].status == v1.RESPONSE_STATUS_RETRY_LATER
            if retried or request.number in lease.waiting:
                left.append(request)
        return left

    def _answers(self, request: ProvisioningRequest, lease: CheckedLease) -> list[Answer]:
        """Returns the answers to the request that name this lease."""
        return [each for each in self.service.answers_to(request) if each.token == lease.token]

    def _met(self, request: ProvisioningRequest) -> str:
        """Describes the newest answer to the request, with its verdict; empty without an answer."""
        answers = self.service.answers_to(request)
        if not answers:
            return ""
        code = v1.ResponseCode.Name(answers[-1].code).removeprefix("RESPONSE_CODE_")
        return f"; the verdict on its newest answer, {said(answers[-1])}, was {code}"

    async def first_answer(self, request: ProvisioningRequest, *, rule: int) -> Answer:
        await self.service.until(lambda: self.service.answers_to(request), seconds=self.patience)
        if found := self.service.answers_to(request):
            return found[0]
        raise Broken(rule, f"{request.number} was not answered within {self.patience:g} s")

    async def settled(self, request: ProvisioningRequest, *, rule: int) -> Answer:
        """Hands the request over until the adapter accepts it, rejects it, or does not know its
        type. Returns the newest answer.
        """
        times = itertools.count(1)
        while True:
            await self.answered(await self.give(request), rule=rule)
            answer = self.service.answers_to(request)[-1]
            retry = answer.status == v1.RESPONSE_STATUS_RETRY_LATER and said(answer) != UNKNOWN
            if not retry or next(times) == MOST_GIVEN:
                return answer
            await self.quiet()

    async def newcomer(self, *, rule: int) -> Subscriber:
        """Creates a subscriber on the platform, for a test of `rule`. Raises Untested for `rule` if
        the adapter refuses the BECOME_SUBSCRIBER. Raises Broken for rule 3 if the adapter does not
        answer, because the test of `rule` has not begun.
        """
        stream = await self.stream()
        one = Subscriber(stream.request.provider, self._numbers, offer=self.terms.offer)
        request = one.become()
        try:
            answer = await self.settled(request, rule=3)
        except Broken as broken:
            self.findings.not_seen(rule, f"a test that could not begin: {broken}")
            raise
        if answer.status != v1.RESPONSE_STATUS_ACCEPTED:
            raise refused(request, answer, rule=rule)
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


def _ended_or_answered(lease: CheckedLease) -> Callable[[], bool]:
    """Returns a function that tells whether the lease has ended, or got a further answer."""
    before = len(lease.waiting)
    return lambda: not lease.live or len(lease.waiting) < before


def refused(request: ProvisioningRequest, answer: Answer, *, rule: int) -> Untested:
    """Returns the error for a request that the adapter has refused, although the test of `rule`
    needs this request.
    """
    kind = RequestType.Name(request.type).removeprefix("REQUEST_TYPE_")
    what = f"{kind} {request.service.service}".rstrip()
    told = f"{what} was answered {said(answer)}, so the test could not continue"
    if request.HasField("service"):
        told += "; --service names a service that the platform accepts"
    return Untested(rule, told)


def said(answer: Answer) -> str:
    status = v1.ResponseStatus.Name(answer.status).removeprefix("RESPONSE_STATUS_")
    return f"{status} {answer.error_code}".rstrip()
