"""Defines a statement that runs for hours, on SQLite and on PostgreSQL."""

from __future__ import annotations

FOREVER = """WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers
WHERE n < 1000000000000) SELECT max(n) FROM numbers"""
