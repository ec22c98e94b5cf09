"""Defines the unary calls of ProvisioningService, for adapters that poll.

Most adapters should use `Adapter`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from generic_provider._calls import Call, Caller, held_for
from generic_provider._values import several, span
from generic_provider.v1 import provisioning_service_pb2 as v1


def pull(
    _: Caller,
    provider: str,
    *,
    adapter: str,
    version: str = "",
    max_requests: int | None = None,
    lease_duration: timedelta | None = None,
    include_target: bool = False,
    wait: timedelta | None = None,
) -> Call[v1.PullPendingRequestsResponse, v1.PullPendingRequestsResponse]:
    """Take pending requests of a provider on leases.

    A lease ends when all its requests are answered, after an answer REJECTED or RETRY_LATER, or
    when it is released, runs out, or is ended by an operator. Count the duration of a lease from
    the time at which you made the call, plus `waited` of the response.

    `max_requests`: default 100. `lease_duration`: default 30 s. `wait`: how long the server waits
    for requests if none is ready; default 0, at most 30 s.
    """
    request = v1.PullPendingRequestsRequest(
        provider=provider,
        adapter=adapter,
        version=version,
        max_requests=max_requests,
        lease_duration=span("lease_duration", lease_duration),
        include_target=include_target,
        wait=span("wait", wait),
    )
    return Call(request, v1.PullPendingRequestsResponse, lambda pulled: pulled, held_for(wait))


def send_responses(
    _: Caller, provider: str, *, responses: Iterable[v1.ProvisioningResponse]
) -> Call[v1.SendResponsesResponse, list[v1.ResponseResult]]:
    """Send up to 1000 answers, and get one result for each answer, in the order of the answers.

    It is safe to send the answers again.
    """
    return Call(
        v1.SendResponsesRequest(provider=provider, responses=responses),
        v1.SendResponsesResponse,
        lambda done: list(done.results),
    )


def extend_leases(
    _: Caller, lease_tokens: Iterable[str], *, lease_duration: timedelta | None = None
) -> Call[v1.ExtendLeasesResponse, list[v1.LeaseResult]]:
    """Extend up to 1000 leases, and get one result for each lease, in the order of the tokens.

    If `live` is False in a result, that lease has ended.
    """
    return Call(
        v1.ExtendLeasesRequest(
            lease_tokens=several("lease_tokens", lease_tokens),
            lease_duration=span("lease_duration", lease_duration),
        ),
        v1.ExtendLeasesResponse,
        lambda done: list(done.results),
    )


def release_leases(
    _: Caller, lease_tokens: Iterable[str], *, stop: bool = False
) -> Call[v1.ReleaseLeasesResponse, list[v1.LeaseResult]]:
    """Release up to 1000 leases, and get one result for each lease, in the order of the tokens. The
    unanswered requests of the leases are handed over again.

    With `stop`, the server hands over no more requests on the streams on which it gave these
    leases.
    """
    return Call(
        v1.ReleaseLeasesRequest(lease_tokens=several("lease_tokens", lease_tokens), stop=stop),
        v1.ReleaseLeasesResponse,
        lambda done: list(done.results),
    )
