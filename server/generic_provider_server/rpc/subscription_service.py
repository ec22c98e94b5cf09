"""Answers the calls of SubscriptionService."""

from __future__ import annotations

from generic_provider.v1 import subscription_service_pb2 as api

from ..commands.audit import RefuseItem
from ..commands.perform import Done
from ..commands.scheduled import CancelScheduled
from ..domain.actions import ActionKind
from ..domain.catalogue import Catalogues
from ..domain.refusals import Reason, Refused, not_found
from ..domain.subscription.records import ActionState
from ..domain.values import State, SyncState
from ..services.action_waits import ActionWaits
from ..services.watching import Watching
from ..store.read.filters import ActionFilter, SubscriptionFilter
from ..store.read.queries import Queries
from ..store.store import Store
from ..store.write.command import Asked, Command
from . import encode
from .checks import CALLERS_ID, NAME, Checks
from .decode_actions import perform_of
from .encode_actions import action, item_error
from .errors import internal
from .events import EventStreams
from .incoming import IncomingCall
from .paging import MOST_BYTES, first_page, page_of

MOST_IN_BATCH = 1_000


class SubscriptionServicer(EventStreams):
    def __init__(self, store: Store, waits: ActionWaits, watching: Watching) -> None:
        super().__init__(store, watching)
        self._waits = waits

    async def PerformAction(
        self, request: api.PerformActionRequest, call: IncomingCall
    ) -> api.PerformActionResponse:
        done = await self._store.do(perform_of(request, call, with_requests=True), audit=call.audit)
        requests, catalogues = done.requests, self._store.catalogues
        if done.repeated:
            numbers = done.action.requests
            requests = tuple(await self._store.read(lambda queries: queries.requests_of(numbers)))
        response = api.PerformActionResponse(
            repeated=done.repeated, providers_left_out=done.left_out
        )
        action(done.action, catalogues, into=response.action)
        if done.subscription:
            now = self._store.now()
            encode.subscription(done.subscription, catalogues, now=now, into=response.subscription)
        for each in requests:
            encode.request(each, response.requests.add())
        if response.ByteSize() > MOST_BYTES:
            made = list(response.requests)
            response.ClearField("requests")
            response.requests.extend(first_page(made, beside=response.ByteSize()))
        return response

    async def BatchPerformActions(
        self, request: api.BatchPerformActionsRequest, call: IncomingCall
    ) -> api.BatchPerformActionsResponse:
        checks = Checks()
        checks.count("actions", request.actions, least=1, most=MOST_IN_BATCH)
        checks.done()
        commands = [_command(each, call) for each in request.actions]
        asked = await self._store.do_all(commands, audit=call.audit)
        call.audit.uncertain(asked)
        response, catalogues = api.BatchPerformActionsResponse(), self._store.catalogues
        for each in asked:
            _put_result(each, catalogues, response.results.add())
        if response.ByteSize() > MOST_BYTES:
            for made in (result.action for result in response.results if result.HasField("action")):
                for large in ("requests", "taken_back", "error"):
                    made.ClearField(large)
        return response

    async def GetAction(
        self, request: api.GetActionRequest, call: IncomingCall
    ) -> api.GetActionResponse:
        checks = Checks()
        if request.WhichOneof("key") is None:
            checks.wrong("action", "is required unless request_id is given")
        wait = checks.wait(request)
        found = await self._action_of(checks, request)
        record = found and await self._waits.action(found, wait=wait)
        if not record:
            name = request.WhichOneof("key") or "action"
            key = str(getattr(request, name))
            asked = repr(key) if name == "action" else f"with {name} {key!r}"
            raise Refused(Reason.ACTION_NOT_FOUND, f"there is no action {asked}", **{name: key})
        if record.taken_back:
            # another process may just have added a provider of which something was taken back
            await self._store.refresh()
        return api.GetActionResponse(action=action(record, self._store.catalogues))

    async def _action_of(self, checks: Checks, request: api.GetActionRequest) -> int:
        """Returns the number of the requested action; 0 if no action can have this id, or no action
        has this request id. Raises InvalidField if the id or the request id is not a valid text.
        """
        if request.WhichOneof("key") == "action":
            number = checks.numbered("action", request.action, letter="A")
            checks.done()
            return number
        key = checks.text("request_id", request.request_id, most=CALLERS_ID, required=True)
        checks.done()
        return await self._store.read(lambda queries: queries.action_of_call(key))

    async def CancelScheduledAction(
        self, request: api.CancelScheduledActionRequest, call: IncomingCall
    ) -> api.CancelScheduledActionResponse:
        checks = Checks()
        number = checks.numbered("action", request.action, letter="A")
        who = call.who(checks, request.performed_by)
        checks.done()
        found = await self._store.read(lambda queries: queries.action(number))
        if found is None:
            raise not_found(Reason.ACTION_NOT_FOUND, request.action)
        cancel = CancelScheduled(action=number, subscription=found.subscription, who=who)
        record = await self._store.do(cancel, audit=call.audit)
        return api.CancelScheduledActionResponse(action=action(record, self._store.catalogues))

    async def GetSubscription(
        self, request: api.GetSubscriptionRequest, call: IncomingCall
    ) -> api.GetSubscriptionResponse:
        checks = Checks()
        number = checks.code("subscription", request.subscription)
        checks.done()
        record, catalogues = await self._store.read(
            lambda queries: (queries.subscription(number), queries.catalogues())
        )
        if record is None:
            raise not_found(Reason.SUBSCRIPTION_NOT_FOUND, number)
        shown = encode.subscription(
            record,
            catalogues,
            now=self._store.now(),
            full=True,
            former=request.include_former,
        )
        return api.GetSubscriptionResponse(subscription=shown)

    async def ListSubscriptions(
        self, request: api.ListSubscriptionsRequest, call: IncomingCall
    ) -> api.ListSubscriptionsResponse:
        checks = Checks()
        wanted = _subscription_filter(checks, request)
        page = page_of(checks, request, start="", key=self._store.token_key)
        checks.done()

        def read(queries: Queries) -> api.ListSubscriptionsResponse:
            now = queries.now()
            end = queries.end_of_subscriptions(wanted, after=page.after)
            found = queries.subscriptions(wanted, after=page.after, limit=page.size + 1, until=end)
            catalogues = queries.catalogues()
            shown = (
                (each.aggregate.desired.number, encode.subscription(each, catalogues, now=now))
                for each in found
            )
            subscriptions, token = page.cut(shown, then=end)
            return api.ListSubscriptionsResponse(subscriptions=subscriptions, next_page_token=token)

        return await self._store.read(read)

    async def ListActions(
        self, request: api.ListActionsRequest, call: IncomingCall
    ) -> api.ListActionsResponse:
        checks = Checks()
        wanted = _action_filter(checks, request)
        page = page_of(checks, request, start=0, key=self._store.token_key)
        checks.done()

        def read(queries: Queries) -> api.ListActionsResponse:
            end = queries.end_of_actions(wanted, before=page.after)
            found = queries.actions(wanted, before=page.after, limit=page.size + 1, until=end)
            catalogues = queries.catalogues()
            shown = ((each.id, action(each, catalogues)) for each in found)
            actions, token = page.cut(shown, then=end)
            archives = queries.archives_with(wanted.subscription) if wanted.subscription else ()
            return api.ListActionsResponse(
                actions=actions, next_page_token=token, archives=archives
            )

        return await self._store.read(read)


def _command(request: api.PerformActionRequest, call: IncomingCall) -> Command[Done]:
    try:
        return perform_of(request, call, with_requests=False)
    except Exception as error:  # noqa: BLE001 - the other actions are performed nevertheless
        refused = error if isinstance(error, Refused) else internal("BatchPerformActions")
        return RefuseItem(refused)


def _put_result(
    asked: Asked[Done], catalogues: Catalogues, into: api.BatchPerformActionsResponse.Result
) -> None:
    try:
        done = asked.outcome()
    except Refused as refused:
        into.error.CopyFrom(item_error(refused))
    except Exception:  # noqa: BLE001 - the other actions are performed nevertheless
        into.error.CopyFrom(item_error(internal("BatchPerformActions")))
    else:
        action(done.action, catalogues, with_performed=False, into=into.action)
        into.repeated = done.repeated


def _subscription_filter(
    checks: Checks, request: api.ListSubscriptionsRequest
) -> SubscriptionFilter:
    return SubscriptionFilter(
        provider=checks.text("provider", request.provider),
        type=checks.text("type", request.type),
        states=checks.enums("states", request.states, State),
        sync_states=checks.enums("sync_states", request.sync_states, SyncState),
        created_from=checks.instant("created_from", request),
        created_to=checks.instant("created_to", request),
        item_serial=checks.text("item_serial", request.item_serial),
        account_number=checks.text("account_number", request.account_number),
        holder_number=checks.text("holder_number", request.holder_number),
    )


def _action_filter(checks: Checks, request: api.ListActionsRequest) -> ActionFilter:
    return ActionFilter(
        subscription=checks.text("subscription", request.subscription),
        reference=checks.text("reference", request.reference, most=NAME),
        kinds=checks.enums("kinds", request.kinds, ActionKind),
        states=checks.enums("states", request.states, ActionState),
        performed_by=checks.text("performed_by", request.performed_by, most=CALLERS_ID),
        created_from=checks.instant("created_from", request),
        created_to=checks.instant("created_to", request),
    )
