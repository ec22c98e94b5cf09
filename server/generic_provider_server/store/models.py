"""The tables.

A subscription's document is its whole aggregate; the other tables are what must be unique,
counted, searched or claimed. Instants are microseconds since 1970.
"""

from __future__ import annotations

from peewee import (
    SQL,
    BigIntegerField,
    BlobField,
    CompositeKey,
    IntegerField,
    Model,
    SmallIntegerField,
    TextField,
)

READY, LEASED, DELAYED = 0, 1, 2
"""Status of a lane: to be handed over, on a live lease, waiting for its retry."""


class Setting(Model):
    """Facts of this store: its id, and the key of the lease tokens."""

    name = TextField(primary_key=True)
    value = BlobField()

    class Meta:
        table_name = "setting"


class Counter(Model):
    """The last number given: of a subscription, an action, a request."""

    name = TextField(primary_key=True)
    value = BigIntegerField()

    class Meta:
        table_name = "counter"


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
    """How many subscriptions name a thing of a provider; see domain.naming.uses_of."""

    provider = TextField()
    thing = TextField()
    uses = BigIntegerField()

    class Meta:
        table_name = "provider_use"
        primary_key = CompositeKey("provider", "thing")
        without_rowid = True


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


SubscriptionRow.add_index(SubscriptionRow.create_time, name="subscription_create_time")
SubscriptionRow.add_index(
    SubscriptionRow.due_time, where=SQL("due_time IS NOT NULL"), name="subscription_due_time"
)
SubscriptionRow.add_index(
    SubscriptionRow.holder_number,
    where=SQL("holder_number <> ''"),
    name="subscription_holder_number",
)


class LinkRow(Model):
    """A subscription at a provider, for finding: the link itself is in the document."""

    provider = TextField()
    subscription = TextField()
    sync_state = SmallIntegerField()
    account_number = TextField()

    class Meta:
        table_name = "provider_link"
        primary_key = CompositeKey("subscription", "provider")
        without_rowid = True


LinkRow.add_index(
    LinkRow.provider,
    LinkRow.subscription,
    where=SQL("sync_state = 3"),
    name="provider_link_out_of_sync",
)
LinkRow.add_index(
    LinkRow.account_number,
    where=SQL("account_number <> ''"),
    name="provider_link_account_number",
)


class ItemRow(Model):
    """The reservation of an item: it is on at most one subscription."""

    goods_type = TextField()
    serial_number = TextField()
    subscription = TextField()

    class Meta:
        table_name = "item"
        primary_key = CompositeKey("serial_number", "goods_type")
        without_rowid = True


class ActionRow(Model):
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
    performed = BlobField()
    error = BlobField(null=True)
    taken_back = BlobField(null=True)

    class Meta:
        table_name = "action"


ActionRow.add_index(ActionRow.subscription, ActionRow.id, name="action_subscription")
ActionRow.add_index(
    ActionRow.reference, ActionRow.id, where=SQL("reference <> ''"), name="action_reference"
)


class RequestIdRow(Model):
    """A caller's `request_id`, what it created, and a digest of what was asked."""

    id = TextField(primary_key=True)
    created = TextField()
    digest = BlobField()

    class Meta:
        table_name = "request_id"
        without_rowid = True


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
    document = BlobField()

    class Meta:
        table_name = "request"


RequestRow.add_index(RequestRow.subscription, RequestRow.number, name="request_subscription")
RequestRow.add_index(
    RequestRow.provider,
    RequestRow.create_time,
    where=SQL("state = 1"),
    name="request_pending",
)
RequestRow.add_index(
    RequestRow.reference,
    RequestRow.number,
    where=SQL("reference <> ''"),
    name="request_reference",
)


class LaneRow(Model):
    """One row per provider and subscription with pending requests: what is claimed.

    `head` is the number of its first pending request, `age` when that was scheduled.
    """

    provider = TextField()
    subscription = TextField()
    status = SmallIntegerField()
    bulk = SmallIntegerField()
    age = BigIntegerField()
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
        without_rowid = True


LaneRow.add_index(
    LaneRow.provider,
    LaneRow.bulk,
    LaneRow.age,
    LaneRow.head,
    where=SQL("status = 0"),
    name="lane_ready",
)
LaneRow.add_index(LaneRow.lease_until, where=SQL("status = 1"), name="lane_leased")
LaneRow.add_index(LaneRow.ready_time, where=SQL("status = 2"), name="lane_delayed")

TABLES = (
    Setting,
    Counter,
    ProviderRow,
    ProviderUse,
    SubscriptionRow,
    LinkRow,
    ItemRow,
    ActionRow,
    RequestIdRow,
    RequestRow,
    LaneRow,
)
