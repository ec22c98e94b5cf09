"""The schema of the first release."""

from __future__ import annotations

from typing import Any

from peewee import SqliteDatabase

TYPES = {"i2": "SMALLINT", "i4": "INTEGER", "i8": "BIGINT", "text": 'TEXT COLLATE "C"'} | {
    "bytes": "BYTEA",
    "without_rowid": "",
}
SQLITE_TYPES = {"i2": "INTEGER", "i4": "INTEGER", "i8": "INTEGER", "text": "TEXT"} | {
    "bytes": "BLOB",
    "without_rowid": "WITHOUT ROWID",
}

TABLES = """
CREATE TABLE setting (name {text} NOT NULL PRIMARY KEY, value {bytes} NOT NULL);

CREATE TABLE counter (name {text} NOT NULL PRIMARY KEY, value {i8} NOT NULL);

CREATE TABLE provider (
    code {text} NOT NULL PRIMARY KEY, document {bytes} NOT NULL, etag {i8} NOT NULL,
    create_time {i8} NOT NULL, update_time {i8} NOT NULL, performed_by {text} NOT NULL,
    caller {text} NOT NULL
);

CREATE TABLE provider_use (
    provider {text} NOT NULL, thing {text} NOT NULL, uses {i8} NOT NULL,
    PRIMARY KEY (provider, thing)
) {without_rowid};

CREATE TABLE subscription (
    number {text} NOT NULL PRIMARY KEY, type {text} NOT NULL, state {i2} NOT NULL,
    holder_number {text} NOT NULL, create_time {i8} NOT NULL, update_time {i8} NOT NULL,
    revision {i8} NOT NULL, due_time {i8}, document {bytes} NOT NULL
);
CREATE INDEX subscription_create_time ON subscription (create_time);
CREATE INDEX subscription_due_time ON subscription (due_time) WHERE due_time IS NOT NULL;
CREATE INDEX subscription_holder_number ON subscription (holder_number) WHERE holder_number <> '';

CREATE TABLE provider_link (
    provider {text} NOT NULL, subscription {text} NOT NULL, sync_state {i2} NOT NULL,
    account_number {text} NOT NULL, PRIMARY KEY (subscription, provider)
) {without_rowid};
CREATE INDEX provider_link_out_of_sync ON provider_link (provider, subscription)
    WHERE sync_state = 3;
CREATE INDEX provider_link_account_number ON provider_link (account_number)
    WHERE account_number <> '';

CREATE TABLE item (
    goods_type {text} NOT NULL, serial_number {text} NOT NULL, subscription {text} NOT NULL,
    PRIMARY KEY (serial_number, goods_type)
) {without_rowid};

CREATE TABLE action (
    id {i8} NOT NULL PRIMARY KEY, subscription {text} NOT NULL, kind {i2} NOT NULL,
    state {i2} NOT NULL, origin {i2} NOT NULL, reference {text} NOT NULL,
    performed_by {text} NOT NULL, caller {text} NOT NULL, request_id {text} NOT NULL,
    create_time {i8} NOT NULL, execute_time {i8}, settle_time {i8}, performed {bytes} NOT NULL,
    error {bytes}, taken_back {bytes}
);
CREATE INDEX action_subscription ON action (subscription, id);
CREATE INDEX action_reference ON action (reference, id) WHERE reference <> '';

CREATE TABLE request_id (
    id {text} NOT NULL PRIMARY KEY, created {text} NOT NULL, digest {bytes} NOT NULL
) {without_rowid};

CREATE TABLE request (
    number {i8} NOT NULL PRIMARY KEY, provider {text} NOT NULL, subscription {text} NOT NULL,
    unit {i8} NOT NULL, position {i4} NOT NULL, type {i2} NOT NULL, state {i2} NOT NULL,
    origin {i2} NOT NULL, action {i8} NOT NULL, reference {text} NOT NULL,
    performed_by {text} NOT NULL, create_time {i8} NOT NULL, schedule_time {i8} NOT NULL,
    settle_time {i8}, error_code {text} NOT NULL, error_description {text} NOT NULL,
    reference_number {text} NOT NULL, attempts {i4} NOT NULL, last_adapter {text} NOT NULL,
    last_delivery_time {i8}, handover {i8} NOT NULL, document {bytes} NOT NULL
);
CREATE INDEX request_subscription ON request (subscription, number);
CREATE INDEX request_pending ON request (provider, create_time) WHERE state = 1;
CREATE INDEX request_reference ON request (reference, number) WHERE reference <> '';

CREATE TABLE lane (
    provider {text} NOT NULL, subscription {text} NOT NULL, status {i2} NOT NULL,
    bulk {i2} NOT NULL, age {i8} NOT NULL, head {i8} NOT NULL, head_unit {i8} NOT NULL,
    head_create_time {i8} NOT NULL, ready_time {i8} NOT NULL, pending {i4} NOT NULL,
    handover {i8} NOT NULL, count {i4} NOT NULL, unit {i8} NOT NULL, first {i4} NOT NULL,
    last {i4} NOT NULL, stream {text} NOT NULL, server {text} NOT NULL, adapter {text} NOT NULL,
    lease_start {i8} NOT NULL, lease_until {i8} NOT NULL, lease_duration {i8} NOT NULL,
    PRIMARY KEY (subscription, provider)
) {without_rowid};
CREATE INDEX lane_ready ON lane (provider, bulk, age, head) WHERE status = 0;
CREATE INDEX lane_leased ON lane (lease_until) WHERE status = 1;
CREATE INDEX lane_delayed ON lane (ready_time) WHERE status = 2
"""


def up(_migrator: Any, db: Any) -> None:
    types = SQLITE_TYPES if isinstance(db, SqliteDatabase) else TYPES
    for statement in TABLES.format_map(types).split(";"):
        db.execute_sql(statement)
