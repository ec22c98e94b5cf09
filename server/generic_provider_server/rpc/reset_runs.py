"""Answers the calls of ResetService about reset runs. ResetServicer inherits ResetRuns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from itertools import islice

from generic_provider.v1 import reset_service_pb2 as api

from ..commands.reset_definitions import check_contents
from ..commands.reset_run_decisions import Approve, Cancel
from ..domain.archive import restored_too_early, run_missing
from ..domain.catalogue import catalogue_of
from ..domain.refusals import InvalidField, Reason, Refused, not_found
from ..domain.resets.examine import Finding
from ..domain.resets.records import EntryOutcome, ResetDefinition, RunRecord, RunState
from ..services.resetting import Resetting
from ..services.surveying import AT_ONCE, survey, totals_of
from ..store.read.queries import Queries
from ..store.read.resets import FEW
from ..store.store import Store
from . import encode_resets as encode
from .checks import TEXT, Checks
from .decode_resets import definition_of
from .incoming import IncomingCall
from .paging import page_of

WATCH_SECONDS = 1.0
MOST_SURVEYED = 2_000
"""The greatest number of subscriptions that are examined for one page of a preview. A page has few
entries if the run would reset few of these subscriptions.
"""


class ResetRuns:
    def __init__(self, store: Store, resetting: Resetting) -> None:
        self._store = store
        self._resetting = resetting
        self._reads: dict[str, asyncio.Task[tuple[api.ResetRun, bool]]] = {}

    async def PreviewResetRun(
        self, request: api.PreviewResetRunRequest, call: IncomingCall
    ) -> api.PreviewResetRunResponse:
        checks = Checks()
        page = page_of(checks, request, start="", key=self._store.token_key)
        definition = await self._previewed(checks, request)
        await self._store.refresh()  # another process may just have added a service that is named
        catalogue = catalogue_of(self._store.catalogues, definition.provider)
        if request.WhichOneof("run") == "definition_fields":
            check_contents(catalogue, definition, now=self._store.now(), at="definition_fields")
        await self._check_not_archived(definition)
        totals = None
        if not (request.page_token or request.without_totals):
            totals = encode.totals(await totals_of(self._store, definition), definition)
        counted, _, after = page.after.partition(" ")
        before = int(counted[:10]) if counted.isdecimal() else 0
        most = page.size + 1
        if definition.first is not None:
            most = min(most, definition.first - before)
        found, end = await self._surveyed(definition, after, most=most)
        shown = (
            (f"{before + n} {each.subscription}", encode.finding(each))
            for n, each in enumerate(found, 1)
        )
        then = f"{before + len(found)} {end}" if end else None
        entries, token = page.cut(shown, then=then)
        return api.PreviewResetRunResponse(entries=entries, totals=totals, next_page_token=token)

    async def _check_not_archived(self, definition: ResetDefinition) -> None:
        restored, provider = definition.platform_restored_to, definition.provider
        if restored is None:
            return
        archive = await self._store.read(
            lambda queries: queries.archive_settled_after(restored, provider=provider)
        )
        if archive is not None:
            raise InvalidField(("platform_restored_to", restored_too_early(archive)))

    async def _previewed(
        self, checks: Checks, request: api.PreviewResetRunRequest
    ) -> ResetDefinition:
        match request.WhichOneof("run"):
            case "definition":
                number = checks.numbered("definition", request.definition, letter="D")
                checks.done()
                record = await self._store.read(lambda queries: queries.reset_definition(number))
                if record is None:
                    raise not_found(Reason.RESET_RUN_DEFINITION_NOT_FOUND, request.definition)
                return record.definition
            case "definition_fields":
                fields = definition_of(checks, request.definition_fields, "definition_fields")
                checks.done()
                return fields
            case None:
                why = "is required unless definition_fields is given"
                raise InvalidField(*checks.violations, ("definition", why))

    async def _surveyed(
        self, definition: ResetDefinition, after: str, *, most: int
    ) -> tuple[list[Finding], str]:
        """Returns at most `most` findings after the position `after`.

        Also returns the position after which the next page begins, if MOST_SURVEYED subscriptions
        were examined and more may follow; otherwise an empty text.
        """
        found: list[Finding] = []
        for _ in range(MOST_SURVEYED // AT_ONCE):
            part = await self._store.read(
                partial(
                    survey,
                    definition=definition,
                    after=after,
                    most=most - len(found),
                    described=True,
                )
            )
            found += part.findings
            after = part.cursor
            if part.last:
                return found, ""
        return found, after

    async def GetResetRun(
        self, request: api.GetResetRunRequest, call: IncomingCall
    ) -> api.GetResetRunResponse:
        record = await self._run(request.reset_run)
        (shown,) = await self._shown([record])
        return api.GetResetRunResponse(reset_run=shown)

    async def ListResetRuns(
        self, request: api.ListResetRunsRequest, call: IncomingCall
    ) -> api.ListResetRunsResponse:
        checks = Checks()
        number = 0
        if request.definition:
            number = checks.numbered("definition", request.definition, letter="D")
        provider = checks.text("provider", request.provider)
        states = checks.enums("states", request.states, RunState)
        page = page_of(checks, request, start=0, key=self._store.token_key)
        checks.done()
        if request.definition and not number:
            return api.ListResetRunsResponse()

        def read(queries: Queries) -> api.ListResetRunsResponse:
            found = queries.reset_runs(
                definition=number,
                provider=provider,
                states=states,
                before=page.after,
                limit=page.size + 1,
            )
            runs, token = page.cut((each.id, shown) for each, shown in _shown(queries, found))
            return api.ListResetRunsResponse(reset_runs=runs, next_page_token=token)

        return await self._store.read(read)

    async def ListResetRunEntries(
        self, request: api.ListResetRunEntriesRequest, call: IncomingCall
    ) -> api.ListResetRunEntriesResponse:
        checks = Checks()
        outcomes = checks.enums("outcomes", request.outcomes, EntryOutcome)
        page = page_of(checks, request, start="", key=self._store.token_key)
        checks.code("reset_run", request.reset_run)
        checks.done()
        run = await self._run(request.reset_run)
        found = await self._store.read(
            lambda queries: queries.reset_entries(
                run.id, outcomes=outcomes, after=page.after, limit=page.size + 1
            )
        )
        entries, token = page.cut((each.subscription, encode.entry(each)) for each in found)
        return api.ListResetRunEntriesResponse(entries=entries, next_page_token=token)

    async def WatchResetRun(
        self, request: api.WatchResetRunRequest, call: IncomingCall
    ) -> AsyncIterator[api.WatchResetRunResponse]:
        last = None
        shown, is_open = await self._watched(request.reset_run)
        while True:
            if shown != last:
                last = shown
                yield api.WatchResetRunResponse(reset_run=shown)
            if not is_open:
                return
            try:
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._resetting.draining.wait()
            except TimeoutError:
                shown, is_open = await self._latest(request.reset_run)
                continue
            raise Refused(Reason.DRAINING, "this server process is shutting down")

    async def _latest(self, name: str) -> tuple[api.ResetRun, bool]:
        """Returns the message of the run, and whether the run is open. All watchers of a run share
        one result for half a second, because the query counts all requests of the run.
        """
        read = self._reads.get(name)
        if read is None:
            read = self._reads[name] = asyncio.create_task(self._watched(name))
            asyncio.get_running_loop().call_later(WATCH_SECONDS / 2, self._reads.pop, name, None)
        return await asyncio.shield(read)

    async def _watched(self, name: str) -> tuple[api.ResetRun, bool]:
        record = await self._run(name)
        (shown,) = await self._shown([record])
        return shown, record.open

    async def ApproveResetRun(
        self, request: api.ApproveResetRunRequest, call: IncomingCall
    ) -> api.ApproveResetRunResponse:
        checks = Checks()
        approve = Approve(
            reason=checks.text("reason", request.reason, most=TEXT, required=True),
            who=call.who(checks, request.performed_by),
            proven=call.identity.proven,
            run_number=_number(checks, request.reset_run),
        )
        (shown,) = await self._shown([await self._store.do(approve, audit=call.audit)])
        return api.ApproveResetRunResponse(reset_run=shown)

    async def CancelResetRun(
        self, request: api.CancelResetRunRequest, call: IncomingCall
    ) -> api.CancelResetRunResponse:
        checks = Checks()
        cancel = Cancel(
            reason=checks.text("reason", request.reason, most=TEXT),
            who=call.who(checks, request.performed_by),
            run_number=_number(checks, request.reset_run),
        )
        (shown,) = await self._shown([await self._store.do(cancel, audit=call.audit)])
        return api.CancelResetRunResponse(reset_run=shown)

    async def _run(self, name: str) -> RunRecord:
        number = _number(Checks(), name)
        record = await self._store.read(lambda queries: queries.reset_run(number))
        if record is None:
            archive = await self._store.read(lambda queries: queries.archive_of_run(number))
            raise run_missing(name, archive)
        return record

    async def _shown(self, records: Sequence[RunRecord]) -> list[api.ResetRun]:
        return await self._store.read(
            lambda queries: [shown for _, shown in _shown(queries, iter(records))]
        )


def _shown(
    queries: Queries, records: Iterator[RunRecord]
) -> Iterator[tuple[RunRecord, api.ResetRun]]:
    """Yields the runs with their messages. Counts the requests of a few runs at a time."""
    while few := list(islice(records, FEW)):
        settled = queries.settled_of_runs([record.id for record in few])
        for record in few:
            yield record, encode.run(record, settled[record.id])


def _number(checks: Checks, name: str) -> int:
    """Returns the number of the run.

    Call this function after all other fields were read, because it raises InvalidField with the
    violations of all fields. Raises Refused if no run can have this id.
    """
    number = checks.numbered("reset_run", name, letter="U")
    checks.done()
    if not number:
        raise not_found(Reason.RESET_RUN_NOT_FOUND, name)
    return number
