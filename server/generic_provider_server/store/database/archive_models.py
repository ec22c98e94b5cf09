"""Defines the tables of archives, as the migrations create them."""

from __future__ import annotations

from peewee import BigIntegerField, IntegerField, Model, SmallIntegerField, TextField


class ArchiveRow(Model):
    """An archive, as domain.archive.ArchiveRecord describes it."""

    number = BigIntegerField(primary_key=True)
    provider = TextField()
    created_before = BigIntegerField()
    final_before = BigIntegerField()
    state = SmallIntegerField()
    create_time = BigIntegerField()
    performed_by = TextField()
    caller = TextField()
    requests_archived = BigIntegerField()
    requests_total = BigIntegerField()
    size = BigIntegerField()
    checksum = TextField()
    first_create_time = BigIntegerField(null=True)
    last_create_time = BigIntegerField(null=True)
    last_settle_time = BigIntegerField(null=True)
    message = TextField()
    worker = TextField()
    moved = BigIntegerField()

    class Meta:
        table_name = "archive"


class ArchivedRow(Model):
    """An archived request, and the archive that contains the request. Rows of this table are never
    removed.
    """

    number = BigIntegerField(primary_key=True)
    state = SmallIntegerField()
    archive = BigIntegerField()
    subscription = TextField()
    provider = TextField()
    unit = BigIntegerField()
    position = IntegerField()
    reset_run = BigIntegerField()

    class Meta:
        table_name = "archived"
