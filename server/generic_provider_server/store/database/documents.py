"""Converts values to stored JSON documents and back, with msgspec."""

from __future__ import annotations

import msgspec

from ...domain.actions import AnyAction
from ...domain.platform.request import Request
from ...domain.subscription.aggregate import Aggregate
from ...domain.subscription.events import Event
from ...domain.subscription.undone import Undone
from ...domain.subscription.unsettled_actions import ActionError
from ...domain.values import Provider

encode = msgspec.json.Encoder().encode
aggregate_of = msgspec.json.Decoder(Aggregate).decode
provider_of = msgspec.json.Decoder(Provider).decode
request_of = msgspec.json.Decoder(Request).decode
action_of = msgspec.json.Decoder(AnyAction).decode
error_of = msgspec.json.Decoder(ActionError).decode
taken_back_of = msgspec.json.Decoder(tuple[Undone, ...]).decode
events_of = msgspec.json.Decoder(tuple[Event, ...]).decode
