"""Tests that both clients, Client and AsyncClient, make every call with the same arguments."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from generic_provider import (
    ArchiveState,
    AsyncClient,
    Client,
    EntryOutcome,
    ExistingAccount,
    PlatformSubscription,
    Provider,
    ProvisioningResponse,
    RequestState,
    RequestType,
    ResetRunDefinition,
    ResetRunDefinitionState,
    ResetRunState,
    ResponseCode,
    ResponseStatus,
    actions,
)
from support.calling import Caller

Ask = Callable[..., Awaitable[Any]]
"""Makes the call with the given name. A list or a stream is read to its end. Of the stream of
events, which has no end, only the first event is read.
"""
ENDLESS = "watch_events"
CALLS = {name for name in dict(inspect.getmembers(Client, inspect.isfunction)) if name[0] != "_"}
CALLS.remove("close")


@pytest.fixture(params=["plain", "async"])
async def ask(
    request: pytest.FixtureRequest, caller: Caller, address: str
) -> AsyncIterator[tuple[Ask, set[str]]]:
    """Yields a function that makes calls with one of the clients, and the set of the names of the
    calls that the function has made.
    """
    del caller  # the fixture has set the provider up
    done: set[str] = set()

    async def asked(name: str, *arguments: Any, **named: Any) -> Any:
        done.add(name)
        return await do(name, *arguments, **named)

    if request.param == "plain":
        with Client(address, performed_by="olev") as plain:
            do = _plain(plain)
            yield asked, done
    else:
        async with AsyncClient(address, performed_by="olev") as client:
            do = _async(client)
            yield asked, done


def _plain(client: Client) -> Ask:
    def call(name: str, *arguments: Any, **named: Any) -> Any:
        result = getattr(client, name)(*arguments, **named)
        if name == ENDLESS:
            return next(result)
        return list(result) if isinstance(result, Iterator) else result

    async def ask(name: str, *arguments: Any, **named: Any) -> Any:
        return await asyncio.to_thread(call, name, *arguments, **named)

    return ask


def _async(client: AsyncClient) -> Ask:
    async def ask(name: str, *arguments: Any, **named: Any) -> Any:
        result = getattr(client, name)(*arguments, **named)
        if name == ENDLESS:
            return await anext(result)
        return await result if inspect.isawaitable(result) else [each async for each in result]

    return ask


async def test_the_longest_timeout_is_not_over_at_once(address: str) -> None:
    async with AsyncClient(address, timeout=timedelta.max) as client:
        assert [each async for each in client.list_providers()] == []


async def test_both_clients_do_every_call(ask: tuple[Ask, set[str]]) -> None:
    do, done = ask
    for number in ("S1", "S2"):
        await _served(do, number)
    await _report(do)
    await _reset_one(do)
    await _define(do)
    await _run(do)
    await _archive(do)
    await _audit(do)
    await _providers(do)
    await _actions(do)
    await _leases(do)
    await _settle(do)
    assert done == CALLS


async def _served(ask: Ask, number: str) -> None:
    items = [("MAIN", goods, f"{goods} of {number}") for goods in ("SMARTCARD", "DECODER")]
    account = ExistingAccount(provider="P", account_number=f"A-{number}", holds_everything=True)
    become = actions.BecomeSubscriber(
        type="DTH", provider="P", items=items, services=[("MAIN", "S1")], existing=[account]
    )
    await ask("perform", become, subscription=number)


async def _report(ask: Ask) -> None:
    """Reports that the platform does not know S1."""
    held = [PlatformSubscription(subscription="S1", missing=True)]
    await asyncio.sleep(0.2)
    latest = datetime.now(UTC) + timedelta(minutes=5) - timedelta(milliseconds=150)
    told = await ask("report_platform_state", "P", held, observed_time=latest)
    assert (told.received, told.missing, told.out_of_sync) == (1, 1, 1)


async def _reset_one(ask: Ask) -> None:
    shown = await ask("reset_subscription", "S1", provider="P", validate_only=True)
    assert [each.type for each in shown.requests] == [RequestType.BECOME_SUBSCRIBER]
    sent = await ask("reset_subscription", "S1", recreate=True, request_id="one")
    again = await ask("reset_subscription", "S1", recreate=True, request_id="one")
    assert [each.number for each in again.requests] == [each.number for each in sent.requests]
    full = await ask("reset_subscription", "S2", full=True, performed_by="mari")
    assert {each.performed_by for each in full.requests} == {"mari"}


async def _define(ask: Ask) -> None:
    fields = ResetRunDefinition(name="night", provider="P", cron="30 4 * * *")
    made = await ask("create_reset_run_definition", fields, request_id="made")
    assert await ask("create_reset_run_definition", fields, request_id="made") == made
    assert await ask("get_reset_run_definition", made.id) == made
    made.name = "every night"
    changed = await ask("update_reset_run_definition", made)
    assert (changed.name, changed.etag != made.etag) == ("every night", True)
    scheduled = await ask("submit_reset_run_definition", made.id)
    assert scheduled.definition.HasField("next_run_time")
    off = await ask("set_reset_run_definition_state", made.id, state="NOT_EFFECTIVE")
    assert off.state == ResetRunDefinitionState.NOT_EFFECTIVE
    for filters in ({"state": "NOT_EFFECTIVE"}, {"provider": "P", "page_size": 1}):
        assert await ask("list_reset_run_definitions", **filters) == [off]
    assert await ask("list_reset_run_definitions", states=["EFFECTIVE"]) == []
    await ask("delete_reset_run_definition", made.id)
    assert await ask("list_reset_run_definitions") == []


async def _run(ask: Ask) -> None:
    fields = ResetRunDefinition(name="all", provider="P", full=True)
    before = await ask("preview_reset_run", fields, page_size=1)
    assert before.totals.subscriptions == len(before.entries) == 0  # all requests are pending
    await _served(ask, "S3")
    definition = await ask("create_reset_run_definition", fields)
    page = await ask("preview_reset_run", definition.id)
    assert [each.subscription for each in page.entries] == ["S3"]
    held = await _held(ask, definition.id)
    cancelled = await ask("cancel_reset_run", held.id, reason="a try")
    assert (cancelled.state, cancelled.message) == (
        ResetRunState.CANCELLED,
        "its plan needs an approval; cancelled by olev: a try",
    )
    approved = await ask("approve_reset_run", (await _held(ask, definition.id)).id, reason="looked")
    *_, last = await ask("watch_reset_run", approved.id)
    assert (last.state, last.approved_by) == (ResetRunState.COMPLETED, "olev")
    assert await ask("list_reset_runs", state="COMPLETED") == [last]
    assert len(await ask("list_reset_runs", definition=definition.id, page_size=1)) == 2
    for filters, found in (({"outcome": "PLANNED"}, 0), ({"page_size": 1}, 1)):
        entries = await ask("list_reset_run_entries", last.id, **filters)
        assert [each.outcome for each in entries] == [EntryOutcome.REQUESTS_CREATED] * found


async def _held(ask: Ask, definition: str) -> Any:
    run = (await ask("submit_reset_run_definition", definition, hold=True)).reset_run
    while run.state != ResetRunState.HELD:
        run = await ask("get_reset_run", run.id)
    return run


async def _archive(ask: Ask) -> None:
    now = datetime.now(UTC)
    made = await ask("create_archive", created_before=now, provider="P", request_id="old")
    assert (await ask("create_archive", created_before=now, provider="P", request_id="old")).id == (
        made.id
    )
    while made.state == ArchiveState.CREATING:
        made = await ask("get_archive", made.id)
    assert (made.state, made.performed_by) == (ArchiveState.COMPLETED, "olev")
    for filters in ({"state": "COMPLETED"}, {"provider": "P", "page_size": 1}):
        assert await ask("list_archives", **filters) == [made]
    assert await ask("list_archives", subscription="S1") == []
    whole = b"".join(await ask("download_archive", made.id))
    assert b"".join(await ask("download_archive", made.id, offset=9)) == whole[9:]
    deleted = await ask("delete_archive", made.id, checksum=made.checksum, performed_by="mari")
    assert deleted.message.startswith("deleted by mari")


async def _audit(ask: Ask) -> None:
    downloads: list[Any] = []
    while sum(each.done for each in downloads) < 2:  # their entry is written some time later
        downloads = await ask("list_audit_entries", methods=["DownloadArchive"])
    everything = await ask("list_audit_entries", page_size=7)
    assert everything == await ask("list_audit_entries", time_to=datetime.now(UTC))
    (deleted,) = await ask(
        "list_audit_entries",
        methods=["DeleteArchive"],
        caller=everything[0].caller,
        performed_by="mari",
        codes=[grpc.StatusCode.OK],
        resource=everything[0].resource,
        time_from=datetime.now(UTC) - timedelta(hours=1),
    )
    assert deleted == everything[0]
    for filters in ({"refused": True}, {"provider": "X"}, {"subscription": "S404"}):
        assert await ask("list_audit_entries", **filters) == []


async def _providers(ask: Ask) -> None:
    made = await ask("create_provider", Provider(code="N"), request_id="new")
    assert await ask("create_provider", Provider(code="N"), request_id="new") == made
    made.display_name = "new"
    changed = await ask("update_provider", made)
    assert (changed.display_name, changed.etag != made.etag) == ("new", True)
    off = await ask("set_provider_state", "P", state="NOT_EFFECTIVE")
    assert await ask("get_provider", "P") == off
    assert await ask("list_providers", states=["EFFECTIVE"]) == []
    assert len(await ask("list_providers", state="NOT_EFFECTIVE", page_size=1)) == 3
    await ask("set_provider_state", "P", state="EFFECTIVE")


async def _actions(ask: Ask) -> None:
    become = actions.BecomeSubscriber(type="DTH", provider="P")
    requests = [actions.request(become, subscription=number) for number in ("S4", "S4")]
    made, refused = await ask("batch_perform", requests)
    assert (made.subscription, refused.reason) == ("S4", "SUBSCRIPTION_EXISTS")
    later = datetime.now(UTC) + timedelta(days=1)
    change = {"request_id": "later", "schedule_time": later, "performed_by": "mari"}
    planned = (await ask("perform", actions.Terminate(), subscription="S4", **change)).action
    assert await ask("get_action", request_id="later") == planned
    cancelled = await ask("cancel_scheduled_action", planned.id)
    assert await ask("get_action", planned.id, wait=timedelta(seconds=1)) == cancelled
    for filters in ({"state": "CANCELLED"}, {"subscription": "S4", "kinds": ["TERMINATE"]}):
        assert await ask("list_actions", **filters) == [cancelled]
    shown = await ask("get_subscription", "S4", include_former=True)
    assert [each.number for each in await ask("list_subscriptions", page_size=1)][-1] == "S4"
    assert await ask("list_subscriptions", created_from=later) == []
    event = await ask(
        "watch_events", from_beginning=True, subscription="S4", kinds=["ACTION_EXECUTED"]
    )
    assert event.action_executed.action.subscription == shown.number == "S4"


async def _leases(ask: Ask) -> None:
    """Takes the request of S4, releases its lease, takes the request again, and answers the
    request.
    """
    taken = await _pulled(ask)
    (lease,) = await ask("extend_leases", [taken.lease_token], lease_duration=timedelta(minutes=2))
    assert lease.live
    for live in (True, False):  # the second call finds that the lease has ended
        (lease,) = await ask("release_leases", [taken.lease_token], stop=True)
        assert lease.live == live
    taken = await _pulled(ask)
    answer = ProvisioningResponse(
        request=taken.requests[0].number,
        lease_token=taken.lease_token,
        status=ResponseStatus.ACCEPTED,
    )
    (result,) = await ask("send_responses", "P", responses=[answer])
    assert (result.request, result.code) == (answer.request, ResponseCode.APPLIED)
    (answered,) = await ask("list_requests", subscription="S4", state="COMPLETED", page_size=1)
    assert await ask("get_request", answer.request) == answered


async def _pulled(ask: Ask) -> Any:
    """Takes requests until the request of S4 is taken."""
    while True:
        pulled = await ask("pull", "P", adapter="a", lease_duration=timedelta(minutes=1))
        for each in pulled.subscriptions:
            if each.subscription == "S4":
                return each


async def _settle(ask: Ask) -> None:
    become = actions.BecomeSubscriber(type="DTH", provider="P")
    first, second = [
        (await ask("perform", become, subscription=number)).requests[0] for number in ("S5", "S6")
    ]
    ended = await ask("cancel_request", first.number, reason="a try", end_lease=True)
    assert (ended.state, ended.error_code) == (RequestState.REJECTED, "CANCELLED_BY_OPERATOR")
    ended = await ask("resolve_request", second.number, status="ACCEPTED", reason="seen")
    assert ended.state == RequestState.COMPLETED
    assert (await ask("get_backlog", "P")).pending > 0
    assert await ask("list_adapters", provider="P", page_size=1) == []
