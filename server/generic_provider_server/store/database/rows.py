"""Converts rows to values and values to rows. A row from the database has its columns as
attributes; a row for the database is a dictionary.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, TypeVar, cast

from ...domain.actions import ActionKind
from ...domain.lane import Lane
from ...domain.subscription.aggregate import Aggregate, Link
from ...domain.subscription.due import due_time
from ...domain.subscription.pending_requests import Pending
from ...domain.subscription.records import (
    ActionOrigin,
    ActionRecord,
    ActionState,
    ProviderRecord,
    SubscriptionRecord,
    Who,
)
from ...domain.subscription.request_records import RequestRecord
from ...domain.values import (
    Goods,
    Instant,
    RequestOrigin,
    RequestState,
    RequestType,
    SyncState,
)
from .bulk import Row
from .documents import (
    action_of,
    aggregate_of,
    encode,
    error_of,
    provider_of,
    request_of,
    taken_back_of,
)

Found = TypeVar("Found")


def rows_of(cursor: Any) -> list[Any]:
    """Returns the rows of a cursor of either database."""
    named = _row_type(tuple([column[0] for column in cursor.description]))
    return [named(row) for row in cursor.fetchall()]


@cache
def _row_type(columns: tuple[str, ...]) -> Any:
    return cast(Any, namedtuple("Row", columns, rename=True))._make  # noqa: PYI024 - columns vary


def first_of(rows: Sequence[Any], convert: Callable[[Any], Found]) -> Found | None:
    """Converts the first row. Returns None if there is no row."""
    return convert(rows[0]) if rows else None


def provider_row(record: ProviderRecord) -> Row:
    return {
        "code": record.provider.code,
        "document": encode(record.provider),
        "etag": record.etag,
        "create_time": record.create_time,
        "update_time": record.update_time,
        "performed_by": record.who.performed_by,
        "caller": record.who.caller,
    }


def provider_of_row(row: Any) -> ProviderRecord:
    return ProviderRecord(
        provider=provider_of(bytes(row.document)),
        etag=row.etag,
        create_time=row.create_time,
        update_time=row.update_time,
        who=Who(performed_by=row.performed_by, caller=row.caller),
    )


def subscription_row(
    record: SubscriptionRecord, *, leased: Callable[[str], AbstractSet[int]]
) -> Row:
    """Returns the row of a subscription. `leased` gets the code of a provider, and returns the
    numbers of the subscription's requests that are on a live lease at this provider.
    """
    desired = record.aggregate.desired
    return {
        "number": desired.number,
        "type": desired.type,
        "state": int(desired.state),
        "holder_number": desired.holder.number,
        "create_time": record.create_time,
        "update_time": record.update_time,
        "revision": record.revision,
        "due_time": due_time(record.aggregate, leased=leased),
        "document": encode(record.aggregate),
    }


def subscription_of_row(row: Any) -> SubscriptionRecord:
    return SubscriptionRecord(
        aggregate=aggregate_of(bytes(row.document)),
        create_time=row.create_time,
        update_time=row.update_time,
        revision=row.revision,
    )


def link_row(subscription: str, link: Link) -> Row:
    """Returns the columns of a link that queries need.

    No column says whether requests are pending, because a link has pending requests exactly if the
    table of lanes contains a row for the link.
    """
    out_of_sync, account_number, holds = searched_of(link)
    return {
        "subscription": subscription,
        "provider": link.provider,
        "sync_state": int(SyncState.OUT_OF_SYNC if out_of_sync else SyncState.IN_SYNC),
        "account_number": account_number,
        "holds": int(holds),
    }


def searched_of(link: Link) -> tuple[bool, str, bool]:
    """Returns the values of a link that queries need: whether the link is OUT_OF_SYNC, the account
    number, and whether the platform has confirmed an entitlement.
    """
    out_of_sync = link.sync_state is SyncState.OUT_OF_SYNC
    return out_of_sync, link.account_number, bool(link.confirmed.entitlements)


def item_row(goods: Goods, subscription: str) -> Row:
    return {
        "goods_type": goods.goods_type,
        "serial_number": goods.serial_number,
        "subscription": subscription,
    }


def lane_row(lane: Lane, queue: Sequence[Pending], *, now: Instant) -> Row:
    """Returns the row of a lane.

    `queue`: the pending requests of the subscription at the provider, at least one.
    """
    head = queue[0]
    return {
        "subscription": lane.subscription,
        "provider": lane.provider,
        "status": int(lane.state(queue, now=now)),
        "bulk": int(head.bulk and all(pending.bulk for pending in queue)),
        "ready_since": head.schedule_time,
        "head": head.number,
        "head_unit": head.unit,
        "head_create_time": head.create_time,
        "ready_time": head.hidden_until,
        "pending": len(queue),
        "handover": lane.handover,
        "count": len(lane.unanswered(queue)),
        "unit": lane.unit,
        "first": lane.first,
        "last": lane.last,
        "stream": lane.stream,
        "server": lane.server,
        "adapter": lane.adapter,
        "lease_start": lane.lease_start,
        "lease_until": lane.lease_until,
        "lease_duration": lane.lease_duration,
    }


def lane_of_row(row: Any) -> Lane:
    return Lane(
        provider=row.provider,
        subscription=row.subscription,
        handover=row.handover,
        unit=row.unit,
        first=row.first,
        last=row.last,
        stream=row.stream,
        server=row.server,
        adapter=row.adapter,
        lease_start=row.lease_start,
        lease_until=row.lease_until,
        lease_duration=row.lease_duration,
    )


def request_row(aggregate: Aggregate, provider: str, pending: Pending) -> Row:
    """Returns the row of a new request, without the columns that hand-overs fill."""
    performed = aggregate.action(pending.action)
    return {
        "number": pending.number,
        "provider": provider,
        "subscription": aggregate.desired.number,
        "unit": pending.unit,
        "position": pending.index,
        "type": int(pending.request.type),
        "state": int(RequestState.PENDING),
        "origin": int(pending.origin),
        "action": pending.action,
        "reset_run": pending.reset_run,
        "reference": performed.reference if performed else "",
        "performed_by": performed.performed_by if performed else pending.performed_by,
        "create_time": pending.create_time,
        "schedule_time": pending.schedule_time,
        "document": encode(pending.request),
    }


def request_of_row(row: Any) -> RequestRecord:
    return RequestRecord(
        number=row.number,
        provider=row.provider,
        subscription=row.subscription,
        unit=row.unit,
        index=row.position,
        type=RequestType(row.type),
        state=RequestState(row.state),
        origin=RequestOrigin(row.origin),
        action=row.action,
        reset_run=row.reset_run,
        reference=row.reference,
        performed_by=row.performed_by,
        create_time=row.create_time,
        schedule_time=row.schedule_time,
        settle_time=row.settle_time,
        error_code=row.error_code,
        error_description=row.error_description,
        reference_number=row.reference_number,
        attempts=row.attempts,
        last_adapter=row.last_adapter,
        last_delivery_time=row.last_delivery_time,
        handover=row.handover,
        request=request_of(row.document),
    )


def action_row(record: ActionRecord) -> Row:
    return {
        "id": record.id,
        "subscription": record.subscription,
        "kind": int(record.kind),
        "state": int(record.state),
        "origin": int(record.origin),
        "reference": record.reference,
        "performed_by": record.who.performed_by,
        "caller": record.who.caller,
        "request_id": record.request_id,
        "create_time": record.create_time,
        "execute_time": record.execute_time,
        "settle_time": record.settle_time,
        "due_time": record.due_time,
        "expected_revision": record.expected_revision,
        "bulk": int(record.bulk),
        "performed": record.performed,
        "action": encode(record.action) if record.action else None,
        "error": encode(record.error) if record.error else None,
        "taken_back": encode(record.taken_back) if record.taken_back else None,
    }


def action_of_row(row: Any, *, requests: tuple[int, ...]) -> ActionRecord:
    """Returns the action in the row. `requests`: the numbers of the action's requests."""
    return ActionRecord(
        id=row.id,
        subscription=row.subscription,
        kind=ActionKind(row.kind),
        state=ActionState(row.state),
        origin=ActionOrigin(row.origin),
        reference=row.reference,
        who=Who(performed_by=row.performed_by, caller=row.caller),
        request_id=row.request_id,
        create_time=row.create_time,
        execute_time=row.execute_time,
        settle_time=row.settle_time,
        due_time=row.due_time,
        expected_revision=row.expected_revision,
        bulk=bool(row.bulk),
        performed=bytes(row.performed),
        action=action_of(row.action) if row.action else None,
        error=error_of(row.error) if row.error else None,
        taken_back=taken_back_of(row.taken_back) if row.taken_back else (),
        requests=requests,
    )
