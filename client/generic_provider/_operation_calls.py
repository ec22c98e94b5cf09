"""Defines the calls of ProviderService and RequestService."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import uuid4

from generic_provider._calls import Call, Caller, Pages, chosen
from generic_provider._values import instant
from generic_provider.enums import (
    ProviderState,
    RequestOrigin,
    RequestState,
    RequestType,
    ResponseStatus,
)
from generic_provider.v1 import provider_service_pb2 as providers
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1.resources_pb2 import Provider, ProvisioningRequest


def create_provider(
    caller: Caller, provider: Provider, *, request_id: str = "", performed_by: str = ""
) -> Call[providers.CreateProviderResponse, Provider]:
    """Create a provider. It is not effective yet."""
    request = providers.CreateProviderRequest(
        provider=provider,
        request_id=request_id or str(uuid4()),
        performed_by=performed_by or caller.performed_by,
    )
    return Call(request, providers.CreateProviderResponse, lambda done: done.provider)


def get_provider(_: Caller, provider: str) -> Call[providers.GetProviderResponse, Provider]:
    """Get a provider by its code."""
    request = providers.GetProviderRequest(provider=provider)
    return Call(request, providers.GetProviderResponse, lambda found: found.provider)


def list_providers(
    _: Caller,
    *,
    state: ProviderState.ValueType | str | None = None,
    states: Iterable[ProviderState.ValueType | str] = (),
    page_size: int = 0,
) -> Pages[providers.ListProvidersResponse, Provider]:
    """List the providers that match all filters, in the order of their codes."""
    request = providers.ListProvidersRequest(
        states=chosen(ProviderState, state, states), page_size=page_size
    )
    return Pages(request, providers.ListProvidersResponse, lambda page: page.providers)


def update_provider(
    caller: Caller, provider: Provider, *, performed_by: str = ""
) -> Call[providers.UpdateProviderResponse, Provider]:
    """Replace everything of a provider except its state.

    If `etag` is set, it must be the current one.
    """
    request = providers.UpdateProviderRequest(
        provider=provider, performed_by=performed_by or caller.performed_by
    )
    return Call(request, providers.UpdateProviderResponse, lambda done: done.provider)


def set_provider_state(
    caller: Caller,
    provider: str,
    *,
    state: ProviderState.ValueType | str,
    performed_by: str = "",
) -> Call[providers.SetProviderStateResponse, Provider]:
    """Make a provider EFFECTIVE or NOT_EFFECTIVE.

    A provider that is not effective gets no requests.
    """
    (new_state,) = chosen(ProviderState, state, ())
    request = providers.SetProviderStateRequest(
        provider=provider, state=new_state, performed_by=performed_by or caller.performed_by
    )
    return Call(request, providers.SetProviderStateResponse, lambda done: done.provider)


def get_request(_: Caller, request: str) -> Call[requests.GetRequestResponse, ProvisioningRequest]:
    """Get a request by its number."""
    return Call(
        requests.GetRequestRequest(request=request),
        requests.GetRequestResponse,
        lambda found: found.request,
    )


def list_requests(
    _: Caller,
    *,
    provider: str = "",
    subscription: str = "",
    account_number: str = "",
    type: RequestType.ValueType | str | None = None,  # noqa: A002 - the contract names it
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
) -> Pages[requests.ListRequestsResponse, ProvisioningRequest]:
    """List the requests that match all filters, the newest first unless `oldest_first` is set."""
    request = requests.ListRequestsRequest(
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
    return Pages(request, requests.ListRequestsResponse, lambda page: page.requests)


def cancel_request(
    caller: Caller, request: str, *, reason: str, end_lease: bool = False, performed_by: str = ""
) -> Call[requests.CancelRequestResponse, ProvisioningRequest]:
    """Reject a pending request. Its change is taken back in the CRM.

    If an adapter has the request, the call is refused unless `end_lease` is set.
    """
    cancel = requests.CancelRequestRequest(
        request=request,
        reason=reason,
        end_lease=end_lease,
        performed_by=performed_by or caller.performed_by,
    )
    return Call(cancel, requests.CancelRequestResponse, lambda done: done.request)


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
) -> Call[requests.ResolveRequestResponse, ProvisioningRequest]:
    """Answer a request in the name of the platform, ACCEPTED or REJECTED, after checking the
    platform.
    """
    (new_status,) = chosen(ResponseStatus, status, ())
    resolve = requests.ResolveRequestRequest(
        request=request,
        status=new_status,
        reason=reason,
        error_code=error_code,
        account_number=account_number,
        end_lease=end_lease,
        performed_by=performed_by or caller.performed_by,
    )
    return Call(resolve, requests.ResolveRequestResponse, lambda done: done.request)


def get_backlog(
    _: Caller, provider: str
) -> Call[requests.GetBacklogResponse, requests.GetBacklogResponse]:
    """Summarise what is pending at a provider."""
    request = requests.GetBacklogRequest(provider=provider)
    return Call(request, requests.GetBacklogResponse, lambda backlog: backlog)


def list_adapters(
    _: Caller, *, provider: str = "", page_size: int = 0
) -> Pages[requests.ListAdaptersResponse, requests.ConnectedAdapter]:
    """List the open streams of all server processes."""
    request = requests.ListAdaptersRequest(provider=provider, page_size=page_size)
    return Pages(request, requests.ListAdaptersResponse, lambda page: page.adapters)
