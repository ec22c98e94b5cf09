"""Defines the table of the audit trail, and converts entries to rows and back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import asdict
from peewee import BigIntegerField, CompositeKey, Model, SmallIntegerField, TextField

from ...domain.audit import AuditEntry
from .bulk import Row
from .documents import encode

_roles_of = lru_cache(msgspec.json.Decoder(tuple[str, ...]).decode)


class AuditRow(Model):
    """An entry of the audit trail, as domain.audit.AuditEntry describes it. `roles`: the roles as a
    JSON list.
    """

    time = BigIntegerField()
    call = BigIntegerField()
    method = TextField()
    caller = TextField()
    roles = TextField()
    peer = TextField()
    performed_by = TextField()
    provider = TextField()
    subscription = TextField()
    resource = TextField()
    detail = TextField()
    code = SmallIntegerField()
    reason = TextField()
    done = BigIntegerField()
    refused = BigIntegerField()

    class Meta:
        table_name = "audit"
        primary_key = CompositeKey("time", "call")


def audit_row(entry: AuditEntry) -> Row:
    return {**asdict(entry), "roles": _text_of(entry.roles)}


def entry_of_row(row: Any) -> AuditEntry:
    facts = {name: getattr(row, name) for name in AuditEntry.__struct_fields__}
    return AuditEntry(**{**facts, "roles": _roles_of(row.roles)})


@lru_cache
def _text_of(roles: tuple[str, ...]) -> str:
    return encode(roles).decode()
