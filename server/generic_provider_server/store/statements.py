"""The SQL of the hot path, the same for every database; `?` stands for a parameter."""

from __future__ import annotations

MOST_KEYS = 500
"""Keys in one IN (…)."""

SUBSCRIPTIONS = (
    "SELECT number, document, create_time, update_time, revision "
    "FROM subscription WHERE number IN ({})"
)
_LANE = (
    "provider, subscription, handover, count, unit, first, last, stream, server, adapter, "
    "lease_start, lease_until, lease_duration"
)
LANES = f"SELECT {_LANE} FROM lane WHERE subscription IN ({{}})"
ITEMS = "SELECT serial_number, goods_type, subscription FROM item WHERE serial_number IN ({})"
REQUEST_IDS = "SELECT id, created, digest FROM request_id WHERE id IN ({})"

REQUEST = (
    "number, provider, subscription, unit, position, type, state, origin, action, reference, "
    "performed_by, create_time, schedule_time, settle_time, error_code, error_description, "
    "reference_number, attempts, last_adapter, last_delivery_time, handover, document"
)
REQUESTS = f"SELECT {REQUEST} FROM request WHERE number IN ({{}})"
LATER_REQUESTS = (
    f"SELECT {REQUEST} FROM request WHERE subscription = ? AND provider = ? "
    "AND (unit > ? OR (unit = ? AND position > ?)) AND handover > 0"
)
USES = "SELECT thing, uses FROM provider_use WHERE provider = ? AND uses > 0"

READY = (
    "SELECT subscription FROM lane WHERE provider = ? AND bulk = ? AND status = 0 "
    "ORDER BY age, head LIMIT ?"
)
ACTION = (
    "SELECT id, subscription, kind, state, origin, reference, performed_by, caller, request_id, "
    "create_time, execute_time, settle_time, performed, error, taken_back "
    "FROM action WHERE id = ?"
)
REQUESTS_OF_ACTION = (
    "SELECT number FROM request WHERE subscription = ? AND action = ? ORDER BY number"
)
RAN_OUT = (
    "SELECT subscription FROM lane WHERE status = 1 AND lease_until <= ? "
    "ORDER BY lease_until LIMIT ?"
)
OF_STREAM = "SELECT subscription FROM lane WHERE provider = ? AND status = 1 AND stream = ? LIMIT ?"
OF_DEAD_SERVERS = "SELECT subscription FROM lane WHERE status = 1 AND server NOT IN ('', ?) LIMIT ?"
DUE = (
    "SELECT number FROM subscription WHERE due_time IS NOT NULL AND due_time <= ? "
    "ORDER BY due_time LIMIT ?"
)
AWAKE = "SELECT DISTINCT provider FROM lane WHERE status = 2 AND ready_time <= ?"
WAKE = "UPDATE lane SET status = 0 WHERE status = 2 AND ready_time <= ?"
DISOWN = "UPDATE lane SET server = '' WHERE status = 1 AND server = ?"
OVERDUE = (
    "SELECT subscription FROM lane WHERE provider = ? AND bulk = ? AND status = 0 AND age <= ? "
    "AND head_create_time <= ? ORDER BY age, head LIMIT ?"
)
OVERDUE_DELAYED = (
    "SELECT subscription FROM lane WHERE provider = ? AND status = 2 AND head_create_time <= ? "
    "LIMIT ?"
)

PUT_SUBSCRIPTION = (
    "INSERT INTO subscription "
    "(number, type, state, holder_number, create_time, update_time, revision, due_time, document) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET "
    "type = excluded.type, state = excluded.state, holder_number = excluded.holder_number, "
    "update_time = excluded.update_time, revision = excluded.revision, "
    "due_time = excluded.due_time, document = excluded.document"
)
PUT_LINK = (
    "INSERT INTO provider_link (subscription, provider, sync_state, account_number) "
    "VALUES (?, ?, ?, ?) ON CONFLICT (subscription, provider) DO UPDATE SET "
    "sync_state = excluded.sync_state, account_number = excluded.account_number"
)
RESERVE = (
    "INSERT INTO item (serial_number, goods_type, subscription) VALUES (?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)
RELEASE = "DELETE FROM item WHERE serial_number = ? AND goods_type = ? AND subscription = ?"
COUNT_USE = (
    "INSERT INTO provider_use (provider, thing, uses) VALUES (?, ?, ?) "
    "ON CONFLICT (provider, thing) DO UPDATE SET uses = provider_use.uses + excluded.uses"
)
ADD_ACTION = (
    "INSERT INTO action (id, subscription, kind, state, origin, reference, performed_by, caller, "
    "request_id, create_time, execute_time, settle_time, performed, error, taken_back) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
CHANGE_ACTION = (
    "UPDATE action SET state = ?, settle_time = ?, error = ?, "
    "taken_back = COALESCE(?, taken_back) WHERE id = ?"
)
ADD_REQUEST_ID = "INSERT INTO request_id (id, created, digest) VALUES (?, ?, ?)"
ADD_REQUEST = (
    "INSERT INTO request (number, provider, subscription, unit, position, type, state, origin, "
    "action, reference, performed_by, create_time, schedule_time, settle_time, error_code, "
    "error_description, reference_number, attempts, last_adapter, last_delivery_time, handover, "
    "document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
SETTLE_REQUEST = (
    "UPDATE request SET state = ?, settle_time = ?, error_code = ?, error_description = ?, "
    "reference_number = ?, attempts = ?, last_adapter = ?, last_delivery_time = ?, handover = ? "
    "WHERE number = ? AND state = 1"
)
TRY_REQUEST = (
    "UPDATE request SET error_code = ?, error_description = ?, attempts = ?, last_adapter = ?, "
    "last_delivery_time = ?, handover = ? WHERE number = ? AND state = 1"
)
ADDING = frozenset({ADD_ACTION, ADD_REQUEST_ID, ADD_REQUEST})
"""A group's additions go first: what it adds, it may already change."""

PUT_LANE = (
    "INSERT INTO lane (subscription, provider, status, bulk, age, head, head_unit, "
    "head_create_time, ready_time, pending, handover, count, unit, first, last, stream, server, "
    "adapter, lease_start, lease_until, lease_duration) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (subscription, provider) DO UPDATE SET status = excluded.status, "
    "bulk = excluded.bulk, age = excluded.age, head = excluded.head, "
    "head_unit = excluded.head_unit, head_create_time = excluded.head_create_time, "
    "ready_time = excluded.ready_time, pending = excluded.pending, "
    "handover = excluded.handover, count = excluded.count, unit = excluded.unit, "
    "first = excluded.first, last = excluded.last, stream = excluded.stream, "
    "server = excluded.server, adapter = excluded.adapter, lease_start = excluded.lease_start, "
    "lease_until = excluded.lease_until, lease_duration = excluded.lease_duration"
)
DROP_LANE = "DELETE FROM lane WHERE subscription = ? AND provider = ?"
SET_COUNTER = "UPDATE counter SET value = ? WHERE name = ?"
PUT_PROVIDER = (
    "INSERT INTO provider "
    "(code, document, etag, create_time, update_time, performed_by, caller) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (code) DO UPDATE SET "
    "document = excluded.document, etag = excluded.etag, update_time = excluded.update_time, "
    "performed_by = excluded.performed_by, caller = excluded.caller"
)
