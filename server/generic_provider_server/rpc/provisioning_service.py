"""Answers the calls of ProvisioningService, which adapters make."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider.v1 import resources_pb2 as pb

from ..commands.claim import Demand, Handed
from ..commands.live_leases import Extend, LeaseState, Release
from ..domain.lease import Lease, lease_of, stream_of, token_of
from ..domain.refusals import Reason, Refused
from ..domain.values import SECOND, Instant
from ..services.backlogs import Backlogs
from ..services.delivery import Delivery
from ..services.reporting import Reporting
from ..services.streams import AdapterStream, Cut, Drain
from ..store.store import Store
from . import encode, encode_parts
from .batches import MOST_BYTES, batches
from .checks import Checks
from .decode_reports import subscribers_of, summary, terms_of
from .incoming import IncomingCall
from .responses import answers_of

HEARTBEAT = 5.0, 10.0
"""The limits of the random time, in seconds, after which a silent stream gets a heartbeat.

The time is random, so that streams that were opened together get their heartbeats at different
times.
"""

MOST_AT_ONCE = 1_000
ADDED_BYTES = 32
"""The greatest number of bytes that a batch adds to the message of a subscription: the remaining
time of the lease, and the length of the message.
"""

Shown = tuple[Handed, api.SubscriptionRequests]


class ProvisioningServicer:
    def __init__(self, store: Store, delivery: Delivery) -> None:
        self._store = store
        self._delivery = delivery
        self._backlogs = Backlogs(store)

    async def StreamPendingRequests(
        self, request: api.StreamPendingRequestsRequest, call: IncomingCall
    ) -> AsyncIterator[api.StreamPendingRequestsResponse]:
        stream = _stream_of(request, call, server=self._store.server)
        await self._store.catalogue(stream.provider)
        with self._delivery.stream(stream):
            yield await self._heartbeat(stream.provider)
            while True:
                try:
                    async with asyncio.timeout(random.uniform(*HEARTBEAT)):
                        event = await stream.events.get()
                except TimeoutError:
                    yield await self._heartbeat(stream.provider)
                    continue
                match event:
                    case None:
                        return
                    case Cut():
                        raise Refused(
                            Reason.STORE_UNAVAILABLE, "the database could not be reached: reconnect"
                        )
                    case Drain(reason):
                        drain = api.StreamPendingRequestsResponse(drain=_drain(reason))
                        yield _sent(drain, self._store.steady())
                        return
                    case handed:
                        with stream.sending(handed) as unsent:
                            shown = self._all_shown(handed, unsent)
                            for batch in batches(shown, size_of=_size_of):
                                now = self._store.steady()
                                del unsent[: len(batch)]
                                if still_good := self._on_time(batch, now):
                                    yield _sent(_batch(still_good), now)

    async def PullPendingRequests(
        self, request: api.PullPendingRequestsRequest, call: IncomingCall
    ) -> api.PullPendingRequestsResponse:
        began, checks = time.monotonic(), Checks()
        provider, adapter = _adapter(checks, request)
        given = request.HasField("max_requests")
        most = _credit(checks, "max_requests", request.max_requests if given else None)
        demand = Demand(
            stream="",
            adapter=adapter,
            credit=lambda _: most,
            lease_duration=_lease_duration(checks, request) or 30 * SECOND,
            include_target=request.include_target,
        )
        wait = checks.wait(request)
        checks.done()
        await self._store.catalogue(provider)
        handed = await self._delivery.pull(provider, demand, wait=wait)
        unsent = list(handed)
        try:
            backlog, age = await self._backlogs.count(provider)
            shown = list(self._all_shown(handed, unsent))
        except BaseException:  # for example, the database cannot be read, or the caller is gone
            self._delivery.withdraw(unsent)
            raise
        waited, now = int((time.monotonic() - began) * SECOND), self._store.steady()
        return api.PullPendingRequestsResponse(
            subscriptions=self._on_time(shown, now),
            backlog=backlog,
            oldest_age=encode_parts.duration(age),
            sent_time=encode_parts.timestamp(now),
            waited=encode_parts.duration(waited),
        )

    async def SendResponses(
        self, request: api.SendResponsesRequest, call: IncomingCall
    ) -> api.SendResponsesResponse:
        checks = Checks()
        provider = checks.code("provider", request.provider)
        checks.count("responses", request.responses, least=1, most=MOST_AT_ONCE)
        checks.done()
        await self._store.catalogue(provider)
        answers = answers_of(request, key=self._store.token_key)
        call.audit.malformed = len(answers.malformed)
        if not answers.commands:
            return answers.response(())
        asked = await self._store.do_all(answers.commands, audit=call.audit)
        return answers.response([verdict for each in asked for verdict in each.outcome()])

    async def ExtendLeases(
        self, request: api.ExtendLeasesRequest, call: IncomingCall
    ) -> api.ExtendLeasesResponse:
        checks = Checks()
        _check_tokens(checks, request, least=1)
        duration = _lease_duration(checks, request)
        checks.done()
        leases = self._leases(request.lease_tokens, call)
        extension = Extend(leases=leases, server=self._store.server, duration=duration)
        states = await self._store.do(extension)
        return api.ExtendLeasesResponse(results=_results(request.lease_tokens, states))

    async def ReleaseLeases(
        self, request: api.ReleaseLeasesRequest, call: IncomingCall
    ) -> api.ReleaseLeasesResponse:
        checks = Checks()
        _check_tokens(checks, request)
        checks.done()
        leases = self._leases(request.lease_tokens, call)
        release = Release(leases=leases, stop=request.stop)
        states = await self._store.do(release, audit=call.audit)
        return api.ReleaseLeasesResponse(results=_results(request.lease_tokens, states))

    async def ReportPlatformState(
        self, requests: AsyncIterator[api.ReportPlatformStateRequest], call: IncomingCall
    ) -> api.ReportPlatformStateResponse:
        first = await anext(requests, api.ReportPlatformStateRequest())
        terms = terms_of(first, now=self._store.now())
        await self._store.catalogue(terms.provider)
        reporting = Reporting(self._store, terms, call.audit)
        await reporting.begin()
        await reporting.take(subscribers_of(first))
        async for request in requests:
            await reporting.take(subscribers_of(request))
        return summary(reporting, out_of_sync=await reporting.finish())

    def _leases(self, tokens: Iterable[str], call: IncomingCall) -> tuple[Lease | None, ...]:
        """Returns the lease of each token, in order; None for a token that the server did not sign.
        Raises Refused if the caller may not make the call for the provider of a lease.
        """
        leases = tuple([lease_of(token, self._store.token_key) for token in tokens])
        for provider in {lease.provider for lease in leases if lease is not None}:
            call.check_provider(provider)
        return leases

    def _on_time(self, batch: Sequence[Shown], now: Instant) -> list[api.SubscriptionRequests]:
        """Returns the messages of the batch that may still be sent, each with the remaining time of
        its lease.

        `now` is also the `sent_time` of the batch, so that the adapter detects old leases if this
        process is suspended between this call and the sending of the batch.
        """
        good = self._delivery.still_good([handed for handed, _ in batch], now)
        sent = {id(handed) for handed in good}
        messages: list[api.SubscriptionRequests] = []
        for handed, message in batch:
            if id(handed) in sent:
                left, duration = handed.lane.left(now), message.lease_duration
                duration.seconds, duration.nanos = left // SECOND, left % SECOND * 1_000
                messages.append(message)
        return messages

    def _all_shown(
        self, handed: Sequence[Handed], unsent: list[Handed]
    ) -> Iterator[tuple[Handed, api.SubscriptionRequests]]:
        """Yields each lease with its message.

        A lease that cannot be encoded is removed from `unsent`, so that it counts an attempt: the
        delay before the next attempt lets other subscriptions get their turn.
        """
        for each in handed:
            try:
                shown = self._shown(each)
            except Exception:
                unsent.remove(each)
                raise
            yield each, shown

    def _shown(self, handed: Handed) -> api.SubscriptionRequests:
        lane = handed.lane
        message = api.SubscriptionRequests(
            subscription=lane.subscription,
            account_number=handed.account_number,
            lease_token=token_of(lane.lease, self._store.token_key),
            delivery_attempt=handed.attempt,
        )
        for each in handed.requests:
            encode.request(each, message.requests.add())
        if handed.target:
            encode.target(handed.target, lane.provider, self._store.catalogues, message.target)
        return message

    async def _heartbeat(self, provider: str) -> api.StreamPendingRequestsResponse:
        backlog, age = await self._backlogs.count_in_time(provider)
        heartbeat = api.StreamPendingRequestsResponse.Heartbeat(
            server_time=encode_parts.timestamp(self._store.now()),
            backlog=backlog,
            oldest_age=encode_parts.duration(age),
            provider_state=pb.ProviderState.ValueType(
                self._store.providers[provider].provider.state
            ),
        )
        message = api.StreamPendingRequestsResponse(heartbeat=heartbeat)
        return _sent(message, self._store.steady())


def _stream_of(
    request: api.StreamPendingRequestsRequest, call: IncomingCall, *, server: str
) -> AdapterStream:
    checks = Checks()
    provider, adapter = _adapter(checks, request)
    given = request.HasField("max_in_flight")
    stream = AdapterStream(
        id=stream_of(server),
        provider=provider,
        adapter=adapter,
        version=request.version,
        peer=call.peer,
        max_in_flight=_credit(checks, "max_in_flight", request.max_in_flight if given else None),
        lease_duration=_lease_duration(checks, request) or 30 * SECOND,
        include_target=request.include_target,
    )
    checks.done()
    return stream


def _adapter(
    checks: Checks, request: api.StreamPendingRequestsRequest | api.PullPendingRequestsRequest
) -> tuple[str, str]:
    checks.text("version", request.version)
    return checks.code("provider", request.provider), checks.code("adapter", request.adapter)


def _credit(checks: Checks, field: str, value: int | None) -> int:
    return 100 if value is None else checks.number(field, value, least=1, most=10_000)


def _lease_duration(
    checks: Checks,
    request: api.StreamPendingRequestsRequest
    | api.PullPendingRequestsRequest
    | api.ExtendLeasesRequest,
) -> int | None:
    return checks.span("lease_duration", request, least=1, most=3_600)


def _check_tokens(
    checks: Checks,
    request: api.ExtendLeasesRequest | api.ReleaseLeasesRequest,
    *,
    least: int = 0,
) -> None:
    """Checks the number and the size of the tokens, because the response repeats the tokens, and
    must not become too large.
    """
    checks.count("lease_tokens", request.lease_tokens, least=least, most=MOST_AT_ONCE)
    checks.size("lease_tokens", request.ByteSize(), most=MOST_BYTES)


def _size_of(shown: Shown) -> int:
    return shown[1].ByteSize() + ADDED_BYTES


def _batch(subscriptions: list[api.SubscriptionRequests]) -> api.StreamPendingRequestsResponse:
    response = api.StreamPendingRequestsResponse()
    response.batch.subscriptions.extend(subscriptions)
    return response


def _sent(
    message: api.StreamPendingRequestsResponse, now: Instant
) -> api.StreamPendingRequestsResponse:
    message.sent_time.FromMicroseconds(now)
    return message


def _drain(reason: str) -> api.StreamPendingRequestsResponse.Drain:
    return api.StreamPendingRequestsResponse.Drain(reason=reason)


def _results(tokens: Iterable[str], states: Iterable[LeaseState]) -> list[api.LeaseResult]:
    return [
        api.LeaseResult(
            lease_token=token,
            live=state.live,
            lease_duration=encode_parts.duration(state.remaining) if state.remaining else None,
        )
        for token, state in zip(tokens, states, strict=True)
    ]
