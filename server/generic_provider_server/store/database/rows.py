"""Rows to values and values to rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...domain.actions import ActionKind
from ...domain.lane import Lane
from ...domain.subscription.aggregate import Pending
from ...domain.subscription.due import due_time
from ...domain.subscription.records import (
    ActionOrigin,
    ActionRecord,
    ActionState,
    RequestRecord,
    SubscriptionRecord,
    Who,
)
from ...domain.values import RequestOrigin, RequestState, RequestType
from .documents import encode, error_of, request_of, taken_back_of
from .models import DELAYED, LEASED, READY

Row = Sequence[Any]


def subscription_row(record: SubscriptionRecord, *, leased: Mapping[str, int]) -> Row:
    """What changes of a subscription, then its number."""
    desired = record.aggregate.desired
    return (
        desired.type,
        int(desired.state),
        desired.holder.number,
        record.update_time,
        record.revision,
        due_time(record.aggregate, leased=leased),
        encode(record.aggregate),
        desired.number,
    )


def new_subscription_row(record: SubscriptionRecord, *, leased: Mapping[str, int]) -> Row:
    kind, state, holder, changed, revision, due, document, number = subscription_row(
        record, leased=leased
    )
    created = record.create_time
    return number, kind, state, holder, created, changed, revision, due, document


def lane_of(row: Row) -> Lane:
    return Lane(
        provider=row[0],
        subscription=row[1],
        handover=row[2],
        count=row[3],
        unit=row[4],
        first=row[5],
        last=row[6],
        stream=row[7],
        server=row[8],
        adapter=row[9],
        lease_start=row[10],
        lease_until=row[11],
        lease_duration=row[12],
    )


def lane_row(lane: Lane, queue: tuple[Pending, ...], *, now: int) -> Row:
    """The row of a lane whose subscription has the (non-empty) queue at its provider."""
    head = queue[0]
    hidden = head.hidden_until > now
    return (
        lane.subscription,
        lane.provider,
        LEASED if lane.count else DELAYED if hidden else READY,
        int(all(pending.bulk for pending in queue)),
        head.schedule_time,
        head.number,
        head.unit,
        head.create_time,
        head.hidden_until,
        len(queue),
        lane.handover,
        lane.count,
        lane.unit,
        lane.first,
        lane.last,
        lane.stream,
        lane.server,
        lane.adapter,
        lane.lease_start,
        lane.lease_until,
        lane.lease_duration,
    )


def request_row(record: RequestRecord) -> Row:
    return (
        record.number,
        record.provider,
        record.subscription,
        record.unit,
        record.index,
        int(record.type),
        int(record.state),
        int(record.origin),
        record.action,
        record.reference,
        record.performed_by,
        record.create_time,
        record.schedule_time,
        record.settle_time,
        record.error_code,
        record.error_description,
        record.reference_number,
        record.attempts,
        record.last_adapter,
        record.last_delivery_time,
        record.handover,
        encode(record.request),
    )


def request_of_row(row: Row) -> RequestRecord:
    """From the columns of RequestRow, in their order."""
    return RequestRecord(
        number=row[0],
        provider=row[1],
        subscription=row[2],
        unit=row[3],
        index=row[4],
        type=RequestType(row[5]),
        state=RequestState(row[6]),
        origin=RequestOrigin(row[7]),
        action=row[8],
        reference=row[9],
        performed_by=row[10],
        create_time=row[11],
        schedule_time=row[12],
        settle_time=row[13],
        error_code=row[14],
        error_description=row[15],
        reference_number=row[16],
        attempts=row[17],
        last_adapter=row[18],
        last_delivery_time=row[19],
        handover=row[20],
        request=request_of(row[21]),
    )


def action_row(record: ActionRecord) -> Row:
    return (
        record.id,
        record.subscription,
        int(record.kind),
        int(record.state),
        int(record.origin),
        record.reference,
        record.who.performed_by,
        record.who.caller,
        record.request_id,
        record.create_time,
        record.execute_time,
        record.settle_time,
        record.performed,
        encode(record.error) if record.error else None,
        encode(record.taken_back) if record.taken_back else None,
    )


def action_of_row(row: Row, requests: tuple[int, ...]) -> ActionRecord:
    """From the columns of ActionRow, in their order."""
    return ActionRecord(
        id=row[0],
        subscription=row[1],
        kind=ActionKind(row[2]),
        state=ActionState(row[3]),
        origin=ActionOrigin(row[4]),
        reference=row[5],
        who=Who(performed_by=row[6], caller=row[7]),
        request_id=row[8],
        create_time=row[9],
        execute_time=row[10],
        settle_time=row[11],
        performed=bytes(row[12]),
        error=error_of(row[13]) if row[13] else None,
        taken_back=taken_back_of(row[14]) if row[14] else (),
        requests=requests,
    )
