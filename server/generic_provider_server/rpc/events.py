"""Answers the call WatchEvents. SubscriptionServicer inherits EventStreams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, assert_never

from generic_provider.v1 import reset_service_pb2, resources_pb2
from generic_provider.v1 import subscription_service_pb2 as api

from ..domain.catalogue import Catalogues
from ..domain.resets.records import RunRecord, Settled, run_id
from ..domain.subscription.events import Event, EventKind
from ..domain.subscription.records import ActionRecord, SubscriptionRecord, action_id
from ..domain.subscription.request_records import RequestRecord, request_number
from ..domain.values import Instant
from ..services.event_places import BEGINNING, Drain, EventPlace, Heartbeat, PlacedEvent, Wanted
from ..services.watching import Watching
from ..store.read.queries import Queries
from ..store.store import Store
from . import encode, encode_actions, encode_parts, encode_resets
from .batches import batches
from .checks import Checks
from .incoming import IncomingCall

AT_ONCE = 100
"""The greatest number of events whose objects are read from the database together, and therefore
also the greatest number of events in a batch.
"""

MOST_IN_BATCH = 1_000

KINDS = EventKind
OF_ACTIONS = frozenset({KINDS.ACTION_EXECUTED, KINDS.ACTION_SETTLED})
OF_REQUESTS = frozenset({KINDS.REQUEST_CREATED, KINDS.REQUEST_SETTLED})
OF_RUNS = frozenset({KINDS.RESET_RUN_HELD, KINDS.RESET_RUN_FINISHED})


class EventStreams:
    def __init__(self, store: Store, watching: Watching) -> None:
        self._store = store
        self._watching = watching

    async def WatchEvents(
        self, request: api.WatchEventsRequest, call: IncomingCall
    ) -> AsyncIterator[api.WatchEventsResponse]:
        checks = Checks()
        wanted = Wanted(
            provider=checks.text("provider", request.provider),
            subscription=checks.text("subscription", request.subscription),
            kinds=frozenset(checks.enums("kinds", request.kinds, EventKind)),
        )
        cursor = checks.text("start_after", request.start_after)
        most = checks.number("max_batch_size", request.max_batch_size, least=0, most=MOST_IN_BATCH)
        checks.done()
        start = BEGINNING if request.from_beginning else None
        if cursor:
            start = self._watching.place(cursor)
        async for sent in self._watching.watch(wanted, start):
            match sent:
                case Heartbeat(place):
                    yield self._heartbeat(place)
                case Drain(reason):
                    drain = api.WatchEventsResponse.Drain(reason=reason)
                    yield api.WatchEventsResponse(drain=drain)
                case placed:
                    for first in range(0, len(placed), AT_ONCE):
                        shown = await self._shown(placed[first : first + AT_ONCE])
                        for response in _responses(shown, most=most):
                            yield response

    def _heartbeat(self, place: EventPlace) -> api.WatchEventsResponse:
        heartbeat = api.WatchEventsResponse.Heartbeat(
            cursor=self._watching.cursor(place),
            server_time=encode_parts.timestamp(self._store.now()),
        )
        return api.WatchEventsResponse(heartbeat=heartbeat)

    async def _shown(self, placed: Sequence[PlacedEvent]) -> Iterator[api.Event]:
        bodies = await self._watching.read(partial(_bodies, events=[each.event for each in placed]))
        return (self._event(each, bodies) for each in placed)

    def _event(self, placed: PlacedEvent, bodies: _Bodies) -> api.Event:
        event, shown = placed.event, api.Event(cursor=self._watching.cursor(placed.after))
        shown.time.CopyFrom(encode_parts.time_of(placed.time))
        shown.subscription = event.subscription
        if len(event.providers) == 1:
            shown.provider = event.providers[0]
        shown.reference = event.reference
        _put_change(event, bodies, bodies.catalogues, shown)
        return shown


def _responses(events: Iterable[api.Event], *, most: int) -> Iterator[api.WatchEventsResponse]:
    """Yields messages with at most `most` events; if `most` is 0, with a single event, which is not
    in a batch.
    """
    if not most:
        return (api.WatchEventsResponse(event=event) for event in events)
    divided = batches(events, size_of=api.Event.ByteSize, most=most)
    together = api.WatchEventsResponse.Batch
    return (api.WatchEventsResponse(batch=together(events=batch)) for batch in divided)


class _Bodies(NamedTuple):
    """The actions, requests, subscriptions and reset runs that some events name, in their current
    state. Archived objects are left out. `catalogues`: the catalogues that the objects need.
    """

    actions: dict[int, ActionRecord]
    requests: dict[int, RequestRecord]
    subscriptions: dict[str, SubscriptionRecord]
    runs: dict[int, tuple[RunRecord, Settled]]
    now: Instant
    catalogues: Catalogues


def _bodies(queries: Queries, *, events: Iterable[Event]) -> _Bodies:
    actions, requests, subscriptions, runs = set[int](), set[int](), set[str](), set[int]()
    for event in events:
        if event.kind in OF_ACTIONS:
            actions.add(event.number)
        elif event.kind in OF_REQUESTS:
            requests.add(event.number)
        elif event.kind in OF_RUNS:
            runs.add(event.number)
        elif event.kind == EventKind.SUBSCRIPTION_ROLLED_BACK:
            actions.add(event.number)
            requests.add(event.request)
            subscriptions.add(event.subscription)
    settled = queries.settled_of_runs(runs)
    found = [run for number in runs if (run := queries.reset_run(number))]
    return _Bodies(
        {each.id: each for each in queries.actions_of(list(actions))},
        {each.number: each for each in queries.requests_of(requests)},
        queries.readable(list(subscriptions)),
        {run.id: (run, settled[run.id]) for run in found},
        queries.now(),
        queries.catalogues(),
    )


def _put_change(event: Event, bodies: _Bodies, catalogues: Catalogues, shown: api.Event) -> None:
    kind = EventKind(event.kind)
    match kind:
        case EventKind.ACTION_EXECUTED:
            _put_action(event.number, bodies, catalogues, shown.action_executed.action)
        case EventKind.ACTION_SETTLED:
            _put_action(event.number, bodies, catalogues, shown.action_settled.action)
        case EventKind.REQUEST_CREATED:
            _put_request(event.number, bodies, shown.request_created.request)
        case EventKind.REQUEST_SETTLED:
            _put_request(event.number, bodies, shown.request_settled.request)
        case EventKind.SUBSCRIPTION_ROLLED_BACK:
            _put_rollback(event, bodies, catalogues, shown.subscription_rolled_back)
        case EventKind.SYNC_STATE_CHANGED:
            change = shown.sync_state_changed
            change.sync_state = resources_pb2.SyncState.ValueType(event.number)
            change.former_sync_state = resources_pb2.SyncState.ValueType(event.former)
        case EventKind.RESET_RUN_HELD:
            shown.reset_run_held.reset_run.CopyFrom(_run(event.number, bodies))
        case EventKind.RESET_RUN_FINISHED:
            shown.reset_run_finished.reset_run.CopyFrom(_run(event.number, bodies))
        case EventKind.PROVIDER_STATE_CHANGED:
            state = resources_pb2.ProviderState.ValueType(event.number)
            shown.provider_state_changed.state = state
        case _:
            assert_never(kind)


def _put_rollback(
    event: Event,
    bodies: _Bodies,
    catalogues: Catalogues,
    into: api.Event.SubscriptionRolledBack,
) -> None:
    _put_action(event.number, bodies, catalogues, into.action)
    _put_request(event.request, bodies, into.request)
    for each in event.taken_back:
        encode_actions.undone(each, catalogues, into.taken_back.add())
    into.dependent_actions.extend([action_id(number) for number in event.dependents])
    if record := bodies.subscriptions.get(event.subscription):
        encode.subscription(record, catalogues, now=bodies.now, into=into.subscription)
    else:
        into.subscription.number = event.subscription


def _put_action(
    number: int, bodies: _Bodies, catalogues: Catalogues, into: api.SubscriptionAction
) -> None:
    if record := bodies.actions.get(number):
        encode_actions.action(record, catalogues, into=into)
    else:
        into.id = action_id(number)


def _put_request(number: int, bodies: _Bodies, into: resources_pb2.ProvisioningRequest) -> None:
    if record := bodies.requests.get(number):
        encode.request(record, into)
    else:
        into.number = request_number(number)


def _run(number: int, bodies: _Bodies) -> reset_service_pb2.ResetRun:
    if number not in bodies.runs:
        return reset_service_pb2.ResetRun(id=run_id(number))
    return encode_resets.run(*bodies.runs[number])
