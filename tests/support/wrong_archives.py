"""Contains wrong calls about archives, the reasons for the refusals, and the fields that the
refusals name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider.v1 import request_service_pb2 as requests

from .wrong_actions import BROKEN_TIME, LONG, UNKNOWN, Case

Creates: Any = requests.CreateArchiveRequest
Lists: Any = requests.ListArchivesRequest
Entries: Any = requests.ListAuditEntriesRequest
CHECKSUM = "0" * 64


def named(kind: Any, **fields: Any) -> list[Case]:
    """Returns the wrong calls of an RPC that names an archive."""
    return [
        (kind(**fields), "INVALID_FIELD", "archive"),
        (kind(archive=LONG, **fields), "INVALID_FIELD", "archive"),
        (kind(archive="nonsense", **fields), "ARCHIVE_NOT_FOUND", "archive"),
        (kind(archive="Z0000000001", **fields), "ARCHIVE_NOT_FOUND", "archive"),
    ]


ARCHIVES: Mapping[str, list[Case]] = {
    "CreateArchive": [
        (Creates(), "INVALID_FIELD", "created_before"),
        (Creates(created_before=BROKEN_TIME), "INVALID_FIELD", "created_before"),
        (
            Creates(created_before=Timestamp(), request_id="x" * 101),
            "INVALID_FIELD",
            "request_id",
        ),
        (Creates(created_before=Timestamp(), provider="NONE"), "PROVIDER_NOT_FOUND", "provider"),
    ],
    "GetArchive": named(requests.GetArchiveRequest),
    "ListArchives": [
        (Lists(page_size=-1), "INVALID_FIELD", "page_size"),
        (Lists(page_token="no token"), "INVALID_FIELD", "page_token"),
        (Lists(states=[UNKNOWN]), "INVALID_FIELD", "states[0]"),
        (Lists(subscription=LONG), "INVALID_FIELD", "subscription"),
    ],
    "DownloadArchive": named(requests.DownloadArchiveRequest),
    "DeleteArchive": [
        *named(requests.DeleteArchiveRequest, checksum=CHECKSUM),
        (requests.DeleteArchiveRequest(archive="Z0000000001"), "INVALID_FIELD", "checksum"),
    ],
    "ListAuditEntries": [
        (Entries(page_size=-1), "INVALID_FIELD", "page_size"),
        (Entries(page_token="no token"), "INVALID_FIELD", "page_token"),
        (Entries(methods=["ListRequests", "perform"]), "INVALID_FIELD", "methods[1]"),
        (Entries(methods=["GetRequest"] * 101), "INVALID_FIELD", "methods"),
        (Entries(codes=[0, 17]), "INVALID_FIELD", "codes[1]"),
        (Entries(codes=[0] * 101), "INVALID_FIELD", "codes"),
        (Entries(caller="x" * 201), "INVALID_FIELD", "caller"),
        (Entries(performed_by="x" * 101), "INVALID_FIELD", "performed_by"),
        (Entries(resource=LONG), "INVALID_FIELD", "resource"),
        (Entries(time_from=BROKEN_TIME), "INVALID_FIELD", "time_from"),
    ],
}
