"""Reads and writes the tables of archives within a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...domain.archive import Archived, ArchiveRecord
from ...domain.values import Instant, RequestState
from ..archives.lines import (
    ActionLine,
    AuditLine,
    Content,
    EntryLine,
    RequestLine,
    RunLine,
    instant,
    number_of,
)
from ..database import statements as sql
from ..database.archive_rows import archive_of_row, archive_row, archived_of_row, archived_row
from ..database.engine import Tables
from ..database.reset_rows import run_of_row
from ..database.rows import first_of


class Archives:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def find(self, number: int) -> ArchiveRecord | None:
        return self._first(sql.ARCHIVE, number)

    def lock(self, number: int) -> ArchiveRecord | None:
        """Locks the archive.

        Returns None if the archive does not exist, or if another process has locked the archive.
        """
        return self._first(sql.ARCHIVE_FREE, number)

    def next(self) -> ArchiveRecord | None:
        """Returns the oldest archive in the state CREATING, or None."""
        return self._first(sql.NEXT_ARCHIVE)

    def settled_after(self, since: Instant, *, provider: str) -> ArchiveRecord | None:
        """Returns an archive that may contain requests of the provider that were settled after
        `since`.
        """
        return self._first(sql.ARCHIVE_SETTLED_AFTER, since, provider)

    def put(self, record: ArchiveRecord) -> None:
        self._tables.write(sql.PUT_ARCHIVE, [archive_row(record)])

    def archived(self, request: int) -> Archived | None:
        """Returns the record of an archived request."""
        return first_of(self._tables.select(sql.ARCHIVED, (request,)), archived_of_row)

    def holding(self, request: int) -> ArchiveRecord | None:
        """Returns the archive that contains the request."""
        archived = self.archived(request)
        return self.find(archived.archive) if archived else None

    def move(self, archive: int, lines: Sequence[Content]) -> int:
        """Removes the rows whose contents these lines of an archive file contain, and returns the
        number of removed requests.

        An action or a reset run stays in the tables as long as one of its requests stays. The file
        may contain an action or a run that stays: requests are written first, and a request that is
        not in the file may become archivable before its action or run is written. The entries of a
        run (the outcomes for single subscriptions) are removed only if the run itself was removed.
        """
        archived = [_archived(line, archive) for line in lines if isinstance(line, RequestLine)]
        self._tables.write(sql.ADD_ARCHIVED, map(archived_row, archived))
        self._tables.write(sql.DROP_REQUEST, [{"number": each.number} for each in archived])
        actions = [number_of(line.id) for line in lines if isinstance(line, ActionLine)]
        gone = self._tables.select_in(sql.ACTIONS_WITHOUT_REQUESTS, actions)
        self._tables.write(sql.DROP_ACTION, [{"id": action.id} for action in gone])
        self._forget_calls(action.request_id for action in gone)
        self._move_runs(lines)
        entries = [line for line in lines if isinstance(line, AuditLine)]
        keys = [{"time": instant(each.time), "call": int(each.id, 16)} for each in entries]
        self._tables.write(sql.DROP_AUDIT, keys)
        return len(archived)

    def _move_runs(self, lines: Sequence[Content]) -> None:
        runs = [number_of(line.id) for line in lines if isinstance(line, RunLine)]
        gone = self._tables.select_in(sql.RUNS_WITHOUT_REQUESTS, runs)
        self._tables.write(sql.DROP_RUN, [{"id": row.id} for row in gone])
        self._forget_calls(run_of_row(row).request_id for row in gone)
        entries = [
            {"run": number_of(line.reset_run), "subscription": line.subscription}
            for line in lines
            if isinstance(line, EntryLine)
        ]
        self._tables.write(sql.DROP_ENTRY, entries)

    def _forget_calls(self, request_ids: Iterable[str]) -> None:
        self._tables.write(sql.DROP_REQUEST_ID, [{"id": each} for each in request_ids if each])

    def _first(self, statement: str, *parameters: int | str) -> ArchiveRecord | None:
        return first_of(self._tables.select(statement, parameters), archive_of_row)


def _archived(line: RequestLine, archive: int) -> Archived:
    return Archived(
        number=number_of(line.number),
        state=RequestState[line.state],
        archive=archive,
        subscription=line.subscription,
        provider=line.provider,
        unit=line.unit,
        index=line.position,
        reset_run=number_of(line.reset_run),
    )
