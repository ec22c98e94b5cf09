"""Unary calls of ProvisioningService, for adapters that poll; `Adapter` does more by itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from generic_provider._calls import Call, Caller
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
    """Take pending requests on leases that live until answered, released or run out."""
    request = v1.PullPendingRequestsRequest(
        provider=provider,
        adapter=adapter,
        version=version,
        max_requests=max_requests,
        lease_duration=span("lease_duration", lease_duration),
        include_target=include_target,
        wait=span("wait", wait),
    )
    return Call(request, v1.PullPendingRequestsResponse, lambda pulled: pulled, wait or timedelta())


def send_responses(
    _: Caller, provider: str, *, responses: Iterable[v1.ProvisioningResponse]
) -> Call[v1.SendResponsesResponse, list[v1.ResponseResult]]:
    """Up to 1000 answers: one result for each, in order. Sending the same again is harmless."""
    return Call(
        v1.SendResponsesRequest(provider=provider, responses=responses),
        v1.SendResponsesResponse,
        lambda done: list(done.results),
    )


def extend_leases(
    _: Caller, lease_tokens: Iterable[str], *, lease_duration: timedelta | None = None
) -> Call[v1.ExtendLeasesResponse, list[v1.LeaseResult]]:
    """Up to 1000: one result for each, in order. One that is not `live` has ended."""
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
    """Up to 1000: what is not answered is handed over again. `stop`: nothing more on the streams
    that gave them.
    """
    return Call(
        v1.ReleaseLeasesRequest(lease_tokens=several("lease_tokens", lease_tokens), stop=stop),
        v1.ReleaseLeasesResponse,
        lambda done: list(done.results),
    )
