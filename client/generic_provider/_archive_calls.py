"""Defines the calls of RequestService about archives and the audit trail."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import uuid4

import grpc

from generic_provider._calls import Call, Caller, Pages, Watch, chosen
from generic_provider._values import instant, several
from generic_provider.enums import ArchiveState
from generic_provider.v1 import request_service_pb2 as v1


def create_archive(
    caller: Caller,
    *,
    created_before: datetime,
    provider: str = "",
    request_id: str = "",
    performed_by: str = "",
) -> Call[v1.CreateArchiveResponse, v1.Archive]:
    """Move requests out of the database into a file: the requests that were created before
    `created_before`. The call returns the archive in the state CREATING; `get_archive` shows its
    progress.

    `provider`: archive only requests of this provider; empty means all providers. Requests that are
    not settled yet, or were settled recently, stay in the database.
    """
    request = v1.CreateArchiveRequest(
        provider=provider,
        created_before=instant("created_before", created_before),
        request_id=request_id or str(uuid4()),
        performed_by=performed_by or caller.performed_by,
    )
    return Call(request, v1.CreateArchiveResponse, lambda done: done.archive)


def get_archive(_: Caller, archive: str) -> Call[v1.GetArchiveResponse, v1.Archive]:
    """Get one archive by its id."""
    request = v1.GetArchiveRequest(archive=archive)
    return Call(request, v1.GetArchiveResponse, lambda found: found.archive)


def list_archives(
    _: Caller,
    *,
    provider: str = "",
    state: ArchiveState.ValueType | str | None = None,
    states: Iterable[ArchiveState.ValueType | str] = (),
    subscription: str = "",
    page_size: int = 0,
) -> Pages[v1.ListArchivesResponse, v1.Archive]:
    """List the archives that match all filters, newest archives first.

    `subscription`: list only archives that contain requests of this subscription.
    """
    request = v1.ListArchivesRequest(
        provider=provider,
        states=chosen(ArchiveState, state, states),
        subscription=subscription,
        page_size=page_size,
    )
    return Pages(request, v1.ListArchivesResponse, lambda page: page.archives)


def download_archive(
    _: Caller, archive: str, *, offset: int = 0
) -> Watch[v1.DownloadArchiveResponse, bytes]:
    """Yield the bytes of an archive's file in pieces, beginning at the byte `offset`. If the stream
    breaks, a new stream continues at the same byte.

    After the last piece the call raises ChecksumMismatch if the file was altered. If the stream
    broke, or `offset` is not 0, the server cannot check the file: then compare the SHA-256 of the
    whole file with the archive's `checksum`.
    """
    request = v1.DownloadArchiveRequest(archive=archive, offset=offset)

    def read(piece: v1.DownloadArchiveResponse) -> list[bytes]:
        request.offset += len(piece.data)
        return [piece.data]

    return Watch(request, v1.DownloadArchiveResponse, read)


def delete_archive(
    caller: Caller, archive: str, *, checksum: str, performed_by: str = ""
) -> Call[v1.DeleteArchiveResponse, v1.Archive]:
    """Delete an archive's file permanently. `checksum` must be the `checksum` of the archive."""
    request = v1.DeleteArchiveRequest(
        archive=archive, checksum=checksum, performed_by=performed_by or caller.performed_by
    )
    return Call(request, v1.DeleteArchiveResponse, lambda done: done.archive)


def list_audit_entries(
    _: Caller,
    *,
    methods: Iterable[str] = (),
    caller: str = "",
    performed_by: str = "",
    provider: str = "",
    subscription: str = "",
    resource: str = "",
    codes: Iterable[grpc.StatusCode] = (),
    refused: bool = False,
    time_from: datetime | None = None,
    time_to: datetime | None = None,
    page_size: int = 0,
) -> Pages[v1.ListAuditEntriesResponse, v1.AuditEntry]:
    """List the entries of the audit trail that match all filters, newest entries first.

    `refused`: list only calls that were refused as a whole or in part.
    """
    request = v1.ListAuditEntriesRequest(
        methods=several("methods", methods),
        caller=caller,
        performed_by=performed_by,
        provider=provider,
        subscription=subscription,
        resource=resource,
        codes=[code.value[0] for code in codes],
        refused=refused,
        time_from=instant("time_from", time_from),
        time_to=instant("time_to", time_to),
        page_size=page_size,
    )
    return Pages(request, v1.ListAuditEntriesResponse, lambda page: page.entries)
