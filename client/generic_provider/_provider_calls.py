"""Defines the calls of ProviderService."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

from generic_provider._calls import Call, Caller, Pages, chosen
from generic_provider.enums import ProviderState
from generic_provider.v1 import provider_service_pb2 as v1
from generic_provider.v1.resources_pb2 import Provider


def create_provider(
    caller: Caller, provider: Provider, *, request_id: str = "", performed_by: str = ""
) -> Call[v1.CreateProviderResponse, Provider]:
    """Create a provider. Its first state is NOT_EFFECTIVE."""
    request = v1.CreateProviderRequest(
        provider=provider,
        request_id=request_id or str(uuid4()),
        performed_by=performed_by or caller.performed_by,
    )
    return Call(request, v1.CreateProviderResponse, lambda done: done.provider)


def get_provider(_: Caller, provider: str) -> Call[v1.GetProviderResponse, Provider]:
    """Get a provider by its code."""
    request = v1.GetProviderRequest(provider=provider)
    return Call(request, v1.GetProviderResponse, lambda found: found.provider)


def list_providers(
    _: Caller,
    *,
    state: ProviderState.ValueType | str | None = None,
    states: Iterable[ProviderState.ValueType | str] = (),
    page_size: int = 0,
) -> Pages[v1.ListProvidersResponse, Provider]:
    """List the providers that match all filters, in the order of their codes."""
    request = v1.ListProvidersRequest(
        states=chosen(ProviderState, state, states), page_size=page_size
    )
    return Pages(request, v1.ListProvidersResponse, lambda page: page.providers)


def update_provider(
    caller: Caller, provider: Provider, *, performed_by: str = ""
) -> Call[v1.UpdateProviderResponse, Provider]:
    """Replace all fields of a provider except its state.

    If the `etag` of `provider` is set, it must be the current etag; otherwise EtagMismatch is
    raised.
    """
    request = v1.UpdateProviderRequest(
        provider=provider, performed_by=performed_by or caller.performed_by
    )
    return Call(request, v1.UpdateProviderResponse, lambda done: done.provider)


def set_provider_state(
    caller: Caller,
    provider: str,
    *,
    state: ProviderState.ValueType | str,
    performed_by: str = "",
) -> Call[v1.SetProviderStateResponse, Provider]:
    """Make a provider EFFECTIVE or NOT_EFFECTIVE.

    A provider that is not effective gets no requests.
    """
    (new_state,) = chosen(ProviderState, state, ())
    request = v1.SetProviderStateRequest(
        provider=provider, state=new_state, performed_by=performed_by or caller.performed_by
    )
    return Call(request, v1.SetProviderStateResponse, lambda done: done.provider)
