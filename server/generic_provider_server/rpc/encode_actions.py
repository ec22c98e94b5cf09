"""Encodes actions and their results."""

from __future__ import annotations

from generic_provider.v1 import errors_pb2, resources_pb2
from generic_provider.v1 import subscription_service_pb2 as api

from ..domain.actions import Selection, StopServices
from ..domain.catalogue import Catalogues
from ..domain.refusals import Reason, Refused
from ..domain.subscription.records import ActionRecord, action_id
from ..domain.subscription.request_records import request_number
from ..domain.subscription.undone import Undone
from ..domain.subscription.unsettled_actions import ActionError
from .encode import (
    account,
    address,
    item,
    subscribed_service,
    timestamp,
    usage,
)
from .errors import STATUS, metadata_of, shortened, violations_of


def action(
    record: ActionRecord, catalogues: Catalogues, *, with_performed: bool = True
) -> api.SubscriptionAction:
    return api.SubscriptionAction(
        id=action_id(record.id),
        subscription=record.subscription,
        kind=api.ActionKind.ValueType(record.kind),
        state=api.ActionState.ValueType(record.state),
        performed=_performed(record) if with_performed else None,
        origin=api.ActionOrigin.ValueType(record.origin),
        taken_back=[undone(each, catalogues) for each in record.taken_back] or None,
        error=_error(record.error) if record.error else None,
        requests=[request_number(number) for number in record.requests] or None,
        caller=record.who.caller,
        create_time=timestamp(record.create_time),
        execute_time=timestamp(record.execute_time),
        settle_time=timestamp(record.settle_time),
    )


def _performed(record: ActionRecord) -> api.PerformActionRequest:
    """Returns the message of the call that performed the action.

    If the service performed the action by itself, returns a message with the same effect.
    """
    if record.performed:
        performed = api.PerformActionRequest.FromString(record.performed)
        performed.request_id = record.request_id
        return performed
    made = api.PerformActionRequest(
        subscription=record.subscription, performed_by=record.who.performed_by
    )
    contents = getattr(made, record.kind.name.lower())
    contents.SetInParent()
    if isinstance(record.action, StopServices):
        contents.services.extend([_selection(each) for each in record.action.services])
    return made


def _selection(each: Selection) -> api.ServiceSelection:
    return api.ServiceSelection(
        provider=each.provider, distributor=each.distributor, service=each.service
    )


def reason(value: Reason) -> errors_pb2.ErrorReason.ValueType:
    return errors_pb2.ErrorReason.Value(f"ERROR_REASON_{value.value}")


def _error(error: ActionError) -> api.ActionError:
    return api.ActionError(
        reason=reason(error.reason),
        request=request_number(error.request),
        provider=error.provider,
        error_code=error.error_code,
        error_description=error.error_description,
    )


def undone(each: Undone, catalogues: Catalogues) -> api.Undone:
    message = api.Undone(
        provider=each.provider,
        service=subscribed_service(each.service) if each.service else None,
        item=item(each.item, catalogues) if each.item else None,
        holder=account(each.holder) if each.holder else None,
        address=address(each.address) if each.address else None,
        usage=usage(each.usage) if each.usage else None,
        gone=each.gone,
    )
    if each.state:
        message.state = resources_pb2.SubscriptionState.ValueType(each.state)
    if each.link:
        message.link = True
    return message


def item_error(refused: Refused) -> errors_pb2.ItemError:
    return errors_pb2.ItemError(
        code=STATUS[refused.reason].value[0],
        reason=reason(refused.reason),
        message=shortened(refused.message, 300),
        metadata=metadata_of(refused),
        field_violations=[
            errors_pb2.FieldViolation(field=field, description=wrong)
            for field, wrong in violations_of(refused)
        ],
    )
