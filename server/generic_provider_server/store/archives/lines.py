"""Defines the lines of an archive's file. Each line is a JSON object with a `kind`.

The first line names the archive, the last line counts the lines of each kind. Outside stored
documents, the values of enumerations are written as names, and times in ISO 8601, so that people
can read a file without this program.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import asdict

from ...domain.audit import AuditEntry
from ...domain.values import Instant

FORMAT = 2
"""Format 2 has lines of the audit trail; format 1 has none."""
NOTHING = msgspec.Raw(b"null")
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    pass


class Opening(_Line, frozen=True, kw_only=True, tag="archive", omit_defaults=False):
    id: str
    provider: str
    created_before: datetime
    create_time: datetime
    format: int = FORMAT


class RequestLine(_Line, frozen=True, kw_only=True, tag="request"):
    """The row of a request. `contents`: the stored document with the change that the platform had
    to make.
    """

    number: str
    provider: str
    subscription: str
    type: str
    state: str
    origin: str
    create_time: datetime
    schedule_time: datetime
    settle_time: datetime
    unit: int
    position: int
    action: str = ""
    reset_run: str = ""
    reference: str = ""
    performed_by: str = ""
    error_code: str = ""
    error_description: str = ""
    reference_number: str = ""
    delivery_attempts: int = 0
    last_adapter: str = ""
    last_delivery_time: datetime | None = None
    contents: msgspec.Raw


class ActionLine(_Line, frozen=True, kw_only=True, tag="action"):
    """The row of an action.

    `contents`: the action with its parameters. `performed`: the message of the call, an encoded
    PerformActionRequest.
    """

    id: str
    subscription: str
    action: str
    state: str
    origin: str
    create_time: datetime
    execute_time: datetime | None = None
    settle_time: datetime
    reference: str = ""
    performed_by: str = ""
    caller: str = ""
    request_id: str = ""
    contents: msgspec.Raw = NOTHING
    performed: bytes = b""
    error: msgspec.Raw = NOTHING
    taken_back: msgspec.Raw = NOTHING


class RunLine(_Line, frozen=True, kw_only=True, tag="reset_run"):
    """The row of a reset run. In the file, the entries of the run follow this line. `contents`: the
    stored document of the run.
    """

    id: str
    provider: str
    state: str
    start_time: datetime
    end_time: datetime
    performed_by: str = ""
    contents: msgspec.Raw


class EntryLine(_Line, frozen=True, kw_only=True, tag="reset_run_entry"):
    """The outcome of a reset run for one subscription. `contents`: the stored document of the
    entry.
    """

    reset_run: str
    subscription: str
    outcome: str
    contents: msgspec.Raw


class AuditLine(_Line, frozen=True, kw_only=True, tag="audit"):
    """An entry of the audit trail. `code`: a gRPC status code. The log of the server shows the same
    fields of an entry.
    """

    id: str
    time: datetime
    method: str
    caller: str
    roles: tuple[str, ...] = ()
    peer: str = ""
    performed_by: str = ""
    provider: str = ""
    subscription: str = ""
    resource: str = ""
    detail: str = ""
    code: int = 0
    reason: str = ""
    done: int = 0
    refused: int = 0


class Closing(_Line, frozen=True, kw_only=True, tag="end"):
    lines: dict[str, int]


Content = RequestLine | ActionLine | RunLine | EntryLine | AuditLine
Line = Opening | Content | Closing

encode_line = msgspec.json.Encoder().encode
decode_line = msgspec.json.Decoder(Line).decode


def audit_line(entry: AuditEntry) -> AuditLine:
    facts = {**asdict(entry), "id": entry.id, "time": moment(entry.time)}
    del facts["call"]
    return AuditLine(**facts)


def kind_of(line: Content) -> str:
    return str(type(line).__struct_config__.tag)


def moment(instant: int) -> datetime:
    return _EPOCH + instant * _MICROSECOND


def instant(moment: datetime) -> Instant:
    return Instant((moment - _EPOCH) // _MICROSECOND)


def number_of(name: str) -> int:
    """Returns the number in an id such as R0000000042; 0 for an empty id."""
    return int(name[1:] or 0)
