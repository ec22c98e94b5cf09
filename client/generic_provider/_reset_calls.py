"""Calls of ResetService."""

from __future__ import annotations

from uuid import uuid4

from generic_provider._calls import Call, Caller
from generic_provider.v1 import reset_service_pb2 as v1


def reset_subscription(
    caller: Caller,
    subscription: str,
    *,
    provider: str = "",
    full: bool = False,
    recreate: bool = False,
    validate_only: bool = False,
    request_id: str = "",
    performed_by: str = "",
) -> Call[v1.ResetSubscriptionResponse, v1.ResetSubscriptionResponse]:
    """Send the platform what it lacks, and remove what it should not hold. In sync, nothing is
    sent.

    `full` sends everything again. `recreate` also sends the account, if the platform has lost it.
    Without a provider, every effective provider is reset. `validate_only` changes nothing.
    """
    request = v1.ResetSubscriptionRequest(
        subscription=subscription,
        provider=provider,
        full=full,
        recreate=recreate,
        validate_only=validate_only,
        request_id=request_id or str(uuid4()),
        performed_by=performed_by or caller.performed_by,
    )
    return Call(request, v1.ResetSubscriptionResponse, lambda done: done)
