"""Plain Python values as the contract wants them."""

from __future__ import annotations

from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp


def instant(argument: str, value: datetime | None) -> Timestamp | None:
    if value is None:
        return None
    if value.utcoffset() is None:
        raise ValueError(f"{argument} must be a datetime with a time zone, not {value!r}")
    timestamp = Timestamp()
    timestamp.FromDatetime(value)
    return timestamp


def span(value: timedelta | None) -> Duration | None:
    if value is None:
        return None
    duration = Duration()
    duration.FromTimedelta(value)
    return duration
