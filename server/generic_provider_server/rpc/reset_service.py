from __future__ import annotations

from generic_provider.v1 import reset_service_pb2 as api

from ..commands.reset import ResetSubscription
from ..store.store import Store
from . import encode
from .calls import Call
from .checks import CALLERS_ID, Checks
from .paging import first_page
from .repeats import contents_of, digest


class ResetServicer:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def ResetSubscription(
        self, request: api.ResetSubscriptionRequest, call: Call
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
        done = await self._store.do(reset)
        requests = done.requests
        if numbers := done.numbers:
            requests = tuple(await self._store.read(lambda reads: reads.requests_of(numbers)))
        return api.ResetSubscriptionResponse(
            requests=first_page([encode.request(each) for each in requests]),
            providers_left_out=done.left_out,
        )
