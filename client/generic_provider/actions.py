"""Constructs the generated action messages from plain values.

A service is `(distributor, service)`, `(provider, distributor, service)` or `service(...)`. An item
is `(distributor, goods_type, serial_number)`, `(provider, distributor, goods_type, serial_number)`
or `item(...)`. The provider may be left out if the subscription has exactly one provider. Datetimes
need a time zone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias
from uuid import uuid4

from generic_provider import _arguments, _values
from generic_provider._action_parts import ItemLike, ServiceLike, item, service
from generic_provider._content_actions import (
    AddItems,
    AddServices,
    AddUsage,
    CancelUsage,
    ChangeDistribution,
    ChangeLocation,
    ChangeSubscriber,
    ChangeTerms,
    Move,
    RemoveItems,
    RemoveServices,
    StartServices,
    StopServices,
    SwapItem,
    SwapService,
)
from generic_provider._state_actions import (
    Activate,
    BecomeSubscriber,
    Deactivate,
    EndResting,
    EndShortTermActivation,
    EndShortTermDeactivation,
    ExistingAccount,
    Regret,
    Replace,
    Rest,
    ShortTermActivate,
    ShortTermDeactivate,
    Terminate,
)
from generic_provider.enums import Priority
from generic_provider.v1 import subscription_service_pb2 as v1

__all__ = [
    "Action",
    "Activate",
    "AddItems",
    "AddServices",
    "AddUsage",
    "BecomeSubscriber",
    "CancelUsage",
    "ChangeDistribution",
    "ChangeLocation",
    "ChangeSubscriber",
    "ChangeTerms",
    "Deactivate",
    "EndResting",
    "EndShortTermActivation",
    "EndShortTermDeactivation",
    "ExistingAccount",
    "ItemLike",
    "Move",
    "Regret",
    "RemoveItems",
    "RemoveServices",
    "Replace",
    "Rest",
    "ServiceLike",
    "ShortTermActivate",
    "ShortTermDeactivate",
    "StartServices",
    "StopServices",
    "SwapItem",
    "SwapService",
    "Terminate",
    "item",
    "request",
    "service",
]
Action: TypeAlias = (
    v1.BecomeSubscriber
    | v1.Activate
    | v1.Deactivate
    | v1.Rest
    | v1.EndResting
    | v1.ShortTermActivate
    | v1.EndShortTermActivation
    | v1.ShortTermDeactivate
    | v1.EndShortTermDeactivation
    | v1.Terminate
    | v1.Regret
    | v1.AddServices
    | v1.StartServices
    | v1.StopServices
    | v1.RemoveServices
    | v1.ChangeTerms
    | v1.SwapService
    | v1.AddItems
    | v1.RemoveItems
    | v1.SwapItem
    | v1.ChangeDistribution
    | v1.ChangeLocation
    | v1.ChangeSubscriber
    | v1.AddUsage
    | v1.CancelUsage
    | v1.Replace
)

_FIELDS: dict[object, str] = {
    field.message_type: field.name
    for field in v1.PerformActionRequest.DESCRIPTOR.oneofs_by_name["action"].fields
}


@_arguments.named
def request(
    action: Action,
    *,
    subscription: str = "",
    request_id: str = "",
    reference: str = "",
    performed_by: str = "",
    expected_revision: int | None = None,
    priority: Priority.ValueType | str | None = None,
    schedule_time: datetime | None = None,
    validate_only: bool = False,
) -> v1.PerformActionRequest:
    """Returns the request that `batch_perform` needs for one action; `perform` sends the same
    request. `Client.perform` explains the arguments.

    Without a `request_id`, the request gets a random one. The default priority is LIVE; for a
    scheduled action it is BULK.
    """
    field = _FIELDS.get(getattr(action, "DESCRIPTOR", None))
    if field is None:
        raise TypeError(f"{action!r:.80} is not an action; use actions.Terminate() or the like")
    chosen: dict[str, Any] = {field: action}
    if priority := priority or (None if schedule_time else Priority.LIVE):
        chosen["priority"] = Priority.of(priority)
    return v1.PerformActionRequest(
        subscription=subscription,
        request_id=request_id or str(uuid4()),
        reference=reference,
        performed_by=performed_by,
        expected_revision=expected_revision,
        schedule_time=_values.instant("schedule_time", schedule_time),
        validate_only=validate_only,
        **chosen,
    )
