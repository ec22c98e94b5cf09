"""Defines the tables as the migrations create them, except the tables of the audit trail
(`audit_rows`) and of archives (`archive_models`). Only the migrations define the indexes.

The column `document` of `subscription` contains the whole aggregate: the subscription with its
unsettled actions and pending requests. Other tables contain parts of the aggregate again: the
items, which must be unique; the uses of a provider, which are counted; the requests, for queries;
and the lanes, for hand-overs. Instants are microseconds since 1970.
"""

from __future__ import annotations

from peewee import (
    BigIntegerField,
    BlobField,
    CompositeKey,
    IntegerField,
    Model,
    SmallIntegerField,
    TextField,
)


class Setting(Model):
    """A setting of this database: the id of the store, the key of the tokens, or the number of the
    newest schema change that each server on this database must know.
    """

    name = TextField(primary_key=True)
    value = BlobField()


class Counter(Model):
    """The greatest number that was given to, or reserved for, objects of one kind, for example
    subscriptions.
    """

    name = TextField(primary_key=True)
    value = BigIntegerField()


class ProviderRow(Model):
    code = TextField(primary_key=True)
    document = BlobField()
    etag = BigIntegerField()
    create_time = BigIntegerField()
    update_time = BigIntegerField()
    performed_by = TextField()
    caller = TextField()

    class Meta:
        table_name = "provider"


class ProviderUse(Model):
    """The number of subscriptions and scheduled actions that use a part of a provider. `thing`: the
    part, as domain.subscription.names_used.uses_of names it.
    """

    provider = TextField()
    thing = TextField()
    uses = BigIntegerField()

    class Meta:
        table_name = "provider_use"
        primary_key = CompositeKey("provider", "thing")


class SubscriptionRow(Model):
    number = TextField(primary_key=True)
    type = TextField()
    state = SmallIntegerField()
    holder_number = TextField()
    create_time = BigIntegerField()
    update_time = BigIntegerField()
    revision = BigIntegerField()
    due_time = BigIntegerField(null=True)
    document = BlobField()

    class Meta:
        table_name = "subscription"


class LinkRow(Model):
    """A link of a subscription to a provider, with the columns that queries need.

    The link itself is in the document of the subscription. `sync_state` only says whether the link
    is OUT_OF_SYNC. A link that is not OUT_OF_SYNC is PENDING if there is a lane for the link,
    otherwise IN_SYNC. `holds`: 1 if the platform has confirmed an entitlement. `report_time`: the
    start of the last complete report that has named the subscription; 0 if there is none.
    """

    provider = TextField()
    subscription = TextField()
    sync_state = SmallIntegerField()
    account_number = TextField()
    holds = SmallIntegerField()
    report_time = BigIntegerField(default=0)

    class Meta:
        table_name = "provider_link"
        primary_key = CompositeKey("subscription", "provider")


class ItemRow(Model):
    """The reservation of an item for a subscription. An item is reserved for at most one
    subscription.
    """

    goods_type = TextField()
    serial_number = TextField()
    subscription = TextField()

    class Meta:
        table_name = "item"
        primary_key = CompositeKey("serial_number", "goods_type")


class ActionRow(Model):
    """An action. `due_time` is set only while the action is scheduled."""

    id = BigIntegerField(primary_key=True)
    subscription = TextField()
    kind = SmallIntegerField()
    state = SmallIntegerField()
    origin = SmallIntegerField()
    reference = TextField()
    performed_by = TextField()
    caller = TextField()
    request_id = TextField()
    create_time = BigIntegerField()
    execute_time = BigIntegerField(null=True)
    settle_time = BigIntegerField(null=True)
    due_time = BigIntegerField(null=True)
    expected_revision = BigIntegerField(null=True)
    bulk = SmallIntegerField(default=0)
    performed = BlobField()
    action = BlobField(null=True)
    error = BlobField(null=True)
    taken_back = BlobField(null=True)

    class Meta:
        table_name = "action"


class RequestIdRow(Model):
    """A caller's `request_id`, the id of the object that the call created, and a digest of the
    call.
    """

    id = TextField(primary_key=True)
    created = TextField()
    digest = BlobField()

    class Meta:
        table_name = "request_id"


class RequestRow(Model):
    number = BigIntegerField(primary_key=True)
    provider = TextField()
    subscription = TextField()
    unit = BigIntegerField()
    position = IntegerField()
    type = SmallIntegerField()
    state = SmallIntegerField()
    origin = SmallIntegerField()
    action = BigIntegerField()
    reference = TextField()
    performed_by = TextField()
    create_time = BigIntegerField()
    schedule_time = BigIntegerField()
    settle_time = BigIntegerField(null=True)
    error_code = TextField(default="")
    error_description = TextField(default="")
    reference_number = TextField(default="")
    attempts = IntegerField(default=0)
    last_adapter = TextField(default="")
    last_delivery_time = BigIntegerField(null=True)
    handover = BigIntegerField(default=0)
    reset_run = BigIntegerField(default=0)
    document = BlobField()

    class Meta:
        table_name = "request"


class LaneRow(Model):
    """The lane of a subscription with pending requests at a provider. The command Claim searches
    this table for requests to hand over.

    `status`: the number of the lane's LaneState. `count`: the number of requests on the live lease.
    `head`: the number of the first pending request. `ready_since`: the time for which the first
    pending request was scheduled.
    """

    provider = TextField()
    subscription = TextField()
    status = SmallIntegerField()
    bulk = SmallIntegerField()
    ready_since = BigIntegerField()
    head = BigIntegerField()
    head_unit = BigIntegerField()
    head_create_time = BigIntegerField()
    ready_time = BigIntegerField()
    pending = IntegerField()
    handover = BigIntegerField()
    count = IntegerField()
    unit = BigIntegerField()
    first = IntegerField()
    last = IntegerField()
    stream = TextField()
    server = TextField()
    adapter = TextField()
    lease_start = BigIntegerField()
    lease_until = BigIntegerField()
    lease_duration = BigIntegerField()

    class Meta:
        table_name = "lane"
        primary_key = CompositeKey("subscription", "provider")


class ServerRow(Model):
    """A server process, with its last sign of life (`seen_time`).

    `document`: the description of the streams of the process, for the other processes.
    """

    id = TextField(primary_key=True)
    seen_time = BigIntegerField()
    document = BlobField()

    class Meta:
        table_name = "server"


class ResetDefinitionRow(Model):
    id = BigIntegerField(primary_key=True)
    provider = TextField()
    state = SmallIntegerField()
    next_run_time = BigIntegerField(null=True)
    document = BlobField()

    class Meta:
        table_name = "reset_definition"


class ResetRunRow(Model):
    """A reset run, with the columns that queries need.

    `server`: the process that works on the run.
    """

    id = BigIntegerField(primary_key=True)
    definition = BigIntegerField()
    provider = TextField()
    state = SmallIntegerField()
    server = TextField()
    held_since = BigIntegerField(null=True)
    document = BlobField()

    class Meta:
        table_name = "reset_run"


class ResetEntryRow(Model):
    run = BigIntegerField()
    subscription = TextField()
    outcome = SmallIntegerField()
    document = BlobField()

    class Meta:
        table_name = "reset_entry"
        primary_key = CompositeKey("run", "subscription")


class EventRow(Model):
    """The events of one transaction. A transaction with many events has several rows.

    A cursor consists of the number of a row and the place of an event in the row. The numbers of
    the rows ascend in the order of the commits, without gaps.
    """

    number = BigIntegerField(primary_key=True)
    time = BigIntegerField()
    document = BlobField()

    class Meta:
        table_name = "event"
