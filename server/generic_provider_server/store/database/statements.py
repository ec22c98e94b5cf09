"""Contains the SQL of the most frequent statements. `?` marks a parameter for both databases.

The values in conditions of partial indexes are literals, because a generic plan of PostgreSQL does
not use a partial index if the value is a parameter.
"""

from __future__ import annotations

from ...domain.lane import Lane
from .archive_models import ArchivedRow, ArchiveRow
from .audit_rows import AuditRow
from .bulk import columns_of, delete, insert, update, upsert
from .models import (
    ActionRow,
    Counter,
    ItemRow,
    LaneRow,
    LinkRow,
    ProviderRow,
    ProviderUse,
    RequestIdRow,
    RequestRow,
    ResetDefinitionRow,
    ResetEntryRow,
    ResetRunRow,
    SubscriptionRow,
)

SKIP_LOCKED = " FOR UPDATE SKIP LOCKED"
ALONE = " FOR UPDATE"
TOGETHER = " FOR SHARE"
"""Locking clauses of a SELECT, for databases to which several processes write.

A command that searches for subscriptions does not wait for locks, but skips locked rows.
"""

SETTINGS = "SELECT name, value FROM setting"
PROBE = "UPDATE setting SET value = value"
"""Changes no value, but makes the database write."""
SUBSCRIPTIONS = f"SELECT {columns_of(SubscriptionRow)} FROM subscription WHERE number IN ({{}})"
SUBSCRIPTION = f"SELECT {columns_of(SubscriptionRow)} FROM subscription WHERE number = ?"
_LOCKED = (
    "SELECT locked.* FROM unnest(?::text[], ?::bigint[]) AS known(number, revision), "
    "LATERAL (SELECT number, create_time, update_time, revision, CASE WHEN "
    "subscription.revision IS DISTINCT FROM known.revision THEN document END AS document "
    "FROM subscription WHERE number = known.number{}) AS locked"
)
LOCK, LOCK_FREE = _LOCKED.format(ALONE), _LOCKED.format(SKIP_LOCKED)
"""Lock and read subscriptions, only on PostgreSQL. The parameters are the numbers of the
subscriptions, and for each number the revision that the process knows. The row of a subscription
contains the document only if the subscription has another revision. The subscriptions are locked in
the order of the parameters.
"""

_LANE = columns_of(LaneRow, wanted=Lane.__struct_fields__)
LANES = f"SELECT {_LANE} FROM lane WHERE subscription IN ({{}})"
WHOLE_LANES = f"SELECT {columns_of(LaneRow)} FROM lane WHERE subscription IN ({{}})"
ACCOUNTS = (
    "SELECT provider, subscription, account_number FROM provider_link WHERE subscription IN ({})"
)
ITEMS = f"SELECT {columns_of(ItemRow)} FROM item WHERE serial_number IN ({{}})"
REQUEST_IDS = f"SELECT {columns_of(RequestIdRow)} FROM request_id WHERE id IN ({{}})"

REQUEST = f"SELECT {columns_of(RequestRow)} FROM request WHERE number = ?"
SUBSCRIPTIONS_OF_REQUESTS = "SELECT DISTINCT subscription FROM request WHERE number IN ({})"
LATER_REQUESTS = (
    f"SELECT {columns_of(RequestRow)} FROM request WHERE subscription = ? AND provider = ? "
    "AND (unit > ? OR (unit = ? AND position > ?)) AND handover <> 0"
)
USES = "SELECT thing, uses FROM provider_use WHERE provider = ? AND uses > 0"

ACTION = f"SELECT {columns_of(ActionRow)} FROM action WHERE id = ?"
SCHEDULED = (
    f"SELECT {columns_of(ActionRow)} FROM action WHERE subscription IN ({{}}) "
    "AND due_time IS NOT NULL"
)
REQUESTS_OF_ACTION = (
    "SELECT number FROM request WHERE subscription = ? AND action = ? ORDER BY number"
)
HAS_RUN_OUT = (
    "status = 1 AND lease_until > ? AND "
    "(server = ? AND lease_until <= ? OR server = '' AND lease_until <= ?)"
)
SIGN = "SELECT seen_time FROM server WHERE id = ?"
FORGET_SERVER = "DELETE FROM server WHERE id = ? AND seen_time = ?"
DELAY_IS_OVER = "status = 2 AND ready_time > ? AND ready_time <= ?"
"""The condition that the delay of a lane is over. The parameters are one of the pairs that
`ended_delays` returns.
"""
DELAYS_OVER = (
    f"SELECT subscription, provider, ready_since FROM lane WHERE {DELAY_IS_OVER} "
    f"LIMIT ?{SKIP_LOCKED}"
)
PROVIDERS = f"SELECT {columns_of(ProviderRow)} FROM provider"
ETAGS_AS_THEY_ARE = "SELECT code, etag FROM provider"
ETAGS = f"{ETAGS_AS_THEY_ARE} ORDER BY code{TOGETHER}"
USE_ALONE = "LOCK TABLE provider IN EXCLUSIVE MODE"
"""Waits until no other transaction has locked providers, only on PostgreSQL. Transactions that
begin later wait behind this statement. If a transaction waited for the locks of rows instead, it
might wait for ever, because transactions that lock the rows together do not wait behind it.
"""

ADD_SUBSCRIPTION = insert(SubscriptionRow)
PUT_SUBSCRIPTION = update(SubscriptionRow, but=[SubscriptionRow.create_time])
PUT_LINK = upsert(LinkRow, but=[LinkRow.report_time])
SET_SYNC_STATE = update(LinkRow, LinkRow.sync_state)
MARK_REPORTED = update(LinkRow, LinkRow.report_time, raise_only=[LinkRow.report_time], every=False)
REPORT_TIMES = (
    "SELECT provider, subscription, report_time FROM provider_link WHERE subscription IN ({})"
)
RESERVE = insert(ItemRow)
RESERVE_UNASKED = insert(ItemRow, every=False)
"""Reserves items that no caller requested.

It is no error if an item is already reserved for another subscription, because a late answer may
name an item that another subscription got in the meantime.
"""

RELEASE = delete(ItemRow, whole=True, every=False)
COUNT_USE = upsert(ProviderUse, add=[ProviderUse.uses])
ADD_ACTION = insert(ActionRow, unused=True)
CHANGE_ACTION = update(
    ActionRow,
    ActionRow.state,
    ActionRow.settle_time,
    ActionRow.error,
    ActionRow.taken_back,
    keep=[ActionRow.taken_back],
)
END_SCHEDULE = update(ActionRow, where="action.due_time IS NOT NULL")
ADD_REQUEST_ID = insert(RequestIdRow)

STILL_PENDING = "request.state + 0 = 1"
"""The condition that a request is pending, written so that the database does not use the index of
pending requests. On PostgreSQL this index may have many entries of requests that are no longer
pending.
"""

TRIED = (
    RequestRow.error_code,
    RequestRow.error_description,
    RequestRow.attempts,
    RequestRow.last_adapter,
    RequestRow.last_delivery_time,
    RequestRow.handover,
)
SETTLED = (*TRIED, RequestRow.settle_time, RequestRow.reference_number)
ADD_REQUEST = insert(RequestRow, unused=True, defaults=SETTLED)
TRY_REQUEST = update(RequestRow, *TRIED, where=STILL_PENDING, every=False)
SETTLE_REQUEST = update(
    RequestRow,
    *SETTLED,
    RequestRow.state,
    keep=(RequestRow.last_adapter, RequestRow.last_delivery_time, RequestRow.handover),
    where=STILL_PENDING,
)

NEXT_EVENT = "UPDATE counter SET value = value + 1 WHERE name = 'event'"
ADD_EVENT = (
    "INSERT INTO event (number, time, document) SELECT value, ?, ? FROM counter "
    "WHERE name = 'event'"
)
EVENT_SIZES = (
    "SELECT number, LENGTH(document) AS size FROM event WHERE number >= ? ORDER BY number LIMIT ?"
)
EVENTS = "SELECT number, time, document FROM event WHERE number BETWEEN ? AND ? ORDER BY number"
OLDEST_EVENTS = (
    "SELECT number, time FROM event WHERE number < (SELECT MIN(number) FROM event) + ? "
    "ORDER BY number"
)
DROP_EVENTS = "DELETE FROM event WHERE number <= ?"

ADD_AUDIT = upsert(AuditRow, add=[AuditRow.done, AuditRow.refused])
DROP_AUDIT = delete(AuditRow, every=False)
OLDEST_AUDIT = "SELECT time, call FROM audit WHERE time < ? ORDER BY time, call LIMIT ?"

PUT_LANE = upsert(LaneRow)
DROP_LANE = delete(LaneRow)
SET_STATUS = update(LaneRow, LaneRow.status)
SET_COUNTER = update(Counter)
ADD_PROVIDER = insert(ProviderRow)
PUT_PROVIDER = update(ProviderRow)
WRITES = (
    ADD_SUBSCRIPTION,
    RELEASE,
    RESERVE,
    RESERVE_UNASKED,
    PUT_SUBSCRIPTION,
    PUT_LINK,
    SET_SYNC_STATE,
    PUT_LANE,
    DROP_LANE,
    ADD_REQUEST_ID,
    ADD_ACTION,
    END_SCHEDULE,
    ADD_REQUEST,
    TRY_REQUEST,
    SETTLE_REQUEST,
    CHANGE_ACTION,
    MARK_REPORTED,
    ADD_PROVIDER,
    PUT_PROVIDER,
)
"""The statements that write the changes of a group, in their order. New rows are added before rows
are changed, because the group may change its own new rows. Items are released before they are
reserved for another subscription. TRY_REQUEST, which records how a hand-over ended, precedes
SETTLE_REQUEST, because TRY_REQUEST does not change a settled request.
"""

RESET_DEFINITION = (
    f"SELECT {columns_of(ResetDefinitionRow)} FROM reset_definition WHERE id = ?{ALONE}"
)
RESET_RUN = f"SELECT {columns_of(ResetRunRow)} FROM reset_run WHERE id = ?{ALONE}"
OPEN_RESET_RUN = (
    f"SELECT {columns_of(ResetRunRow)} FROM reset_run WHERE definition = ? AND state IN (1, 2)"
)
RESET_ENTRIES = (
    f"SELECT {columns_of(ResetEntryRow)} FROM reset_entry "
    "WHERE run = ? AND subscription > ? AND subscription <= ? AND outcome = 1"
)
PUT_RESET_DEFINITION = upsert(ResetDefinitionRow)
DROP_RESET_DEFINITION = "DELETE FROM reset_definition WHERE id = ?"
PUT_RESET_RUN = upsert(ResetRunRow)
FIRST_ENTRIES = (
    "SELECT run, subscription FROM reset_entry WHERE run = ? ORDER BY subscription LIMIT ?"
)
DROP_ENTRIES = delete(ResetEntryRow, every=False)
ADD_RESET_ENTRY = insert(ResetEntryRow, unused=True)
PUT_RESET_ENTRY = update(ResetEntryRow)
ACCEPTED_OF = (
    f"SELECT {columns_of(RequestRow)} FROM request WHERE subscription IN ({{}}) AND state + 0 = 2"
)
ARCHIVE = f"SELECT {columns_of(ArchiveRow)} FROM archive WHERE number = ?"
ARCHIVE_FREE = f"{ARCHIVE}{SKIP_LOCKED}"
NEXT_ARCHIVE = (
    f"SELECT {columns_of(ArchiveRow)} FROM archive WHERE state = 1 ORDER BY number LIMIT 1"
)
ARCHIVE_SETTLED_AFTER = (
    f"SELECT {columns_of(ArchiveRow)} FROM archive WHERE state <> 3 AND last_settle_time > ? "
    "AND provider IN ('', ?) LIMIT 1"
)
ARCHIVED = f"SELECT {columns_of(ArchivedRow)} FROM archived WHERE number = ?"
ACTIONS_WITHOUT_REQUESTS = (
    "SELECT id, request_id FROM action WHERE id IN ({}) AND NOT EXISTS (SELECT 1 FROM request "
    "WHERE request.subscription = action.subscription AND request.action = action.id)"
)
PUT_ARCHIVE = upsert(ArchiveRow)
ADD_ARCHIVED = insert(ArchivedRow)
DROP_REQUEST = delete(RequestRow)
DROP_ACTION = delete(ActionRow)
DROP_REQUEST_ID = delete(RequestIdRow, every=False)
RUNS_WITHOUT_REQUESTS = (
    "SELECT id, document FROM reset_run WHERE id IN ({}) AND NOT EXISTS (SELECT 1 FROM request "
    "WHERE request.reset_run = reset_run.id AND request.reset_run <> 0)"
)
DROP_RUN = delete(ResetRunRow)
DROP_ENTRY = delete(
    ResetEntryRow,
    where="NOT EXISTS (SELECT 1 FROM reset_run WHERE reset_run.id = reset_entry.run)",
    every=False,
)
