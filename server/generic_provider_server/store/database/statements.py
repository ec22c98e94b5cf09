"""The SQL of the hot path; `?` stands for a parameter, whatever the database.

Conditions of partial indexes are literals: PostgreSQL's generic plans do not use such an index for
a parameter.
"""

from __future__ import annotations

from .bulk import delete, insert, update, upsert

SKIP_LOCKED = " FOR UPDATE SKIP LOCKED"
IN_ORDER = " ORDER BY number FOR UPDATE"
"""Locks, where there are several processes. Whoever is late never waits for one: SKIP_LOCKED."""

KEY_OF_TOKENS = "SELECT value FROM setting WHERE name = 'token_key'"
SUBSCRIPTIONS = (
    "SELECT number, document, create_time, update_time, revision "
    "FROM subscription WHERE number IN ({})"
)
LOCK = f"SELECT number, revision FROM subscription WHERE number IN ({{}}){IN_ORDER}"
LOCK_FREE = f"SELECT number, revision FROM subscription WHERE number IN ({{}}){SKIP_LOCKED}"
_LANE = (
    "provider, subscription, handover, count, unit, first, last, stream, server, adapter, "
    "lease_start, lease_until, lease_duration"
)
LANES = f"SELECT {_LANE} FROM lane WHERE subscription IN ({{}})"
ITEMS = "SELECT serial_number, goods_type, subscription FROM item WHERE serial_number IN ({})"
REQUEST_IDS = "SELECT id, created, digest FROM request_id WHERE id IN ({})"

_REQUEST = (
    "number, provider, subscription, unit, position, type, state, origin, action, reference, "
    "performed_by, create_time, schedule_time, settle_time, error_code, error_description, "
    "reference_number, attempts, last_adapter, last_delivery_time, handover, document"
)
REQUEST = f"SELECT {_REQUEST} FROM request WHERE number = ?"
SUBSCRIPTIONS_OF_REQUESTS = "SELECT DISTINCT subscription FROM request WHERE number IN ({})"
LATER_REQUESTS = (
    f"SELECT {_REQUEST} FROM request WHERE subscription = ? AND provider = ? "
    "AND (unit > ? OR (unit = ? AND position > ?)) AND handover > 0"
)
USES = "SELECT thing, uses FROM provider_use WHERE provider = ? AND uses > 0"

READY = (
    "SELECT subscription, age FROM lane WHERE provider = ? AND bulk = ? AND status = 0 "
    f"AND age >= ? ORDER BY age, head LIMIT ?{SKIP_LOCKED}"
)
_ACTION = (
    "id, subscription, kind, state, origin, reference, performed_by, caller, request_id, "
    "create_time, execute_time, settle_time, performed, error, taken_back"
)
ACTION = f"SELECT {_ACTION} FROM action WHERE id = ?"
REQUESTS_OF_ACTION = (
    "SELECT number FROM request WHERE subscription = ? AND action = ? ORDER BY number"
)
RAN_OUT = (
    "SELECT subscription FROM lane WHERE status = 1 AND lease_until > ? AND lease_until <= ? "
    "ORDER BY lease_until LIMIT ?"
)
OF_STREAM = "SELECT subscription FROM lane WHERE provider = ? AND status = 1 AND stream = ? LIMIT ?"
OF_SERVER = "SELECT subscription FROM lane WHERE status = 1 AND server = ? LIMIT ?"
OF_OTHER_SERVERS = (
    "SELECT subscription FROM lane WHERE status = 1 AND server NOT IN ('', ?) LIMIT ?"
)
DROP_SERVER = "DELETE FROM server WHERE id = ?"
UNSEEN = "SELECT id FROM server WHERE seen_time < ?"
AWAKE = "SELECT provider, MIN(age) FROM lane WHERE status = 2 AND ready_time <= ? GROUP BY provider"
WAKE = (
    "UPDATE lane SET status = 0 WHERE (subscription, provider) IN (SELECT subscription, provider "
    f"FROM lane WHERE status = 2 AND ready_time <= ?{SKIP_LOCKED})"
)
OVERDUE = (
    "SELECT subscription FROM lane WHERE provider = ? AND bulk = ? AND status = 0 AND age <= ? "
    "AND head_create_time <= ? ORDER BY age, head LIMIT ?"
)
OVERDUE_DELAYED = (
    "SELECT subscription FROM lane WHERE provider = ? AND status = 2 AND head_create_time <= ? "
    "LIMIT ?"
)
_PROVIDER = "code, document, etag, create_time, update_time, performed_by, caller"
PROVIDERS = f"SELECT {_PROVIDER} FROM provider"
ETAGS_AS_THEY_ARE = "SELECT code, etag FROM provider"
ETAGS = "SELECT code, etag FROM provider ORDER BY code FOR SHARE"
ETAGS_ALONE = "SELECT code, etag FROM provider ORDER BY code FOR UPDATE"

STILL_PENDING = "state + 0 = 1"
"""Not by the index of what is pending, in which PostgreSQL may find much that is no longer so."""

ADD_SUBSCRIPTION = insert(
    "subscription",
    "number, type, state, holder_number, create_time, update_time, revision, due_time, document",
)
PUT_SUBSCRIPTION = update(
    "subscription",
    "type, state, holder_number, update_time, revision, due_time, document",
    key="number",
)
PUT_LINK = upsert(
    "provider_link",
    "subscription, provider, sync_state, account_number",
    key="subscription, provider",
)
RESERVE = insert("item", "serial_number, goods_type, subscription")
RESERVE_FREE = RESERVE._replace(every=False)
"""Of those that nobody asked for: another may have them since, with an answer that comes late."""

RELEASE = delete("item", "serial_number, goods_type, subscription")._replace(every=False)
COUNT_USE = upsert("provider_use", "provider, thing, uses", key="provider, thing", add={"uses"})
ADD_ACTION = insert("action", _ACTION)
CHANGE_ACTION = update(
    "action", "state, settle_time, error, taken_back", key="id", keep="taken_back"
)
ADD_REQUEST_ID = insert("request_id", "id, created, digest")
ADD_REQUEST = insert("request", _REQUEST)
SETTLE_REQUEST = update(
    "request",
    "state, settle_time, error_code, error_description, reference_number, attempts, last_adapter, "
    "last_delivery_time, handover",
    key="number",
    where=STILL_PENDING,
)
TRY_REQUEST = update(
    "request",
    "error_code, error_description, attempts, last_adapter, last_delivery_time, handover",
    key="number",
    where=STILL_PENDING,
    every=False,
)
ADDING = (ADD_REQUEST_ID, ADD_ACTION, ADD_REQUEST)
"""A group's additions go first: what it adds, it may already change."""

PUT_LANE = upsert(
    "lane",
    "subscription, provider, status, bulk, age, head, head_unit, head_create_time, ready_time, "
    "pending, handover, count, unit, first, last, stream, server, adapter, lease_start, "
    "lease_until, lease_duration",
    key="subscription, provider",
)
DROP_LANE = delete("lane", "subscription, provider")
SET_COUNTER = update("counter", "value", key="name")
ADD_PROVIDER = insert("provider", _PROVIDER)
PUT_PROVIDER = update("provider", _PROVIDER.removeprefix("code, "), key="code")
PUT_SERVER = upsert("server", "id, seen_time, document", key="id")
