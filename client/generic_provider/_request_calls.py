"""Defines the calls of RequestService, except the calls about archives and the audit trail."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from generic_provider._calls import Call, Caller, Pages, chosen
from generic_provider._values import instant
from generic_provider.enums import RequestOrigin, RequestState, RequestType, ResponseStatus
from generic_provider.v1 import request_service_pb2 as v1
from generic_provider.v1.resources_pb2 import ProvisioningRequest


def get_request(_: Caller, request: str) -> Call[v1.GetRequestResponse, ProvisioningRequest]:
    """Get a request by its number."""
    return Call(
        v1.GetRequestRequest(request=request),
        v1.GetRequestResponse,
        lambda found: found.request,
    )


def list_requests(
    _: Caller,
    *,
    provider: str = "",
    subscription: str = "",
    account_number: str = "",
    type: RequestType.ValueType | str | None = None,  # noqa: A002 - the protos define this name
    types: Iterable[RequestType.ValueType | str] = (),
    state: RequestState.ValueType | str | None = None,
    states: Iterable[RequestState.ValueType | str] = (),
    origin: RequestOrigin.ValueType | str | None = None,
    origins: Iterable[RequestOrigin.ValueType | str] = (),
    action: str = "",
    reset_run: str = "",
    reference: str = "",
    last_adapter: str = "",
    error_code: str = "",
    item_serial: str = "",
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    settled_from: datetime | None = None,
    settled_to: datetime | None = None,
    oldest_first: bool = False,
    page_size: int = 0,
) -> Pages[v1.ListRequestsResponse, ProvisioningRequest]:
    """List the requests that match all filters: newest requests first, or oldest requests first if
    `oldest_first` is set.
    """
    request = v1.ListRequestsRequest(
        provider=provider,
        subscription=subscription,
        account_number=account_number,
        types=chosen(RequestType, type, types),
        states=chosen(RequestState, state, states),
        origins=chosen(RequestOrigin, origin, origins),
        action=action,
        reset_run=reset_run,
        reference=reference,
        last_adapter=last_adapter,
        error_code=error_code,
        item_serial=item_serial,
        created_from=instant("created_from", created_from),
        created_to=instant("created_to", created_to),
        settled_from=instant("settled_from", settled_from),
        settled_to=instant("settled_to", settled_to),
        oldest_first=oldest_first,
        page_size=page_size,
    )
    return Pages(request, v1.ListRequestsResponse, lambda page: page.requests)


def cancel_request(
    caller: Caller, request: str, *, reason: str, end_lease: bool = False, performed_by: str = ""
) -> Call[v1.CancelRequestResponse, ProvisioningRequest]:
    """Reject a pending request in the operator's name. Its change is taken back in the CRM.

    If an adapter has the request, the call is refused unless `end_lease` is set.
    """
    cancel = v1.CancelRequestRequest(
        request=request,
        reason=reason,
        end_lease=end_lease,
        performed_by=performed_by or caller.performed_by,
    )
    return Call(cancel, v1.CancelRequestResponse, lambda done: done.request)


def resolve_request(
    caller: Caller,
    request: str,
    *,
    status: ResponseStatus.ValueType | str,
    reason: str,
    error_code: str = "",
    account_number: str = "",
    end_lease: bool = False,
    performed_by: str = "",
) -> Call[v1.ResolveRequestResponse, ProvisioningRequest]:
    """Answer a request in the name of the platform, ACCEPTED or REJECTED, after you have checked
    the platform.
    """
    (new_status,) = chosen(ResponseStatus, status, ())
    resolve = v1.ResolveRequestRequest(
        request=request,
        status=new_status,
        reason=reason,
        error_code=error_code,
        account_number=account_number,
        end_lease=end_lease,
        performed_by=performed_by or caller.performed_by,
    )
    return Call(resolve, v1.ResolveRequestResponse, lambda done: done.request)


def get_backlog(_: Caller, provider: str) -> Call[v1.GetBacklogResponse, v1.GetBacklogResponse]:
    """Get the backlog of a provider: how many requests are pending, by type and by age, and how
    many subscriptions wait or are out of sync.
    """
    request = v1.GetBacklogRequest(provider=provider)
    return Call(request, v1.GetBacklogResponse, lambda backlog: backlog)


def list_adapters(
    _: Caller, *, provider: str = "", page_size: int = 0
) -> Pages[v1.ListAdaptersResponse, v1.ConnectedAdapter]:
    """List the adapters' open streams at all server processes, by default of all providers."""
    request = v1.ListAdaptersRequest(provider=provider, page_size=page_size)
    return Pages(request, v1.ListAdaptersResponse, lambda page: page.adapters)
