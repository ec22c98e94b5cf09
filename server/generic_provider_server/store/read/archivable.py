"""Finds the rows that are moved into an archive, page by page, and converts the rows to lines of
the archive's file.

A page contains a bounded number of rows. The rows of requests, of actions without requests, and of
reset runs are in the order of their numbers, and the entries of the audit trail are in the order of
their times.

A row that may be archived now may also be archived at any later time: final states, settled actions
and ended runs never change, and no settled request becomes the last error of a link later.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import IntEnum
from functools import reduce
from operator import and_
from typing import Any

from msgspec import Raw
from peewee import JOIN, Expression, Field, fn

from ...domain.actions import ActionKind
from ...domain.archive import ArchiveRecord
from ...domain.resets.records import run_id
from ...domain.subscription.records import ActionOrigin, ActionState, action_id
from ...domain.subscription.request_records import request_number
from ...domain.values import SECOND, RequestOrigin, RequestState, RequestType
from ..archives.lines import NOTHING, ActionLine, Content, RequestLine, audit_line, moment
from ..database.audit_rows import AuditRow, entry_of_row
from ..database.models import ActionRow, RequestRow
from .archivable_runs import START, ArchivableRuns, Page, PageStart

MOST_ROWS = 500
DISORDER = 3_600 * SECOND
"""Numbers ascend with time, except among transactions that run at the same time, and every
transaction is shorter than DISORDER.

If a row was created later than an archive's `created_before` plus DISORDER, all rows with greater
numbers were created after `created_before` too.
"""


def _names(kind: type[IntEnum]) -> dict[int, str]:
    return {each.value: each.name for each in kind}


_REQUEST_TYPES, _REQUEST_STATES = _names(RequestType), _names(RequestState)
_REQUEST_ORIGINS = _names(RequestOrigin)
_ACTION_KINDS, _ACTION_STATES = _names(ActionKind), _names(ActionState)
_ACTION_ORIGINS = _names(ActionOrigin)


class Archivable(ArchivableRuns):
    def archivable(
        self, archive: ArchiveRecord, part: int, *, after: PageStart = START
    ) -> Page | None:
        """Returns the next page of lines of a part of the file. `after`: the end of the part's
        previous page, or START for the first page. `part` is 0 for requests, 1 for actions without
        requests, 2 for reset runs and 3 for the audit trail. Returns None if `part` is greater.
        """
        parts: Sequence[Callable[..., Page]] = (
            self._request_page,
            self._action_page,
            self._run_page,
            self._audit_page,
        )
        return parts[part](archive, place=after) if part < len(parts) else None

    def _request_page(self, archive: ArchiveRecord, *, place: PageStart) -> Page:
        """Finds requests and their actions. The line of an action follows the line of the action's
        last request.
        """
        number, after = RequestRow.number, place.number
        end, more = self._end(archive, number, RequestRow.create_time, after=after)
        query = _with_actions(RequestRow.select()).where(
            number > after, number <= end, _taken(archive)
        )
        rows = self._rows(query.order_by(number))
        siblings = self._siblings(archive, after=after, end=end)
        last_errors = self._last_errors([*rows, *siblings])
        last = _last_of_actions(siblings, besides=last_errors)
        actions = self._actions_of(after=after, end=end)
        lines: list[Content] = []
        for row in rows:
            if row.number in last_errors:
                continue
            lines.append(_request_line(row))
            if row.number in last:
                lines.append(_action_line(actions[last[row.number]]))
        return Page(lines, PageStart(end) if more else None)

    def _action_page(self, archive: ArchiveRecord, *, place: PageStart) -> Page:
        """Finds actions without requests. Actions without requests belong to no provider."""
        if archive.provider:
            return Page((), None)
        after = place.number
        end, more = self._end(archive, ActionRow.id, ActionRow.create_time, after=after)
        requests = RequestRow.select(RequestRow.number).where(
            RequestRow.subscription == ActionRow.subscription, RequestRow.action == ActionRow.id
        )
        query = ActionRow.select().where(
            ActionRow.id > after,
            ActionRow.id <= end,
            ActionRow.create_time < archive.created_before,
            ActionRow.settle_time < archive.final_before,
            ~fn.EXISTS(requests),
        )
        lines = [_action_line(row) for row in self._rows(query.order_by(ActionRow.id))]
        return Page(lines, PageStart(end) if more else None)

    def _audit_page(self, archive: ArchiveRecord, *, place: PageStart) -> Page:
        """Finds entries of the audit trail: the entries that name the provider of the archive, or
        all entries if the archive has no provider.
        """
        after = place.number
        end, more = self._end(archive, AuditRow.time, AuditRow.time, after=after)
        before = min(archive.created_before, archive.final_before)
        conditions = [AuditRow.time > after, AuditRow.time <= end, AuditRow.time < before]
        if archive.provider:
            conditions.append(AuditRow.provider == archive.provider)
        query = AuditRow.select().where(*conditions).order_by(AuditRow.time, AuditRow.call)
        lines = [audit_line(entry_of_row(row)) for row in self._rows(query)]
        return Page(lines, PageStart(end) if more else None)

    def _end(
        self, archive: ArchiveRecord, number: Field[int], created: Field[int], *, after: int
    ) -> tuple[int, bool]:
        """Returns the number of the last row of a page, and whether more pages follow. For the
        audit trail, the number is the time of the row.
        """
        table: Any = number.model
        ends = table.select(number.alias("number"), created.alias("create_time"))
        ends = ends.where(number > after).order_by(number)
        found = self._rows(ends.offset(MOST_ROWS - 1).limit(1))
        if not found:
            return sys.maxsize, False
        return found[0].number, found[0].create_time < archive.created_before + DISORDER

    def _siblings(self, archive: ArchiveRecord, *, after: int, end: int) -> list[Any]:
        """Returns all requests of the actions that have a request on the page. The column `taken`
        is true if the request fulfils the condition of `_taken`.
        """
        each, taken = RequestRow, _taken(archive).alias("taken")
        page = _of_page("subscription", "action", after=after, end=end).distinct().alias("page")
        of_page = (each.subscription == page.c.subscription) & (each.action == page.c.action)
        query = each.select(each.action, each.number, each.subscription, each.state, taken)
        return self._rows(_with_actions(query.join(page, on=of_page).switch(each)))

    def _actions_of(self, *, after: int, end: int) -> dict[int, Any]:
        """Returns the actions that have a request on the page, by id."""
        actions = _of_page("action", after=after, end=end)
        return {
            row.id: row for row in self._rows(ActionRow.select().where(ActionRow.id.in_(actions)))
        }


def _of_page(*columns: str, after: int, end: int) -> Any:
    """Returns the query for these columns of the page's requests. Requests without an action are
    left out.
    """
    page: Any = RequestRow.alias()
    return page.select(*[getattr(page, column) for column in columns]).where(
        page.number > after, page.number <= end, page.action != 0
    )


def _with_actions(query: Any) -> Any:
    return query.join(ActionRow, JOIN.LEFT_OUTER, on=(ActionRow.id == RequestRow.action))


def _taken(archive: ArchiveRecord) -> Expression:
    """Returns the condition that a request must fulfil to be archived.

    The caller must also leave out requests that the last error of a link names.
    """
    conditions = [
        RequestRow.state != int(RequestState.PENDING),
        RequestRow.create_time < archive.created_before,
        RequestRow.settle_time < archive.final_before,
        (RequestRow.action == 0) | (ActionRow.settle_time < archive.create_time),
    ]
    if archive.provider:
        conditions.append(RequestRow.provider == archive.provider)
    return reduce(and_, conditions)


def _last_of_actions(siblings: Iterable[Any], *, besides: set[int]) -> dict[int, int]:
    """Returns the actions whose requests are all archived. The key of an action is the number of
    the action's last request. `besides`: requests that fulfil the condition of `_taken`, and are
    not archived because the last error of a link names them.
    """
    requests: defaultdict[int, list[int]] = defaultdict(list)
    kept = set()
    for each in siblings:
        requests[each.action].append(each.number)
        if not each.taken or each.number in besides:
            kept.add(each.action)
    return {max(numbers): action for action, numbers in requests.items() if action not in kept}


def _request_line(row: Any) -> RequestLine:
    return RequestLine(
        number=request_number(row.number),
        provider=row.provider,
        subscription=row.subscription,
        unit=row.unit,
        position=row.position,
        type=_REQUEST_TYPES[row.type],
        state=_REQUEST_STATES[row.state],
        origin=_REQUEST_ORIGINS[row.origin],
        action=action_id(row.action),
        reset_run=run_id(row.reset_run),
        reference=row.reference,
        performed_by=row.performed_by,
        create_time=moment(row.create_time),
        schedule_time=moment(row.schedule_time),
        settle_time=moment(row.settle_time),
        error_code=row.error_code,
        error_description=row.error_description,
        reference_number=row.reference_number,
        delivery_attempts=row.attempts,
        last_adapter=row.last_adapter,
        last_delivery_time=_moment(row.last_delivery_time),
        contents=_document(row.document),
    )


def _action_line(row: Any) -> ActionLine:
    return ActionLine(
        id=action_id(row.id),
        subscription=row.subscription,
        action=_ACTION_KINDS[row.kind],
        state=_ACTION_STATES[row.state],
        origin=_ACTION_ORIGINS[row.origin],
        reference=row.reference,
        performed_by=row.performed_by,
        caller=row.caller,
        request_id=row.request_id,
        create_time=moment(row.create_time),
        execute_time=_moment(row.execute_time),
        settle_time=moment(row.settle_time),
        contents=_document(row.action),
        performed=bytes(row.performed),
        error=_document(row.error),
        taken_back=_document(row.taken_back),
    )


def _moment(instant: int | None) -> datetime | None:
    return None if instant is None else moment(instant)


def _document(stored: bytes | None) -> Raw:
    return NOTHING if stored is None else Raw(bytes(stored))
