"""Answers the calls of RequestService about archives. RequestServicer inherits ArchiveCalls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from generic_provider.v1 import request_service_pb2 as api

from ..commands.archive import CreateArchive, DeleteArchive, check_deletable
from ..domain.archive import ArchiveRecord, ArchiveState
from ..domain.refusals import Reason, Refused, not_found
from ..domain.values import Instant
from ..services.own_threads import OwnThreads
from ..store.archives.folder import ArchiveFolder
from ..store.read.archives import ArchiveFilter
from ..store.read.queries import Queries
from ..store.store import Store
from . import encode_parts
from .call_digest import contents_of, digest
from .checks import CALLERS_ID, Checks
from .incoming import IncomingCall
from .paging import page_of

MOST_IN_FOLDER = 8
"""The greatest number of calls that use the archive folder at the same time."""


class ArchiveCalls:
    def __init__(self, store: Store, folder: ArchiveFolder) -> None:
        self._store = store
        self._folder = folder
        self._threads = OwnThreads(most=MOST_IN_FOLDER)

    async def CreateArchive(
        self, request: api.CreateArchiveRequest, call: IncomingCall
    ) -> api.CreateArchiveResponse:
        checks = Checks()
        create = CreateArchive(
            provider=checks.text("provider", request.provider),
            created_before=checks.instant("created_before", request, required=True) or Instant(0),
            digest=digest(contents_of(request), of="CreateArchive"),
            request_id=checks.text("request_id", request.request_id, most=CALLERS_ID),
            who=call.who(checks, request.performed_by),
        )
        checks.done()
        await self._threads.run(self._folder.check)
        record = await self._store.do(create, audit=call.audit)
        return api.CreateArchiveResponse(archive=_archive(record))

    async def GetArchive(
        self, request: api.GetArchiveRequest, call: IncomingCall
    ) -> api.GetArchiveResponse:
        return api.GetArchiveResponse(archive=_archive(await self._found(Checks(), request)))

    async def ListArchives(
        self, request: api.ListArchivesRequest, call: IncomingCall
    ) -> api.ListArchivesResponse:
        checks = Checks()
        wanted = ArchiveFilter(
            provider=checks.text("provider", request.provider),
            states=checks.enums("states", request.states, ArchiveState),
            subscription=checks.text("subscription", request.subscription),
        )
        page = page_of(checks, request, start=0, key=self._store.token_key)
        checks.done()

        def read(queries: Queries) -> api.ListArchivesResponse:
            found = queries.archives(wanted, before=page.after, limit=page.size + 1)
            archives, token = page.cut((each.number, _archive(each)) for each in found)
            return api.ListArchivesResponse(archives=archives, next_page_token=token)

        return await self._store.read(read)

    async def DownloadArchive(
        self, request: api.DownloadArchiveRequest, call: IncomingCall
    ) -> AsyncIterator[api.DownloadArchiveResponse]:
        record = await self._found(Checks(), request)
        if record.state is not ArchiveState.COMPLETED:
            state = record.state.name
            text = f"archive {record.id} is {state}: it has no file to download"
            raise Refused(Reason.ARCHIVE_NOT_FOUND, text, archive=record.id, state=state)
        offset, checks = request.offset, Checks()
        checks.number("offset", offset, least=0, most=record.size)
        checks.done()
        pieces = self._folder.pieces(record, offset=offset)
        while data := await self._threads.run(_next, pieces):
            yield api.DownloadArchiveResponse(data=data, offset=offset)
            offset += len(data)

    async def DeleteArchive(
        self, request: api.DeleteArchiveRequest, call: IncomingCall
    ) -> api.DeleteArchiveResponse:
        checks = Checks()
        checksum = checks.code("checksum", request.checksum)
        who = call.who(checks, request.performed_by)
        record = await self._found(checks, request)
        check_deletable(record, checksum)
        try:
            if record.state is not ArchiveState.DELETED:
                await self._threads.run(self._folder.check_removable, record)
        except Refused:  # perhaps another call has just deleted the archive
            if (await self._found(checks, request)).state is not ArchiveState.DELETED:
                raise
        delete = DeleteArchive(archive=record.number, checksum=checksum, who=who)
        deleted = await self._store.do(delete, audit=call.audit)
        await self._threads.run(self._folder.remove, record)
        return api.DeleteArchiveResponse(archive=_archive(deleted))

    async def _found(
        self,
        checks: Checks,
        request: api.GetArchiveRequest | api.DownloadArchiveRequest | api.DeleteArchiveRequest,
    ) -> ArchiveRecord:
        """Returns the archive that the message names. Raises Refused if there is no such archive,
        or if `checks` has found a wrong field.
        """
        number = checks.numbered("archive", request.archive, letter="Z")
        checks.done()
        record = await self._store.read(lambda queries: queries.archive(number))
        if record is None:
            raise not_found(Reason.ARCHIVE_NOT_FOUND, request.archive)
        return record


def _next(pieces: Iterator[bytes]) -> bytes:
    return next(pieces, b"")


def _archive(record: ArchiveRecord) -> api.Archive:
    return api.Archive(
        id=record.id,
        provider=record.provider,
        created_before=encode_parts.timestamp(record.created_before),
        state=api.ArchiveState.ValueType(record.state),
        requests_archived=record.requests_archived,
        requests_total=record.requests_total,
        size_bytes=record.size,
        checksum=record.checksum,
        first_create_time=encode_parts.timestamp(record.first_create_time),
        last_create_time=encode_parts.timestamp(record.last_create_time),
        create_time=encode_parts.timestamp(record.create_time),
        performed_by=record.who.performed_by,
        caller=record.who.caller,
        message=record.message,
        file=record.file,
    )
