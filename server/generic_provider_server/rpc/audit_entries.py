"""Answers the call ListAuditEntries of RequestService."""

from __future__ import annotations

from generic_provider.v1 import errors_pb2
from generic_provider.v1 import request_service_pb2 as api

from ..domain.audit import AuditEntry
from ..store.read.audit import AuditFilter
from ..store.read.queries import Queries
from ..store.store import Store
from . import encode_parts
from .audited_calls import RECORDED_EACH, RECORDED_IF_REFUSED, RECORDED_TOGETHER
from .checks import CALLERS_ID, NAME, Checks
from .incoming import IncomingCall
from .paging import page_of

METHODS = RECORDED_IF_REFUSED | RECORDED_TOGETHER | RECORDED_EACH
LAST_CODE = 16


class AuditCalls:
    _store: Store

    async def ListAuditEntries(
        self, request: api.ListAuditEntriesRequest, call: IncomingCall
    ) -> api.ListAuditEntriesResponse:
        checks = Checks()
        wanted = _filter(checks, request)
        page = page_of(checks, request, start="", key=self._store.token_key)
        checks.done()

        def read(queries: Queries) -> api.ListAuditEntriesResponse:
            before = _key(page.after) if page.after else None
            end = queries.end_of_audit(wanted, before=before)
            found = queries.audit_entries(wanted, before=before, limit=page.size + 1, until=end)
            entries, token = page.cut(
                ((f"{each.time} {each.call}", _entry(each)) for each in found),
                then=None if end is None else f"{end} 0",
            )
            return api.ListAuditEntriesResponse(entries=entries, next_page_token=token)

        return await self._store.read(read)


def _key(position: str) -> tuple[int, int]:
    time, call = position.split()
    return int(time), int(call)


def _filter(checks: Checks, request: api.ListAuditEntriesRequest) -> AuditFilter:
    checks.count("methods", request.methods, most=100)
    checks.count("codes", request.codes, most=100)
    for n, method in enumerate(request.methods[:100]):
        if method not in METHODS:
            checks.wrong(f"methods[{n}]", "is not the name of an RPC of this service")
    for n, code in enumerate(request.codes[:100]):
        checks.number(f"codes[{n}]", code, least=0, most=LAST_CODE)
    return AuditFilter(
        methods=tuple(request.methods[:100]),
        caller=checks.text("caller", request.caller, most=NAME),
        performed_by=checks.text("performed_by", request.performed_by, most=CALLERS_ID),
        provider=checks.text("provider", request.provider),
        subscription=checks.text("subscription", request.subscription),
        resource=checks.text("resource", request.resource),
        codes=tuple(request.codes[:100]),
        refused=request.refused,
        time_from=checks.instant("time_from", request),
        time_to=checks.instant("time_to", request),
    )


def _entry(entry: AuditEntry) -> api.AuditEntry:
    reason = f"ERROR_REASON_{entry.reason or 'UNSPECIFIED'}"
    return api.AuditEntry(
        id=entry.id,
        time=encode_parts.timestamp(entry.time),
        method=entry.method,
        caller=entry.caller,
        roles=entry.roles,
        peer=entry.peer,
        performed_by=entry.performed_by,
        provider=entry.provider,
        subscription=entry.subscription,
        resource=entry.resource,
        detail=entry.detail,
        code=entry.code,
        reason=errors_pb2.ErrorReason.Value(reason),
        done=entry.done,
        refused=entry.refused,
    )
