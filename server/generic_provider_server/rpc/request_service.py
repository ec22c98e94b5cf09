"""Answers the calls of RequestService."""

from __future__ import annotations

from generic_provider.v1 import request_service_pb2 as api
from generic_provider.v1 import resources_pb2 as pb

from ..commands.cancel_or_resolve import CancelRequest, ResolveRequest
from ..domain.archive import request_missing
from ..domain.refusals import Reason, not_found
from ..domain.subscription.request_records import RequestRecord
from ..domain.values import (
    SECOND,
    Instant,
    RequestOrigin,
    RequestState,
    RequestType,
)
from ..domain.verdicts import ResponseStatus
from ..services.presence import Connected, Presence
from ..store.archives.folder import ArchiveFolder
from ..store.memory.set_aside import SetAside
from ..store.read.backlog import Backlog
from ..store.read.filters import RequestFilter
from ..store.read.queries import Queries
from ..store.store import Store
from . import encode, encode_parts
from .archives import ArchiveCalls
from .audit_entries import AuditCalls
from .checks import NAME, TEXT, Checks
from .incoming import IncomingCall
from .paging import page_of

MOST_SHOWN = 100
"""The greatest number of set aside subscriptions that an answer to GetBacklog names."""


class RequestServicer(ArchiveCalls, AuditCalls):
    def __init__(self, store: Store, presence: Presence, folder: ArchiveFolder) -> None:
        super().__init__(store, folder)
        self._presence = presence

    async def GetRequest(
        self, request: api.GetRequestRequest, call: IncomingCall
    ) -> api.GetRequestResponse:
        checks = Checks()
        number = checks.numbered("request", request.request, letter="R")
        checks.done()
        record = await self._store.read(lambda queries: queries.request(number))
        if record is None:
            archive = await self._store.read(lambda queries: queries.archive_holding(number))
            raise request_missing(request.request, archive)
        return api.GetRequestResponse(request=encode.request(record))

    async def ListRequests(
        self, request: api.ListRequestsRequest, call: IncomingCall
    ) -> api.ListRequestsResponse:
        checks = Checks()
        wanted = _filter(checks, request)
        page = page_of(checks, request, start=0, key=self._store.token_key)
        checks.done()
        if (request.action and not wanted.action) or (request.reset_run and not wanted.reset_run):
            return api.ListRequestsResponse()

        def read(queries: Queries) -> api.ListRequestsResponse:
            end = queries.end_of_requests(wanted, after=page.after)
            found = queries.requests(wanted, after=page.after, limit=page.size + 1, until=end)
            shown = ((each.number, encode.request(each)) for each in found)
            requests, token = page.cut(shown, then=end)
            archives = queries.archives_with(wanted.subscription) if wanted.subscription else ()
            return api.ListRequestsResponse(
                requests=requests, next_page_token=token, archives=archives
            )

        return await self._store.read(read)

    async def CancelRequest(
        self, request: api.CancelRequestRequest, call: IncomingCall
    ) -> api.CancelRequestResponse:
        checks = Checks()
        cancel = CancelRequest(
            request=checks.numbered("request", request.request, letter="R"),
            reason=checks.text("reason", request.reason, most=TEXT, required=True),
            end_lease=request.end_lease,
            who=call.who(checks, request.performed_by),
        )
        checks.done()
        if not cancel.request:
            raise not_found(Reason.REQUEST_NOT_FOUND, request.request)
        record = await self._store.do(cancel, audit=call.audit)
        return api.CancelRequestResponse(request=encode.request(record))

    async def ResolveRequest(
        self, request: api.ResolveRequestRequest, call: IncomingCall
    ) -> api.ResolveRequestResponse:
        checks = Checks()
        status = checks.enum("status", request.status, default=ResponseStatus.RETRY_LATER)
        if status is ResponseStatus.RETRY_LATER:
            checks.wrong("status", "must be ACCEPTED or REJECTED")
        resolve = ResolveRequest(
            request=checks.numbered("request", request.request, letter="R"),
            accepted=status is ResponseStatus.ACCEPTED,
            reason=checks.text("reason", request.reason, most=TEXT, required=True),
            error_code=checks.text("error_code", request.error_code),
            account_number=checks.text("account_number", request.account_number),
            end_lease=request.end_lease,
            who=call.who(checks, request.performed_by),
        )
        checks.done()
        if not resolve.request:
            raise not_found(Reason.REQUEST_NOT_FOUND, request.request)
        record = await self._store.do(resolve, audit=call.audit)
        return api.ResolveRequestResponse(request=encode.request(record))

    async def GetBacklog(
        self, request: api.GetBacklogRequest, call: IncomingCall
    ) -> api.GetBacklogResponse:
        checks = Checks()
        provider = checks.code("provider", request.provider)
        checks.done()
        await self._store.catalogue(provider)
        backlog = await self._store.read(lambda queries: queries.backlog(provider))
        adapters = len(await self._streams(provider))
        return _backlog(backlog, adapters=adapters, set_asides=self._store.set_asides())

    async def ListAdapters(
        self, request: api.ListAdaptersRequest, call: IncomingCall
    ) -> api.ListAdaptersResponse:
        checks = Checks()
        provider = checks.text("provider", request.provider)
        page = page_of(checks, request, start="", key=self._store.token_key)
        checks.done()
        streams = [each for each in await self._streams(provider) if _place(each) > page.after]
        ids = [stream.id for stream in streams]
        oldest = await self._store.read(lambda queries: queries.oldest_leases(ids))
        now = self._store.now()
        adapters, token = page.cut(
            (_place(stream), _adapter(stream, oldest.get(stream.id), now=now)) for stream in streams
        )
        return api.ListAdaptersResponse(adapters=adapters, next_page_token=token)

    async def _streams(self, provider: str) -> list[Connected]:
        streams = await self._presence.connected()
        return sorted([s for s in streams if provider in ("", s.provider)], key=_place)


def _place(stream: Connected) -> str:
    return f"{stream.connect_time:020.6f} {stream.id}"


def _filter(checks: Checks, request: api.ListRequestsRequest) -> RequestFilter:
    return RequestFilter(
        provider=checks.text("provider", request.provider),
        subscription=checks.text("subscription", request.subscription),
        account_number=checks.text("account_number", request.account_number),
        types=checks.enums("types", request.types, RequestType),
        states=checks.enums("states", request.states, RequestState),
        origins=checks.enums("origins", request.origins, RequestOrigin),
        action=checks.numbered("action", request.action, letter="A") if request.action else 0,
        reset_run=checks.numbered("reset_run", request.reset_run, letter="U")
        if request.reset_run
        else 0,
        reference=checks.text("reference", request.reference, most=NAME),
        last_adapter=checks.text("last_adapter", request.last_adapter),
        error_code=checks.text("error_code", request.error_code),
        item_serial=checks.text("item_serial", request.item_serial),
        created_from=checks.instant("created_from", request),
        created_to=checks.instant("created_to", request),
        settled_from=checks.instant("settled_from", request),
        settled_to=checks.instant("settled_to", request),
        oldest_first=request.oldest_first,
    )


def _backlog(
    backlog: Backlog, *, adapters: int, set_asides: list[SetAside]
) -> api.GetBacklogResponse:
    oldest: RequestRecord | None = backlog.oldest
    return api.GetBacklogResponse(
        pending=backlog.pending,
        leased=backlog.leased,
        waiting_for_retry=backlog.waiting_for_retry,
        blocked_subscriptions=backlog.blocked_subscriptions,
        oldest=encode.request(oldest) if oldest else None,
        by_type=[
            api.GetBacklogResponse.TypeCount(type=pb.RequestType.ValueType(kind), count=count)
            for kind, count in backlog.by_type
        ],
        by_age=[
            api.GetBacklogResponse.AgeCount(up_to=encode_parts.duration(age), count=count)
            for age, count in backlog.by_age
        ],
        out_of_sync_subscriptions=backlog.out_of_sync_subscriptions,
        adapters=adapters,
        set_aside=[
            api.GetBacklogResponse.SetAside(
                subscription=each.subscription,
                duty=each.duty,
                error=each.error[:TEXT],
                failures=each.failures,
                next_attempt_time=encode_parts.timestamp(each.until),
            )
            for each in set_asides[:MOST_SHOWN]
        ],
    )


def _adapter(stream: Connected, oldest: Instant | None, *, now: Instant) -> api.ConnectedAdapter:
    return api.ConnectedAdapter(
        provider=stream.provider,
        adapter=stream.adapter,
        version=stream.version,
        peer=stream.peer,
        max_in_flight=stream.max_in_flight,
        in_flight=max(0, stream.in_flight),
        oldest_lease_age=encode_parts.duration(max(0, now - oldest)) if oldest else None,
        connect_time=encode_parts.timestamp(Instant(int(stream.connect_time * SECOND))),
        last_heard_time=encode_parts.timestamp(Instant(int(stream.last_heard_time * SECOND))),
    )
