"""Tests ReportPlatformState with a real client on both kinds of stores."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from generic_provider import (
    Account,
    Address,
    AsyncClient,
    Client,
    DifferenceKind,
    Draining,
    ExistingAccount,
    InvalidField,
    PlatformEntitlement,
    PlatformItem,
    PlatformSubscription,
    Provider,
    ReportIncomplete,
    ReportPlatformStateResponse,
    ServerUnavailable,
    Subscription,
    SyncState,
    actions,
)
from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from support.calling import Caller
from support.proxy import proxy_to

Example = ReportPlatformStateResponse.Example


@pytest.fixture
async def crm(address: str, caller: Caller) -> AsyncIterator[AsyncClient]:  # noqa: ARG001
    """Yields a client of a server on which provider P is effective."""
    async with AsyncClient(address) as client:
        yield client


def soon() -> datetime:
    """Returns the latest `observed_time` that a report may have, less 150 ms, because the clock of
    the database may be behind the clock of this process. With this `observed_time` no entry is
    skipped because of an answer that arrived before this call.
    """
    time.sleep(0.2)
    return datetime.now(UTC) + timedelta(minutes=5) - timedelta(milliseconds=150)


async def served_already(crm: AsyncClient, *numbers: str, everything: bool = True) -> None:
    """Creates subscriptions that platform P serves already, each with a card, a box and service S1.
    The account number on the platform is `A` followed by the number of the subscription.
    """
    for number in numbers:
        account = ExistingAccount(
            provider="P", account_number=f"A{number}", holds_everything=everything
        )
        become = actions.BecomeSubscriber(
            type="DTH",
            provider="P",
            items=[("MAIN", "SMARTCARD", f"C{number}"), ("MAIN", "DECODER", f"B{number}")],
            services=[("MAIN", "S1")],
            existing=[account],
        )
        await crm.perform(become, subscription=number)


def there(number: str, *services: str, **who: Any) -> PlatformSubscription:
    """Returns the report of one subscription: its card, its box, and the services that are on."""
    return PlatformSubscription(
        **(who or {"subscription": number}),
        items=[
            PlatformItem(serial_number=f"C{number}", provider_goods_type="SMARTCARD"),
            PlatformItem(serial_number=f"B{number}", goods_type="DECODER"),
        ],
        entitlements=[
            PlatformEntitlement(provider_service_id=service, serial_numbers=[f"C{number}"])
            for service in services
        ],
    )


async def differences(crm: AsyncClient, number: str) -> list[str]:
    (link,) = (await crm.get_subscription(number)).provider_links
    return [DifferenceKind.name_of(each.kind) for each in link.differences]


async def test_drift_that_only_the_platform_knows_of_is_out_of_sync_at_once(
    crm: AsyncClient,
) -> None:
    await served_already(crm, "S1", "S2", "S3")
    drifted = [there("S1", "id-1"), there("S2", "id-2"), there("", account_number="AS3")]

    told = await crm.report_platform_state("P", drifted, observed_time=soon())

    assert told == ReportPlatformStateResponse(received=3, unchanged=1, changed=2, out_of_sync=2)
    assert await differences(crm, "S1") == []
    assert await differences(crm, "S2") == ["SERVICE_MISSING", "SERVICE_SURPLUS"]
    surplus = ["ITEM_SURPLUS", "ITEM_SURPLUS"]
    assert (await differences(crm, "S3"))[-2:] == surplus
    again = await crm.report_platform_state("P", drifted, observed_time=soon())
    assert again == ReportPlatformStateResponse(received=3, unchanged=3, out_of_sync=2)
    assert not [request async for request in crm.list_requests()]


async def test_a_subscriber_that_is_missing_on_the_platform_is_to_become_one_again(
    crm: AsyncClient,
) -> None:
    await served_already(crm, "S1")
    gone = [PlatformSubscription(account_number="AS1", missing=True)]
    told = await crm.report_platform_state("P", gone, observed_time=soon())
    assert told == ReportPlatformStateResponse(received=1, missing=1, out_of_sync=1)
    assert (await differences(crm, "S1"))[0] == "SUBSCRIBER_MISSING"
    told = await crm.report_platform_state("P", gone, observed_time=soon())
    assert told == ReportPlatformStateResponse(received=1, unchanged=1, out_of_sync=1)


async def test_what_requests_may_have_overtaken_is_skipped(crm: AsyncClient) -> None:
    await served_already(crm, "S1", "S2")
    await crm.perform(actions.AddServices(services=[("MAIN", "S2")]), subscription="S1")
    await crm.perform(actions.AddServices(services=[("MAIN", "S2")]), subscription="S2")
    (request,) = [each async for each in crm.list_requests(subscription="S2")]
    settled = await crm.resolve_request(request.number, status="ACCEPTED", reason="looked at it")
    after = settled.settle_time.ToDatetime(UTC) + timedelta(minutes=5)

    before = [there("S1"), there("S2")]
    told = await crm.report_platform_state("P", before, observed_time=datetime.now(UTC))
    skipped = ReportPlatformStateResponse(received=2, skipped=2, skipped_pending=1)
    skipped.repeat_after.FromDatetime(after)
    assert told == skipped
    everything = await crm.report_platform_state(
        "P", [], observed_time=datetime.now(UTC), complete=True, max_missing_percent=0
    )
    assert everything == ReportPlatformStateResponse(unnamed_skipped=2)
    told = await crm.report_platform_state("P", before, observed_time=after)
    assert told == ReportPlatformStateResponse(
        received=2, skipped=1, skipped_pending=1, changed=1, out_of_sync=1
    )


async def test_an_older_report_is_skipped(crm: AsyncClient) -> None:
    await served_already(crm, "S1")
    later = soon()
    earlier = later - timedelta(minutes=1)
    nothing = [PlatformSubscription(subscription="S1")]
    told = await crm.report_platform_state("P", nothing, observed_time=later)
    assert told == ReportPlatformStateResponse(received=1, changed=1, out_of_sync=1)

    older = await crm.report_platform_state("P", [there("S1")], observed_time=earlier)
    skipped = ReportPlatformStateResponse(received=1, skipped=1, out_of_sync=1)
    skipped.repeat_after.FromDatetime(later)
    assert older == skipped
    everything = await crm.report_platform_state(
        "P", [], observed_time=earlier, complete=True, max_missing_percent=100
    )
    assert everything == ReportPlatformStateResponse(unnamed_skipped=1, out_of_sync=1)


async def test_what_is_unknown_is_counted_and_told_and_fails_nothing(crm: AsyncClient) -> None:
    await served_already(crm, "S1", "S2")
    twice = ExistingAccount(provider="P", account_number="AS2", holds_everything=True)
    again = actions.BecomeSubscriber(
        type="DTH", provider="P", services=[("MAIN", "S1")], existing=[twice]
    )
    await crm.perform(again, subscription="S3")
    entries = [
        there("S9"),
        there("", account_number="A9"),
        there("", account_number="AS2"),
        there("S1", subscription="S1", account_number="AS2"),
        PlatformSubscription(),
        PlatformSubscription(subscription="S1", items=[PlatformItem()]),
        there("S1", "id-1", "4711"),
    ]

    told = await crm.report_platform_state("P", entries, observed_time=soon())

    assert (told.received, told.unknown_subscriptions, told.unchanged) == (7, 6, 1)
    assert told.unknown_ids == 1
    whats = Counter(each.WhichOneof("what") for each in told.examples)
    assert whats == {"subscription": 3, "account_number": 3, "id": 1}
    wrong = {each.why for each in told.examples}
    assert "subscription S1 has account number AS1" in wrong
    assert "2 subscriptions have this account number: S2, S3" in wrong
    assert "items[0].serial_number is required" in wrong
    assert told.examples[-1].of_subscription == "S1"


async def test_an_entry_that_would_make_messages_too_large_is_unknown_and_fails_nothing(
    crm: AsyncClient, caller: Caller
) -> None:
    await served_already(crm, "S1", "S2")
    large = there("S1", "id-0")
    large.entitlements.extend(
        [
            PlatformEntitlement(
                provider_service_id=f"id-{n % 20}",
                distributor="MAIN",
                serial_numbers=[f"{n:05}-{k:058}" for k in range(40)],
            )
            for n in range(900)
        ]
    )
    told = await crm.report_platform_state("P", [large, there("S2")], observed_time=soon())
    assert (told.unknown_subscriptions, told.changed, told.out_of_sync) == (1, 1, 1)
    assert told.examples[0].why.endswith("bytes with their items, at most 1048576 are allowed")

    await crm.perform(actions.ChangeLocation(address=Address(city="Tartu")), subscription="S1")
    pull = provisioning.PullPendingRequestsRequest(provider="P", adapter="A", include_target=True)
    pulled = await caller.call("PullPendingRequests", pull)
    assert pulled.ByteSize() < 2 * 1024 * 1024


async def test_only_the_first_hundred_examples_are_told(crm: AsyncClient) -> None:
    nobody = [there(f"N{n}") for n in range(2_500)]
    told = await crm.report_platform_state("P", nobody, observed_time=soon())
    assert (told.received, told.unknown_subscriptions) == (2_500, 2_500)
    assert len(told.examples) == 100


async def test_a_report_of_a_later_time_is_refused_with_the_time_of_the_server(
    crm: AsyncClient,
) -> None:
    later = datetime.now(UTC) + timedelta(minutes=6)
    with pytest.raises(InvalidField) as refused:
        await crm.report_platform_state("P", [], observed_time=later)
    (violation,) = refused.value.violations
    assert violation.field == "observed_time"
    clock = "is more than 5 minutes ahead of the server's clock, which shows 2"
    assert violation.description.startswith(clock)


async def test_whom_a_complete_report_does_not_name_is_missing(crm: AsyncClient) -> None:
    numbers = [f"S{n}" for n in range(20)]
    await served_already(crm, *numbers, "ENDED")
    await crm.perform(actions.Terminate(), subscription="ENDED")
    async for request in crm.list_requests(subscription="ENDED", oldest_first=True):
        await crm.resolve_request(request.number, status="ACCEPTED", reason="looked at it")
    named = [there(number, "id-1") for number in numbers[1:]]

    told = await crm.report_platform_state("P", named, observed_time=soon(), complete=True)

    expected = ReportPlatformStateResponse(received=19, unchanged=19, missing=1, out_of_sync=1)
    assert told == expected
    assert (await differences(crm, "S0"))[0] == "SUBSCRIBER_MISSING"
    told = await crm.report_platform_state("P", named, observed_time=soon(), complete=True)
    assert told == ReportPlatformStateResponse(received=19, unchanged=19, out_of_sync=1)


async def test_whom_a_faulty_entry_of_a_complete_report_names_is_not_missing(
    crm: AsyncClient,
) -> None:
    await served_already(crm, "S1", "S2", "S3", "S5")
    twice = ExistingAccount(provider="P", account_number="AS3", holds_everything=True)
    again = actions.BecomeSubscriber(
        type="DTH", provider="P", services=[("MAIN", "S1")], existing=[twice]
    )
    await crm.perform(again, subscription="S4")
    faulty = [
        PlatformSubscription(subscription="S1", items=[PlatformItem()]),
        there("S2", subscription="S2", account_number="AS1"),
        there("", account_number="AS3"),
        there("S5", subscription="S5", account_number="A" * 65),
    ]

    told = await crm.report_platform_state("P", faulty, observed_time=soon(), complete=True)

    assert (told.received, told.unknown_subscriptions, told.missing) == (4, 4, 0)
    named = ("S1", "S2", "S3", "S4", "S5")
    assert [await differences(crm, number) for number in named] == [[]] * 5


async def test_a_complete_report_that_lacks_too_many_is_refused_and_what_it_names_stays(
    crm: AsyncClient,
) -> None:
    await served_already(crm, *[f"S{n}" for n in range(10)])
    named = [there("S0")]
    with pytest.raises(ReportIncomplete) as refused:
        await crm.report_platform_state("P", named, observed_time=soon(), complete=True)
    counts = {"received": "1", "changed": "1", "unchanged": "0", "skipped": "0"}
    assert refused.value.metadata.items() >= {"linked": "10", **counts}.items()
    assert await differences(crm, "S0") == ["SERVICE_MISSING"]
    assert await differences(crm, "S1") == []

    told = await crm.report_platform_state(
        "P", named, observed_time=soon(), complete=True, max_missing_percent=90
    )
    assert (told.unchanged, told.missing, told.out_of_sync) == (1, 9, 10)


async def test_a_report_older_than_a_subscription_does_not_miss_it(crm: AsyncClient) -> None:
    read = datetime.now(UTC)
    await served_already(crm, "S1")
    told = await crm.report_platform_state(
        "P", [], observed_time=read, complete=True, max_missing_percent=100
    )
    assert told == ReportPlatformStateResponse()


@pytest.mark.parametrize("how", ["cancelled", "cut", "failed"])
async def test_a_complete_report_that_does_not_come_to_its_end_misses_nobody(
    crm: AsyncClient, address: str, how: str
) -> None:
    await served_already(crm, "S1", "S2")
    for count in (0, 1, 1_500):
        # A new proxy each time: gRPC waits before it connects to a broken address again.
        async with proxy_to(address) as proxy, AsyncClient(proxy.address) as client:
            sent, broken = asyncio.Event(), asyncio.Event()
            entries = _interrupted(there("S2"), count, sent, broken)
            report = asyncio.create_task(
                client.report_platform_state(
                    "P", entries, observed_time=soon(), complete=True, max_missing_percent=100
                )
            )
            await sent.wait()
            if how == "cancelled":
                report.cancel()
            while how == "cut" and not report.done():
                proxy.cut()
                await asyncio.sleep(0.01)
            if how != "cut":
                broken.set()
            with pytest.raises((asyncio.CancelledError, Exception)):
                await report
            with pytest.raises(StopAsyncIteration):  # the iterator of entries is closed
                await anext(entries)
    async with AsyncClient(address) as client:
        told = await client.report_platform_state("P", [there("S2")], observed_time=soon())
    assert (told.unchanged, told.changed) in ((1, 0), (0, 1))
    assert await differences(crm, "S1") == []


class LateTask(asyncio.Task[Any]):
    """A task that is cancelled late, as on a busy machine."""

    def cancel(self, msg: object = None) -> bool:
        self.get_loop().call_later(2, super().cancel, msg)
        return True


def late_if_of_a_call(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
    """Creates the task of `coro`, which is a LateTask if gRPC handles a call in it."""
    handles = getattr(coro, "__qualname__", "") == "_handle_exceptions"
    kind = LateTask if handles else asyncio.Task
    return kind(coro, loop=loop, **options)


async def test_a_cut_report_misses_nobody_even_if_grpc_cancels_the_call_late(
    crm: AsyncClient, address: str
) -> None:
    """About half of the cut streams end for the server before gRPC cancels the call."""
    await served_already(crm, "S1", "S2")
    async with AsyncClient(address) as client:
        asyncio.get_running_loop().set_task_factory(late_if_of_a_call)
        for _ in range(20):
            sent = asyncio.Event()
            entries = _interrupted(there("S2"), 1_500, sent, asyncio.Event())
            report = asyncio.create_task(
                client.report_platform_state(
                    "P", entries, observed_time=soon(), complete=True, max_missing_percent=100
                )
            )
            await sent.wait()
            await asyncio.sleep(0.02)
            report.cancel()
            await asyncio.wait([report])
        await asyncio.sleep(2.5)
        asyncio.get_running_loop().set_task_factory(None)
    assert await differences(crm, "S1") == []


async def _interrupted(
    entry: PlatformSubscription, count: int, sent: asyncio.Event, broken: asyncio.Event
) -> AsyncIterator[PlatformSubscription]:
    for _ in range(count):
        yield entry
    sent.set()
    await broken.wait()
    raise ZeroDivisionError


async def test_what_goes_wrong_in_the_entries_is_raised(address: str, crm: AsyncClient) -> None:
    def entries() -> Iterator[PlatformSubscription]:
        yield there("S1")
        raise ZeroDivisionError

    async def later() -> AsyncIterator[PlatformSubscription]:
        for entry in entries():
            yield entry

    async def cancelled() -> AsyncIterator[PlatformSubscription]:
        yield there("S1")
        raise asyncio.CancelledError

    with pytest.raises(ZeroDivisionError):
        await crm.report_platform_state("P", later(), observed_time=soon())
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(60):
            await crm.report_platform_state("P", cancelled(), observed_time=soon())
    with Client(address) as plain, pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(_report, plain, entries())


async def test_an_entry_of_another_type_is_refused_by_name(address: str, crm: AsyncClient) -> None:
    entries: Any = [{"account_number": "4"}]
    sentence = "an entry of a report is a PlatformSubscription, not {'account_number': '4'}"

    with pytest.raises(TypeError, match=f"^{sentence}$"):
        await crm.report_platform_state("P", entries, observed_time=soon())
    with Client(address) as plain, pytest.raises(TypeError, match=f"^{sentence}$"):
        await asyncio.to_thread(_report, plain, entries)


async def test_the_plain_client_reports_too(address: str, crm: AsyncClient) -> None:
    await served_already(crm, "S1")
    entries = (there("S1", "id-1") for _ in range(1_001))
    with Client(address) as plain:
        told = await asyncio.to_thread(_report, plain, entries)
        assert told == ReportPlatformStateResponse(received=1_001, unchanged=1_001)
        with pytest.raises(InvalidField):
            await asyncio.to_thread(_report, plain, [], provider="")


def _report(
    client: Client, entries: Iterable[PlatformSubscription], *, provider: str = "P"
) -> ReportPlatformStateResponse:
    return client.report_platform_state(provider, entries, observed_time=soon())


async def test_a_report_fills_an_account_that_was_taken_over(crm: AsyncClient) -> None:
    await served_already(crm, "S1", everything=False)
    told = await crm.report_platform_state("P", [there("S1", "id-1")], observed_time=soon())
    assert told == ReportPlatformStateResponse(received=1, changed=1, out_of_sync=1)
    assert await differences(crm, "S1") == ["UNCERTAIN", "UNCERTAIN"], "holder and address"
    await crm.perform(actions.ChangeSubscriber(holder=Account(name="Jaan")), subscription="S1")
    (request,) = [each async for each in crm.list_requests()]
    await crm.resolve_request(request.number, status="ACCEPTED", reason="looked at it")
    found: Subscription = await crm.get_subscription("S1")
    assert found.provider_links[0].sync_state == SyncState.IN_SYNC


async def test_a_report_that_sends_nothing_does_not_delay_a_server_that_drains(url: str) -> None:
    sent, never = asyncio.Event(), asyncio.Event()
    entries = _interrupted(there("S1"), 0, sent, never)
    settings = Settings(listen="127.0.0.1:0", database=url, drain_seconds=3_600)
    async with asyncio.timeout(30), running(settings) as address:
        client = AsyncClient(address)
        asked = client.report_platform_state("P", entries, observed_time=soon())
        report = asyncio.create_task(asked)
        await sent.wait()
        assert [each async for each in client.list_providers()] == []
    with pytest.raises(Draining):
        await report
    await client.close()


async def test_a_server_that_drains_refuses_the_rest_of_a_report(url: str) -> None:
    settings = Settings(listen="127.0.0.1:0", database=url)
    began = asyncio.Event()

    async def entries() -> AsyncIterator[PlatformSubscription]:
        for n in range(10_000_000):
            yield there(f"N{n}")
            if n == 5_000:
                began.set()

    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(running(settings))
        client = AsyncClient(address)
        await client.create_provider(Provider(code="P"))
        report = asyncio.create_task(
            client.report_platform_state("P", entries(), observed_time=soon())
        )
        await began.wait()
    with pytest.raises(ServerUnavailable):  # DRAINING, unless the server is gone by then
        await report
    await client.close()
