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
from .encode_parts import (
    account,
    address,
    item,
    subscribed_service,
    time_of,
    usage,
)
from .errors import STATUS, metadata_of, shortened, violations_of


def action(
    record: ActionRecord,
    catalogues: Catalogues,
    *,
    with_performed: bool = True,
    into: api.SubscriptionAction | None = None,
) -> api.SubscriptionAction:
    message = into or api.SubscriptionAction()
    message.id = action_id(record.id)
    message.subscription = record.subscription
    message.kind = api.ActionKind.ValueType(record.kind)
    message.state = api.ActionState.ValueType(record.state)
    message.origin = api.ActionOrigin.ValueType(record.origin)
    message.caller = record.who.caller
    message.create_time.CopyFrom(time_of(record.create_time))
    if with_performed:
        _put_performed(record, message.performed)
    if record.requests:
        message.requests.extend(map(request_number, record.requests))
    for each in record.taken_back:
        undone(each, catalogues, message.taken_back.add())
    if record.error:
        _put_error(record.error, message.error)
    if record.execute_time is not None:
        message.execute_time.CopyFrom(time_of(record.execute_time))
    if record.settle_time is not None:
        message.settle_time.CopyFrom(time_of(record.settle_time))
    return message


def _put_performed(record: ActionRecord, into: api.PerformActionRequest) -> None:
    """Fills `into` with the message of the call that performed the action.

    If the service performed the action by itself, `into` becomes the message of a call with the
    same effect.
    """
    if record.performed:
        into.ParseFromString(record.performed)
        into.request_id = record.request_id
        return
    into.subscription = record.subscription
    into.performed_by = record.who.performed_by
    contents = getattr(into, record.kind.name.lower())
    contents.SetInParent()
    if isinstance(record.action, StopServices):
        contents.services.extend([_selection(each) for each in record.action.services])


def _selection(each: Selection) -> api.ServiceSelection:
    return api.ServiceSelection(
        provider=each.provider, distributor=each.distributor, service=each.service
    )


def reason(value: Reason) -> errors_pb2.ErrorReason.ValueType:
    return errors_pb2.ErrorReason.Value(f"ERROR_REASON_{value.value}")


def _put_error(error: ActionError, into: api.ActionError) -> None:
    into.reason = reason(error.reason)
    into.request = request_number(error.request)
    into.provider = error.provider
    into.error_code = error.error_code
    into.error_description = error.error_description


def undone(each: Undone, catalogues: Catalogues, into: api.Undone) -> None:
    into.provider = each.provider
    if each.service:
        subscribed_service(each.service, into.service)
    if each.item:
        item(each.item, catalogues, into.item)
    if each.holder:
        account(each.holder, into.holder)
    if each.address:
        address(each.address, into.address)
    if each.usage:
        usage(each.usage, into.usage)
    if each.state:
        into.state = resources_pb2.SubscriptionState.ValueType(each.state)
    if each.link:
        into.link = True
    if each.gone:
        into.gone = True


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
