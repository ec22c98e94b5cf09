"""Answers the calls of ResetService."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from generic_provider.v1 import reset_service_pb2 as api

from ..commands.reset import ResetSubscription
from ..commands.reset_definitions import (
    CreateDefinition,
    DeleteDefinition,
    SetDefinitionState,
    Submit,
    UpdateDefinition,
)
from ..domain.archive import request_missing
from ..domain.refusals import Reason, not_found
from ..domain.resets.records import DefinitionState
from ..domain.subscription.request_records import RequestRecord, request_number
from ..store.read.queries import Queries
from . import encode, encode_resets
from .call_digest import contents_of, digest
from .checks import CALLERS_ID, Checks
from .decode_providers import etag_of
from .decode_resets import definition_of
from .incoming import IncomingCall
from .paging import first_page, page_of
from .reset_runs import ResetRuns


class ResetServicer(ResetRuns):
    async def ResetSubscription(
        self, request: api.ResetSubscriptionRequest, call: IncomingCall
    ) -> api.ResetSubscriptionResponse:
        checks = Checks()
        reset = ResetSubscription(
            subscription=checks.code("subscription", request.subscription),
            digest=digest(contents_of(request), of="ResetSubscription"),
            provider=checks.text("provider", request.provider),
            full=request.full,
            recreate=request.recreate,
            validate_only=request.validate_only,
            request_id=checks.text("request_id", request.request_id, most=CALLERS_ID),
            who=call.who(checks, request.performed_by),
        )
        checks.done()
        done = await self._store.do(reset, audit=call.audit)
        requests = done.requests
        if numbers := done.numbers:
            requests = await self._store.read(partial(_created_before, numbers=numbers))
        return api.ResetSubscriptionResponse(
            requests=first_page([encode.request(each) for each in requests]),
            providers_left_out=done.left_out,
        )

    async def CreateResetRunDefinition(
        self, request: api.CreateResetRunDefinitionRequest, call: IncomingCall
    ) -> api.CreateResetRunDefinitionResponse:
        checks = Checks()
        create = CreateDefinition(
            definition=definition_of(checks, request.definition, "definition"),
            digest=digest(contents_of(request), of="CreateResetRunDefinition"),
            request_id=checks.text("request_id", request.request_id, most=CALLERS_ID),
            who=call.who(checks, request.performed_by),
        )
        checks.done()
        made = encode_resets.definition(await self._store.do(create, audit=call.audit))
        return api.CreateResetRunDefinitionResponse(definition=made)

    async def GetResetRunDefinition(
        self, request: api.GetResetRunDefinitionRequest, call: IncomingCall
    ) -> api.GetResetRunDefinitionResponse:
        number = _number(Checks(), request.definition)
        record = await self._store.read(lambda queries: queries.reset_definition(number))
        if record is None:
            raise not_found(Reason.RESET_RUN_DEFINITION_NOT_FOUND, request.definition)
        found = encode_resets.definition(record)
        return api.GetResetRunDefinitionResponse(definition=found)

    async def ListResetRunDefinitions(
        self, request: api.ListResetRunDefinitionsRequest, call: IncomingCall
    ) -> api.ListResetRunDefinitionsResponse:
        checks = Checks()
        provider = checks.text("provider", request.provider)
        states = checks.enums("states", request.states, DefinitionState)
        page = page_of(checks, request, start=0, key=self._store.token_key)
        checks.done()

        def read(queries: Queries) -> api.ListResetRunDefinitionsResponse:
            found = queries.reset_definitions(
                provider=provider, states=states, before=page.after, limit=page.size + 1
            )
            shown, token = page.cut((each.id, encode_resets.definition(each)) for each in found)
            return api.ListResetRunDefinitionsResponse(definitions=shown, next_page_token=token)

        return await self._store.read(read)

    async def UpdateResetRunDefinition(
        self, request: api.UpdateResetRunDefinitionRequest, call: IncomingCall
    ) -> api.UpdateResetRunDefinitionResponse:
        checks = Checks()
        update = UpdateDefinition(
            definition=definition_of(checks, request.definition, "definition"),
            etag=etag_of(checks, "definition.etag", request.definition.etag),
            who=call.who(checks, request.performed_by),
            id=_number(checks, request.definition.id, field="definition.id"),
        )
        changed = encode_resets.definition(await self._store.do(update, audit=call.audit))
        return api.UpdateResetRunDefinitionResponse(definition=changed)

    async def DeleteResetRunDefinition(
        self, request: api.DeleteResetRunDefinitionRequest, call: IncomingCall
    ) -> api.DeleteResetRunDefinitionResponse:
        checks = Checks()
        call.who(checks, request.performed_by)
        delete = DeleteDefinition(id=_number(checks, request.definition))
        await self._store.do(delete, audit=call.audit)
        return api.DeleteResetRunDefinitionResponse()

    async def SetResetRunDefinitionState(
        self, request: api.SetResetRunDefinitionStateRequest, call: IncomingCall
    ) -> api.SetResetRunDefinitionStateResponse:
        checks = Checks()
        off = DefinitionState.NOT_EFFECTIVE
        change = SetDefinitionState(
            state=checks.enum("state", request.state, default=off, required=True),
            who=call.who(checks, request.performed_by),
            id=_number(checks, request.definition),
        )
        changed = encode_resets.definition(await self._store.do(change, audit=call.audit))
        return api.SetResetRunDefinitionStateResponse(definition=changed)

    async def SubmitResetRunDefinition(
        self, request: api.SubmitResetRunDefinitionRequest, call: IncomingCall
    ) -> api.SubmitResetRunDefinitionResponse:
        checks = Checks()
        submit = Submit(
            digest=digest(contents_of(request), of="SubmitResetRunDefinition"),
            hold=request.hold,
            request_id=checks.text("request_id", request.request_id, most=CALLERS_ID),
            who=call.who(checks, request.performed_by),
            id=_number(checks, request.definition),
        )
        record, run = await self._store.do(submit, audit=call.audit)
        begun = await self._shown([run] if run else [])
        return api.SubmitResetRunDefinitionResponse(
            definition=encode_resets.definition(record), reset_run=begun[0] if begun else None
        )


def _number(checks: Checks, name: str, *, field: str = "definition") -> int:
    """Returns the number in the id `name` of a definition, for example 42 for `D0000000042`.

    Call this function after all other fields were read, because it raises InvalidField with the
    violations of all fields. Raises Refused if no definition can have this id.
    """
    number = checks.numbered(field, name, letter="D")
    checks.done()
    if not number:
        raise not_found(Reason.RESET_RUN_DEFINITION_NOT_FOUND, name)
    return number


def _created_before(queries: Queries, numbers: Sequence[int]) -> tuple[RequestRecord, ...]:
    """Returns the requests that an earlier call created. Raises Refused if one is archived."""
    found = queries.requests_of(numbers)
    if gone := sorted(set(numbers) - {each.number for each in found}):
        raise request_missing(request_number(gone[0]), queries.archive_holding(gone[0]))
    return tuple(found)
