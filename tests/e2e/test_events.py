"""Tests on a real server that a CRM which watches events gets every event once, even if the server
ends.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, closing
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio

from generic_provider import (
    Account,
    Address,
    AsyncClient,
    Client,
    CursorTooOld,
    CursorUnknown,
    Distributor,
    Event,
    EventKind,
    Internal,
    Provider,
    ProvisioningResponse,
    ResetRunDefinition,
    ResetRunState,
    ResponseStatus,
    Service,
    actions,
)
from generic_provider.v1 import subscription_service_pb2 as api
from generic_provider.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.rpc.events import EventStreams
from generic_provider_server.store.opening import engine_of
from support.processes import Server
from support.shop import Shop

PROVIDER = Provider(
    code="P",
    distributors=[Distributor(code="MAIN")],
    services=[Service(code="SPORT", provider_service_id="1")],
)
BECOME = actions.BecomeSubscriber(type="DTH", provider="P", services=[("MAIN", "SPORT")])
LARGE = {"x": "x" * 4_000}
BECOME_LARGE = actions.BecomeSubscriber(
    type="DTH", provider="P", holder=Account(parameters=LARGE), address=Address(parameters=LARGE)
)
"""The events that contain this action or its request have 8,000 bytes each."""


@pytest_asyncio.fixture
async def shop(url: str) -> AsyncIterator[Shop]:
    settings = Settings(listen="127.0.0.1:0", database=url)
    async with running(settings) as address, AsyncClient(address) as crm:
        opened = Shop(address, crm)
        await opened.open()
        yield opened


async def answer(crm: AsyncClient, status: ResponseStatus.ValueType, code: str = "") -> None:
    """Gives this answer to every request that is ready."""
    handed = await crm.pull("P", adapter="a")
    responses = [
        ProvisioningResponse(
            request=request.number, lease_token=each.lease_token, status=status, error_code=code
        )
        for each in handed.subscriptions
        for request in each.requests
    ]
    assert responses
    await crm.send_responses("P", responses=responses)


async def first(events: AsyncIterator[Event], count: int) -> list[Event]:
    found = []
    async with aclosing(events):  # type: ignore[type-var]
        async for event in events:
            found.append(event)
            if len(found) == count:
                return found
    raise AssertionError("the iterator has ended")


def kind_of(event: Event) -> str:
    return str(event.WhichOneof("change"))


async def test_a_crm_hears_of_a_rollback_with_everything_that_it_needs(shop: Shop) -> None:
    crm = shop.crm
    await crm.perform(BECOME, subscription="S1")
    await answer(crm, ResponseStatus.ACCEPTED)
    stop = actions.StopServices(services=[("MAIN", "SPORT")])
    stopped = await crm.perform(stop, subscription="S1", reference="order 7")
    again = await crm.perform(
        actions.StartServices(services=[("MAIN", "SPORT")]), subscription="S1"
    )
    await answer(crm, ResponseStatus.REJECTED, "E42")

    (event,) = await first(
        crm.watch_events(from_beginning=True, kind="SUBSCRIPTION_ROLLED_BACK"), 1
    )
    told = event.subscription_rolled_back
    assert (event.subscription, event.provider, event.reference) == ("S1", "P", "order 7")
    assert told.action.id == stopped.action.id
    assert (told.request.number, told.request.error_code) == (stopped.action.requests[0], "E42")
    assert list(told.taken_back) == list((await crm.get_action(stopped.action.id)).taken_back)
    assert list(told.dependent_actions) == [again.action.id]
    assert told.subscription.number == "S1"


async def test_events_carry_what_they_are_about(shop: Shop) -> None:
    crm = shop.crm
    done = await crm.perform(BECOME, subscription="S1", reference="order 1")
    await answer(crm, ResponseStatus.ACCEPTED)

    events = await first(crm.watch_events(from_beginning=True), 7)
    assert [kind_of(event) for event in events] == [
        "provider_state_changed",
        "action_executed",
        "request_created",
        "sync_state_changed",
        "request_settled",
        "action_settled",
        "sync_state_changed",
    ]
    action, request = await crm.get_action(done.action.id), done.requests[0].number
    assert events[1].action_executed.action == action
    assert events[2].request_created.request == await crm.get_request(request)
    assert events[5].action_settled.action == action
    assert {events[n].reference for n in (1, 2, 4, 5)} == {"order 1"}
    assert len({event.cursor for event in events}) == len(events)


async def test_a_reset_run_is_heard_of(shop: Shop) -> None:
    crm = shop.crm
    await crm.perform(BECOME, subscription="S1")
    wanted = ResetRunDefinition(name="all", provider="P", full=True)
    definition = await crm.create_reset_run_definition(wanted)
    run = (await crm.submit_reset_run_definition(definition.id, hold=True)).reset_run
    held, finished = EventKind.RESET_RUN_HELD, EventKind.RESET_RUN_FINISHED
    (event,) = await first(crm.watch_events(from_beginning=True, kinds=[held]), 1)
    assert event.reset_run_held.reset_run.id == run.id
    await crm.cancel_reset_run(run.id)
    (event,) = await first(crm.watch_events(start_after=event.cursor, kinds=[finished]), 1)
    assert event.reset_run_finished.reset_run.state == ResetRunState.CANCELLED


async def test_a_wrong_cursor_is_refused(shop: Shop) -> None:
    (event,) = await first(shop.crm.watch_events(from_beginning=True), 1)
    store, row, _ = event.cursor.split("-")
    for cursor in ("x", f"{'0' * 32}-{row}-0", f"{store}-{10**9}-0"):
        with pytest.raises(CursorUnknown) as refused:
            await first(shop.crm.watch_events(start_after=cursor), 1)
        assert refused.value.metadata["cursor"] == cursor
    with pytest.raises(CursorTooOld) as too_old:
        await first(shop.crm.watch_events(start_after=f"{store}-0-1"), 1)
    oldest = too_old.value.metadata["oldest"]
    assert await first(shop.crm.watch_events(start_after=oldest), 1) == [event]


def test_an_iterator_goes_on_when_the_server_was_stopped_and_killed(tmp_path: Path) -> None:
    """The iterator of `watch_events` yields every event once, because the client connects again by
    itself.
    """
    with Server(tmp_path) as server, Client(server.address) as crm:
        crm.create_provider(PROVIDER)
        crm.set_provider_state("P", state="EFFECTIVE")
        numbers = [f"S{n}" for n in range(9)]
        heard: list[str] = []
        watching = threading.Thread(target=_hear, args=(server.address, numbers, heard))
        watching.start()
        for n, number in enumerate(numbers):
            crm.perform(BECOME, subscription=number, request_id=number)
            if n % 3 == 2:
                server.stop(signal.SIGTERM if n % 2 else signal.SIGKILL)
                server.start()
        watching.join(60)
    assert heard == numbers


def _hear(address: str, numbers: list[str], heard: list[str]) -> None:
    with Client(address) as crm:
        for event in crm.watch_events(from_beginning=True, kind="ACTION_EXECUTED"):
            heard.append(event.subscription)
            if len(heard) == len(numbers):
                return


async def test_batches_contain_the_same_events_as_single_messages(shop: Shop) -> None:
    await _become_large(shop.crm, 0)
    async with grpc.aio.insecure_channel(shop.address) as channel:
        alone = await _messages(channel, count=1_000)
        few = await _messages(channel, count=1_000, max_batch_size=7)
        many = await _messages(channel, count=1_000, max_batch_size=1_000)

    events = [message.event for message in alone]
    assert {len(message.batch.events) for message in alone} == {0}
    for messages, most in ((few, 7), (many, 1_000)):
        sent = [event for message in messages for event in message.batch.events]
        assert sent[:1_000] == events[:1_000]
        assert 1 < max(len(message.batch.events) for message in messages) <= most
        assert max(message.ByteSize() for message in messages) < 1_100_000
    assert len(many) < len(few) / 5


async def _messages(
    channel: grpc.aio.Channel, *, count: int, max_batch_size: int = 0
) -> list[api.WatchEventsResponse]:
    """Returns the first messages with events, which together contain at least `count` events."""
    request = api.WatchEventsRequest(from_beginning=True, max_batch_size=max_batch_size)
    stream = SubscriptionServiceStub(channel).WatchEvents(request)
    found: list[api.WatchEventsResponse] = []
    async for message in stream:
        if message.HasField("heartbeat"):
            continue
        found.append(message)
        count -= len(message.batch.events) or 1
        if count <= 0:
            break
    stream.cancel()
    return found


async def test_a_watcher_that_does_not_read_costs_a_bounded_amount(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server makes only a few megabytes of messages for a watcher that does not read. Other
    watchers get every event.
    """
    made = 0
    original = EventStreams._event  # noqa: SLF001

    def counted(*arguments: Any) -> api.Event:
        nonlocal made
        event = original(*arguments)
        made += event.ByteSize()
        return event

    monkeypatch.setattr(EventStreams, "_event", counted)
    async with grpc.aio.insecure_channel(shop.address) as channel:
        stream = SubscriptionServiceStub(channel).WatchEvents(api.WatchEventsRequest())
        await stream.read()
        for batch in range(3):
            await _become_large(shop.crm, batch)
        executed = shop.crm.watch_events(from_beginning=True, kind="ACTION_EXECUTED")
        heard = await first(executed, 1_500)
        stream.cancel()
    assert made - sum(event.ByteSize() for event in heard) < 12_000_000 < 2 * 1_500 * 8_000


@pytest.mark.timeout(60)
async def test_a_watcher_that_does_not_read_does_not_delay_a_shutdown(url: str) -> None:
    settings = Settings(listen="127.0.0.1:0", database=url, drain_seconds=600)
    async with AsyncExitStack() as stack:
        async with running(settings) as address, AsyncClient(address) as crm:
            await Shop(address, crm).open()
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
            stream = SubscriptionServiceStub(channel).WatchEvents(api.WatchEventsRequest())
            await stream.read()
            for batch in range(2):
                await _become_large(crm, batch)
            executed = crm.watch_events(from_beginning=True, kind="ACTION_EXECUTED")
            assert len(await first(executed, 1_000)) == 1_000
        stream.cancel()


async def _become_large(crm: AsyncClient, batch: int) -> None:
    numbers = [f"S{batch}-{n}" for n in range(500)]
    await crm.batch_perform([actions.request(BECOME_LARGE, subscription=n) for n in numbers])


DAMAGE = """
CREATE TRIGGER damage AFTER INSERT ON event WHEN instr(NEW.document, 'damaged') BEGIN
    UPDATE event SET document = CAST('{}' AS BLOB) WHERE number = NEW.number;
END"""
"""Replaces each new row of events that contains the word 'damaged' by a row that cannot be
decoded.
"""


async def until_it_fails(events: AsyncIterator[Event]) -> tuple[list[str], Internal]:
    """Returns the subscriptions of the events, and the error that ends the stream."""
    found = dict[str, None]()
    try:
        async for event in events:
            found[event.subscription] = None
    except Internal as error:
        return [*filter(None, found)], error
    raise AssertionError("the iterator has ended")


async def test_a_stream_ends_at_a_row_of_events_that_cannot_be_decoded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A watcher must not miss events without knowing it. Watchers who begin after the row get later
    events.
    """
    file = tmp_path / "store.db"
    settings = Settings(listen="127.0.0.1:0", database=f"sqlite:///{file}")
    engine = engine_of(settings.database)
    engine.prepare()
    engine.close()
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(DAMAGE)
    kinds = [EventKind.ACTION_EXECUTED]
    async with (
        asyncio.timeout(30),
        running(settings) as address,
        AsyncClient(address) as crm,
        AsyncClient(address) as other,
    ):
        await Shop(address, crm).open()
        (before,) = await first(crm.watch_events(from_beginning=True), 1)
        following = asyncio.create_task(until_it_fails(crm.watch_events(start_after=before.cursor)))
        await crm.perform(BECOME, subscription="S1")
        await crm.perform(BECOME, subscription="S2", reference="damaged")
        heard, error = await following
        assert heard == ["S1"]
        assert error.code is grpc.StatusCode.INTERNAL

        later = asyncio.create_task(first(other.watch_events(kinds=kinds), 1))
        while not later.done():
            await crm.perform(BECOME)
            await asyncio.sleep(0.05)
        (event,) = await later
        assert event.subscription not in {"S1", "S2"}

        heard, again = await until_it_fails(crm.watch_events(from_beginning=True))
        assert heard == ["S1"]
    log = capsys.readouterr()
    assert re.search(r"row \d+ of the table event cannot be decoded", log.out + log.err)
    assert all(str(each.metadata["error"]) in log.out + log.err for each in (error, again))
