"""Converts records of archives and of archived requests to rows and back."""

from __future__ import annotations

from typing import Any

from ...domain.archive import Archived, ArchiveRecord, ArchiveState
from ...domain.subscription.records import Who
from ...domain.values import RequestState
from .bulk import Row


def archive_row(record: ArchiveRecord) -> Row:
    return {
        "number": record.number,
        "provider": record.provider,
        "created_before": record.created_before,
        "final_before": record.final_before,
        "state": int(record.state),
        "create_time": record.create_time,
        "performed_by": record.who.performed_by,
        "caller": record.who.caller,
        "requests_archived": record.requests_archived,
        "requests_total": record.requests_total,
        "size": record.size,
        "checksum": record.checksum,
        "first_create_time": record.first_create_time,
        "last_create_time": record.last_create_time,
        "last_settle_time": record.last_settle_time,
        "message": record.message,
        "worker": record.worker,
        "moved": record.moved,
    }


def archive_of_row(row: Any) -> ArchiveRecord:
    return ArchiveRecord(
        number=row.number,
        provider=row.provider,
        created_before=row.created_before,
        final_before=row.final_before,
        state=ArchiveState(row.state),
        create_time=row.create_time,
        who=Who(performed_by=row.performed_by, caller=row.caller),
        requests_archived=row.requests_archived,
        requests_total=row.requests_total,
        size=row.size,
        checksum=row.checksum,
        first_create_time=row.first_create_time,
        last_create_time=row.last_create_time,
        last_settle_time=row.last_settle_time,
        message=row.message,
        worker=row.worker,
        moved=row.moved,
    )


def archived_row(archived: Archived) -> Row:
    return {
        "number": archived.number,
        "state": int(archived.state),
        "archive": archived.archive,
        "subscription": archived.subscription,
        "provider": archived.provider,
        "unit": archived.unit,
        "position": archived.index,
        "reset_run": archived.reset_run,
    }


def archived_of_row(row: Any) -> Archived:
    return Archived(
        number=row.number,
        state=RequestState(row.state),
        archive=row.archive,
        subscription=row.subscription,
        provider=row.provider,
        unit=row.unit,
        index=row.position,
        reset_run=row.reset_run,
    )
