"""Contains the SQL of the floor program: what the server executes for a cycle of P2, with constants
for the values that are the same in all rows.
"""

from __future__ import annotations

from .setting import BATCH

MARKS = ", ".join("?" * BATCH)
READ = f"SELECT number, revision, document FROM subscription WHERE number IN ({MARKS})"  # noqa: S608 - only marks
LANES = f"SELECT * FROM lane WHERE subscription IN ({MARKS})"  # noqa: S608 - only marks
REPEATS = f"SELECT * FROM request_id WHERE id IN ({MARKS})"  # noqa: S608 - only marks
PUT = (
    "UPDATE subscription SET type = 'DTH', state = 2, holder_number = '', update_time = ?, "
    "revision = ?, due_time = NULL, document = ? WHERE number = ?"
)
ADD_ID = "INSERT INTO request_id (id, created, digest) VALUES (?, ?, ?)"
ADD_ACTION = (
    "INSERT INTO action (id, subscription, kind, state, origin, reference, performed_by, caller, "
    "request_id, create_time, execute_time, bulk, performed, action) "
    "VALUES (?, ?, ?, 2, 1, '', '', 'ipv4:127.0.0.1:50102', ?, ?, ?, 0, ?, ?)"
)
ADD_REQUEST = (
    "INSERT INTO request (number, provider, subscription, unit, position, type, state, origin, "
    "action, reference, performed_by, create_time, schedule_time, error_code, error_description, "
    "reference_number, attempts, last_adapter, handover, reset_run, document) "
    "VALUES (?, 'BENCH', ?, ?, 0, ?, 1, 1, ?, '', '', ?, ?, '', '', '', 0, '', 0, 0, ?)"
)
ADD_LANE = (
    "INSERT INTO lane VALUES ('BENCH', ?, 1, 0, ?, ?, ?, ?, 0, 1, 1, 1, ?, 0, 0, "
    "'3202f6d6.2a511192c9eb', '3202f6d6', 'bench', ?, ?, 30000000)"
)
END_LANE = "DELETE FROM lane WHERE subscription = ? AND provider = 'BENCH'"
SETTLE_REQUEST = (
    "UPDATE request SET error_code = '', error_description = '', attempts = 1, last_adapter = "
    "'bench', last_delivery_time = ?, handover = 1, state = 2, settle_time = ?, reference_number = "
    "'' WHERE number = ? AND request.state + 0 = 1"
)
SETTLE_ACTION = "UPDATE action SET state = 3, settle_time = ?, error = NULL WHERE id = ?"
USE = "UPDATE provider_use SET uses = uses + ? WHERE provider = 'BENCH' AND thing = ?"
COUNT = "UPDATE counter SET value = value + ? WHERE name = ? RETURNING value"
ADD_AUDIT = (
    "INSERT INTO audit (time, call, method, caller, roles, peer, performed_by, provider, "
    "subscription, resource, detail, code, reason, done, refused) VALUES "
    "(?, ?, ?, 'ipv4:127.0.0.1:50102', '[]', 'ipv4:127.0.0.1:50102', '', '', '', '', '', 0, '', ?, "
    "0)"
)
ADD_EVENT = "INSERT INTO event (number, time, document) VALUES (?, ?, ?)"
