"""The SQL of the hot path, the same for every database; `?` stands for a parameter."""

from __future__ import annotations

MOST_KEYS = 500
"""Keys in one IN (…)."""


def _insert(table: str, columns: str) -> str:
    marks = ", ".join("?" * (columns.count(",") + 1))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"


def _upsert(table: str, columns: str, *, key: str) -> str:
    others = [name for name in columns.split(", ") if name not in key.split(", ")]
    changes = ", ".join(f"{name} = excluded.{name}" for name in others)
    return f"{_insert(table, columns)} ON CONFLICT ({key}) DO UPDATE SET {changes}"


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

_REQUEST = (
    "number, provider, subscription, unit, position, type, state, origin, action, reference, "
    "performed_by, create_time, schedule_time, settle_time, error_code, error_description, "
    "reference_number, attempts, last_adapter, last_delivery_time, handover, document"
)
REQUESTS = f"SELECT {_REQUEST} FROM request WHERE number IN ({{}})"
LATER_REQUESTS = (
    f"SELECT {_REQUEST} FROM request WHERE subscription = ? AND provider = ? "
    "AND (unit > ? OR (unit = ? AND position > ?)) AND handover > 0"
)
USES = "SELECT thing, uses FROM provider_use WHERE provider = ? AND uses > 0"

READY = (
    "SELECT subscription FROM lane WHERE provider = ? AND bulk = ? AND status = 0 "
    "ORDER BY age, head LIMIT ?"
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
    "SELECT subscription FROM lane WHERE status = 1 AND lease_until <= ? "
    "ORDER BY lease_until LIMIT ?"
)
OF_STREAM = "SELECT subscription FROM lane WHERE provider = ? AND status = 1 AND stream = ? LIMIT ?"
OF_DEAD_SERVERS = "SELECT subscription FROM lane WHERE status = 1 AND server NOT IN ('', ?) LIMIT ?"
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

PUT_SUBSCRIPTION = _upsert(
    "subscription",
    "number, type, state, holder_number, create_time, update_time, revision, due_time, document",
    key="number",
)
PUT_LINK = _upsert(
    "provider_link",
    "subscription, provider, sync_state, account_number",
    key="subscription, provider",
)
RESERVE = _insert("item", "serial_number, goods_type, subscription") + " ON CONFLICT DO NOTHING"
RELEASE = "DELETE FROM item WHERE serial_number = ? AND goods_type = ? AND subscription = ?"
COUNT_USE = (
    _insert("provider_use", "provider, thing, uses")
    + " ON CONFLICT (provider, thing) DO UPDATE SET uses = provider_use.uses + excluded.uses"
)
ADD_ACTION = _insert("action", _ACTION)
CHANGE_ACTION = (
    "UPDATE action SET state = ?, settle_time = ?, error = ?, "
    "taken_back = COALESCE(?, taken_back) WHERE id = ?"
)
ADD_REQUEST_ID = _insert("request_id", "id, created, digest")
ADD_REQUEST = _insert("request", _REQUEST)
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

PUT_LANE = _upsert(
    "lane",
    "subscription, provider, status, bulk, age, head, head_unit, head_create_time, ready_time, "
    "pending, handover, count, unit, first, last, stream, server, adapter, lease_start, "
    "lease_until, lease_duration",
    key="subscription, provider",
)
DROP_LANE = "DELETE FROM lane WHERE subscription = ? AND provider = ?"
SET_COUNTER = "UPDATE counter SET value = ? WHERE name = ?"
PUT_PROVIDER = _upsert(
    "provider",
    "code, document, etag, create_time, update_time, performed_by, caller",
    key="code",
)
