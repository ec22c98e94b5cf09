"""Contains the SQL of queries that a server repeats all the time, and that mostly find nothing.

The statements are constants, because to build one of these queries takes longer than to run the
query. The subscriptions that were set aside are inserted at `({})`.
"""

from __future__ import annotations

from .statements import DELAY_IS_OVER, HAS_RUN_OUT

LEASES_RAN_OUT = (
    f"SELECT subscription FROM lane WHERE {HAS_RUN_OUT} AND subscription NOT IN ({{}}) LIMIT ?"
)
DELAYS_ARE_OVER = f"SELECT 1 FROM lane WHERE {DELAY_IS_OVER} LIMIT 1"
REQUESTS_OVERDUE = (
    "SELECT subscription FROM request WHERE provider = ? AND state = 1 AND create_time < ? "
    "AND subscription NOT IN ({}) LIMIT ?"
)
SUBSCRIPTIONS_DUE = (
    "SELECT number, due_time FROM subscription WHERE due_time IS NOT NULL AND due_time <= ? "
    "AND number NOT IN ({}) ORDER BY due_time LIMIT ?"
)
SCHEDULED_ARE_DUE = (
    "SELECT subscription, due_time FROM action WHERE due_time IS NOT NULL AND due_time <= ? "
    "AND subscription NOT IN ({}) ORDER BY due_time LIMIT ?"
)
OLD_EVENT = (
    "SELECT MAX(number) AS number FROM event WHERE time < ? AND number IN ("
    "SELECT first + column1 FROM (SELECT MIN(number) AS first FROM event) AS oldest, "
    f"(VALUES {', '.join([f'({2**n - 1})' for n in range(40)])}) AS later) AND "
    "(SELECT time FROM event WHERE number = (SELECT MIN(number) FROM event)) NOT BETWEEN ? AND ?"
)
"""Finds the number of an old row of events; NULL if the first row is not to be removed yet. The
numbers of the rows ascend in the order of their commits. So if the time of the first row is in the
future, and an old row follows, the first row is old too: the clock was ahead when the first row was
written. The query reads only the rows at growing distances from the first row.
"""

AUDIT_IS_OLD = "SELECT 1 FROM audit WHERE time < ? LIMIT 1"

DEFINITIONS_DUE = "SELECT id FROM reset_definition WHERE next_run_time <= ?"
RUNS_WITHOUT_WORKER = (
    "SELECT id FROM reset_run WHERE state = 2 "
    "AND server NOT IN (SELECT id FROM server WHERE id <> ?)"
)
RUNS_HELD_TOO_LONG = "SELECT id FROM reset_run WHERE held_since <= ?"
ARCHIVE_TO_MAKE = (
    "SELECT worker, server.id AS living FROM archive LEFT JOIN server ON server.id = worker "
    "WHERE state = 1 ORDER BY number LIMIT 1"
)
