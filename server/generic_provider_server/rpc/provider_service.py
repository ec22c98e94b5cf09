"""Answers the calls of ProviderService. Providers are decoded and encoded in a thread, because a
large provider would block the event loop for tens of milliseconds.
"""

from __future__ import annotations

from asyncio import to_thread

from generic_provider.v1 import provider_service_pb2 as api

from ..commands.providers import CreateProvider, PartInUse, SetProviderState, UpdateProvider
from ..domain.catalogue import catalogue_of
from ..domain.values import ProviderState
from ..store.store import Store
from .call_digest import contents_of, digest
from .checks import CALLERS_ID, Checks
from .decode_providers import etag_of, provider_of
from .encode_providers import provider as provider_message
from .incoming import IncomingCall
from .paging import page_of
from .provider_users import with_users


class ProviderServicer:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def CreateProvider(
        self, request: api.CreateProviderRequest, call: IncomingCall
    ) -> api.CreateProviderResponse:
        checks = Checks()
        create = CreateProvider(
            provider=await to_thread(provider_of, checks, request.provider),
            digest=digest(contents_of(request), of="CreateProvider"),
            request_id=checks.text("request_id", request.request_id, most=CALLERS_ID),
            who=call.who(checks, request.performed_by),
        )
        checks.done()
        record = await self._store.do(create, audit=call.audit)
        shown = await to_thread(provider_message, record)
        return api.CreateProviderResponse(provider=shown)

    async def GetProvider(
        self, request: api.GetProviderRequest, call: IncomingCall
    ) -> api.GetProviderResponse:
        checks = Checks()
        code = checks.code("provider", request.provider)
        checks.done()
        await self._store.refresh()
        catalogue_of(self._store.catalogues, code)
        shown = await to_thread(provider_message, self._store.providers[code])
        return api.GetProviderResponse(provider=shown)

    async def ListProviders(
        self, request: api.ListProvidersRequest, call: IncomingCall
    ) -> api.ListProvidersResponse:
        checks = Checks()
        states = checks.enums("states", request.states, ProviderState)
        page = page_of(checks, request, start="", key=self._store.token_key)
        checks.done()
        await self._store.refresh()
        found = (
            (code, provider_message(record))
            for code, record in sorted(self._store.providers.items())
            if code > page.after and (not states or record.provider.state in states)
        )
        providers, token = await to_thread(page.cut, found)
        return api.ListProvidersResponse(providers=providers, next_page_token=token)

    async def UpdateProvider(
        self, request: api.UpdateProviderRequest, call: IncomingCall
    ) -> api.UpdateProviderResponse:
        checks = Checks()
        update = UpdateProvider(
            provider=await to_thread(provider_of, checks, request.provider),
            etag=etag_of(checks, "provider.etag", request.provider.etag),
            who=call.who(checks, request.performed_by),
        )
        checks.done()
        try:
            record = await self._store.do(update, audit=call.audit)
        except PartInUse as refused:
            raise await with_users(self._store, refused) from None
        shown = await to_thread(provider_message, record)
        return api.UpdateProviderResponse(provider=shown)

    async def SetProviderState(
        self, request: api.SetProviderStateRequest, call: IncomingCall
    ) -> api.SetProviderStateResponse:
        checks = Checks()
        off = ProviderState.NOT_EFFECTIVE
        change = SetProviderState(
            provider=checks.code("provider", request.provider),
            state=checks.enum("state", request.state, default=off, required=True),
            who=call.who(checks, request.performed_by),
        )
        checks.done()
        record = await self._store.do(change, audit=call.audit)
        shown = await to_thread(provider_message, record)
        return api.SetProviderStateResponse(provider=shown)
