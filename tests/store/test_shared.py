"""Tests several processes on one PostgreSQL database. In these tests each process is a store."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from generic_provider.v1 import reset_service_pb2 as api
from generic_provider_server.commands.perform import Done, Perform
from generic_provider_server.commands.providers import UpdateProvider
from generic_provider_server.commands.reset_definitions import Submit
from generic_provider_server.commands.reset_runs import Take
from generic_provider_server.commands.reset_sending import Send
from generic_provider_server.domain.actions import AddServices, Selection, SwapItem
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.resets.records import (
    DefinitionRecord,
    ResetDefinition,
    RunState,
    Settled,
)
from generic_provider_server.domain.values import ProviderState, Service
from generic_provider_server.domain.verdicts import ResponseCode
from generic_provider_server.rpc.reset_runs import ResetRuns
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.services.surveying import totals_of
from generic_provider_server.store.database.number_blocks import FEW
from generic_provider_server.store.opening import open_store
from generic_provider_server.store.write.command import Command
from generic_provider_server.store.write.loaded import Loaded, Needs
from generic_provider_server.store.write.resets import Resets
from generic_provider_server.store.write.transaction import Transaction
from support.bench import PATIENT, Bench, HandClock, performing, stream_at
from support.examples import ADD_NEWS, ADD_SPORT, SATELLITE, WEB, viewer
from support.postgres import Databases
from support.resets import OLEV, Runs

PROCESSES = 3
END_RESERVING = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE '%UPDATE counter%'
    AND pid <> pg_backend_pid()"""
"""Ends the sessions that reserve numbers."""


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@asynccontextmanager
async def processes(url: str, clock: HandClock) -> AsyncIterator[list[Bench]]:
    stores = [open_store(url, clock=clock, waits=PATIENT) for _ in range(PROCESSES)]
    benches = [Bench(store, clock) for store in stores]
    await benches[0].add_provider(SATELLITE)
    await benches[0].add_provider(WEB)
    try:
        yield benches
    finally:
        for store in stores:
            await store.close()


async def test_what_one_does_the_others_see(url: str, clock: HandClock) -> None:
    async with processes(url, clock) as (one, two, three):
        await one.become(viewer("S1"))
        (lease,) = await two.claim("SAT")
        assert (await three.answer(lease)).code is ResponseCode.APPLIED
        await one.perform(ADD_NEWS, "S1")
        record = await two.store.read(lambda queries: queries.subscription("S1"))

    assert record is not None
    assert {s.service for s in record.aggregate.desired.services} >= {"NEWS"}


async def test_changes_to_one_subscription_follow_each_other(url: str, clock: HandClock) -> None:
    async with processes(url, clock) as benches:
        await benches[0].become(viewer("S1"))
        tried = [
            bench.perform(action, "S1", request_id=f"{n}")
            for n, (bench, action) in enumerate(
                zip(benches * 4, [ADD_NEWS, ADD_SPORT] * 6, strict=True)
            )
        ]
        done = await asyncio.gather(*tried, return_exceptions=True)
        record = await benches[0].subscription("S1")

    performed = [each for each in done if not isinstance(each, BaseException)]
    refused = [each for each in done if isinstance(each, Refused)]
    assert (len(performed), len(refused)) == (2, 10)
    assert record.revision == 3
    assert len({each.action.id for each in performed}) == 2


async def test_a_request_id_is_used_once_wherever_it_comes(url: str, clock: HandClock) -> None:
    async with processes(url, clock) as benches:
        for n in range(10):
            calls = [
                bench.perform(viewer("", serial=f"card {n}"), request_id=f"order-{n}")
                for bench in benches * 3
            ]
            done = await asyncio.gather(*calls)
            assert len({each.action.id for each in done}) == 1
            assert len({each.action.subscription for each in done}) == 1
        requests = await benches[0].requests()

    assert len(requests) == 10
    assert len({each.number for each in requests}) == 10


def become(number: str) -> Perform:
    return performing(viewer(number, serial="card"), number, request_id="order")


REPEATABLE: dict[str, Command[object]] = {
    "an action on a number": become("S1"),
    "an action without a number": become(""),
}


@pytest.mark.parametrize("what", REPEATABLE)
async def test_a_repeat_that_comes_while_the_call_commits_gets_its_answer(
    url: str, clock: HandClock, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    loop, command = asyncio.get_running_loop(), REPEATABLE[what]
    load = Loaded.load_request_ids
    first = list[object]()
    async with processes(url, clock) as (one, two, _):

        def load_after_the_other(loaded: Loaded, ids: Iterable[str]) -> None:
            if not first and loaded._memory is one.store._memory:  # noqa: SLF001
                calling = two.store.do(command)
                first.append(asyncio.run_coroutine_threadsafe(calling, loop).result())
            load(loaded, ids)

        monkeypatch.setattr(Loaded, "load_request_ids", load_after_the_other)
        again = await one.store.do(command)

    assert said(again) == said(first[0])


async def test_a_repeat_of_a_submission_that_commits_meanwhile_answers_with_its_run(
    url: str, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with processes(url, clock) as (one, two, _):
        definition = await Runs(one).define()
        submit = Submit(id=definition.id, digest=b"", hold=True, request_id="r", who=OLEV)
        read, waits, goes_on = Resets.definition, threading.Event(), threading.Event()

        def late(resets: Resets, number: int) -> DefinitionRecord | None:
            if not waits.is_set():
                waits.set()
                assert goes_on.wait(30)
            return read(resets, number)

        monkeypatch.setattr(Resets, "definition", late)
        repeat = two.ask(submit)
        assert await asyncio.to_thread(waits.wait, 30)
        _, begun = await one.store.do(submit)
        goes_on.set()

        assert begun is not None
        assert (await repeat)[1] == begun


def said(made: object) -> object:
    return made.action.id if isinstance(made, Done) else made


async def test_a_subscription_is_made_once(url: str, clock: HandClock) -> None:
    async with processes(url, clock) as benches:
        for n in range(10):
            calls = [bench.become(viewer(f"S{n}")) for bench in benches]
            done = await asyncio.gather(*calls, return_exceptions=True)
            refused = [each for each in done if isinstance(each, Refused)]
            assert len(refused) == PROCESSES - 1
            assert {each.reason for each in refused} == {Reason.SUBSCRIPTION_EXISTS}


async def test_an_item_is_on_one_subscription(url: str, clock: HandClock) -> None:
    async with processes(url, clock) as benches:
        for n in range(10):
            calls = [
                bench.become(viewer(f"S{n}-{k}", serial=f"shared {n}"))
                for k, bench in enumerate(benches)
            ]
            done = await asyncio.gather(*calls, return_exceptions=True)
            refused = [each for each in done if isinstance(each, Refused)]
            assert [each.reason for each in refused] == [Reason.ITEM_IN_USE] * (PROCESSES - 1)


async def card_of(bench: Bench, number: str) -> str:
    record = await bench.store.read(lambda queries: queries.subscription(number))
    assert record is not None
    (card,) = record.aggregate.desired.items
    return card.serial_number


async def test_a_swap_that_names_no_goods_type_gets_no_item_of_another_subscription(
    url: str, clock: HandClock
) -> None:
    async with processes(url, clock) as benches:
        for k, bench in enumerate(benches):
            await bench.become(viewer(f"S{k}", serial=f"old {k}"))
        for n in range(10):
            calls = [
                bench.perform(
                    SwapItem(
                        old_serial_number=await card_of(bench, f"S{k}"),
                        new_serial_number=f"shared {n}",
                    ),
                    f"S{k}",
                )
                for k, bench in enumerate(benches)
            ]
            done = await asyncio.gather(*calls, return_exceptions=True)
            refused = [each for each in done if isinstance(each, Refused)]
            assert [each.reason for each in refused] == [Reason.ITEM_IN_USE] * (PROCESSES - 1)


async def test_numbers_are_given_once(url: str, clock: HandClock) -> None:
    async with processes(url, clock) as benches:
        calls = [
            bench.perform(viewer("", serial=f"card {k} {n}"))
            for k, bench in enumerate(benches)
            for n in range(60)
        ]
        done = await asyncio.gather(*calls)

    assert len({each.action.id for each in done}) == len(calls)
    assert len({each.action.subscription for each in done}) == len(calls)
    assert len({request.number for each in done for request in each.requests}) == len(calls)


@dataclass(frozen=True)
class AddNewsLate:
    """Locks the subscription only after `meanwhile` has returned."""

    meanwhile: Callable[[], object]

    def needs(self) -> Needs:
        return Needs(searches=True)

    def run(self, transaction: Transaction) -> Done:
        self.meanwhile()
        transaction.load_free(["S1"])
        return performing(ADD_NEWS, "S1").run(transaction)


async def test_the_numbers_of_a_subscription_ascend_even_if_it_is_locked_late(
    url: str, clock: HandClock
) -> None:
    loop, between = asyncio.get_running_loop(), list[Done]()
    async with processes(url, clock) as (one, two, _):
        await one.become(viewer("S1"))
        await one.become(viewer("S2", serial="another card"))

        def meanwhile() -> None:
            other = asyncio.run_coroutine_threadsafe(two.perform(ADD_SPORT, "S1"), loop)
            between.append(other.result())

        commands: list[Command[Done]] = [performing(ADD_SPORT, "S2"), AddNewsLate(meanwhile)]
        _, late = await one.store.do_all(commands)

    (other,), last = between, late.outcome()
    assert last.action.id > other.action.id
    assert last.requests[0].number > other.requests[0].number


async def test_a_lease_is_given_once(url: str, clock: HandClock) -> None:
    async with processes(url, clock) as benches:
        for n in range(60):
            await benches[n % PROCESSES].become(viewer(f"S{n:03}"))
        given: Counter[str] = Counter()
        while sum(given.values()) < 60:
            claims = [
                bench.claim("SAT", stream=f"stream {n}", credit=7)
                for n, bench in enumerate(benches)
            ]
            for handed in await asyncio.gather(*claims):
                given.update(each.lane.subscription for each in handed)

    assert set(given.values()) == {1}


async def test_a_claim_sees_what_was_freed_elsewhere_since_it_was_asked_for(
    url: str, clock: HandClock
) -> None:
    async with processes(url, clock) as (one, two, _):
        stream = stream_at(one.store.server, credit=2)
        Delivery(one.store).streams[stream.id] = stream
        for number in ("S1", "S2", "S3"):
            await one.become(viewer(number))
        (lease,) = await one.claim("SAT", stream=stream.id, credit=1)
        demand = stream.demand()
        await two.accept(lease)
        async with asyncio.timeout(20):
            while stream.credit.in_flight:
                await asyncio.sleep(0.01)
        (handed,) = await one.claims("SAT", demand)

    assert len(handed) == 2


async def test_credit_is_freed_by_answers_that_come_elsewhere(url: str, clock: HandClock) -> None:
    async with processes(url, clock) as (one, two, _):
        delivery = Delivery(one.store)
        stream = stream_at(one.store.server, credit=2)
        with delivery.stream(stream):
            for n in range(20):
                await two.become(viewer(f"S{n:03}"))
            for _ in range(20):
                handed = await asyncio.wait_for(stream.events.get(), 20)
                assert isinstance(handed, tuple)
                assert stream.credit.in_flight <= 2
                for lease in handed:
                    await two.accept(lease)
                if not await two.store.read(lambda queries: queries.backlog_size("SAT")[0]):
                    break
            async with asyncio.timeout(20):
                while stream.credit.in_flight:
                    await asyncio.sleep(0.01)
        await delivery.drain("done")


async def test_a_provider_changes_everywhere_at_once(url: str, clock: HandClock) -> None:
    async with processes(url, clock) as (one, two, _):
        await one.become(viewer("S1"))
        smaller = replace(SATELLITE, services=SATELLITE.services[1:])
        with pytest.raises(Refused) as refused:
            await two.store.do(UpdateProvider(provider=smaller, etag=None))
        larger = replace(SATELLITE, display_name="Satellites")
        await two.store.do(UpdateProvider(provider=larger, etag=None))
        await one.store.refresh()

    assert refused.value.reason is Reason.PROVIDER_IN_USE
    assert one.store.providers["SAT"].provider.display_name == "Satellites"


async def test_a_message_that_is_not_ours_is_survived(
    url: str, clock: HandClock, postgres: Databases
) -> None:
    async with processes(url, clock) as (one, two, _):
        postgres.sql(
            "SELECT pg_notify('generic_provider', 'hello')", database=urlsplit(url).path[1:]
        )
        told = asyncio.Event()
        one.store.listeners.committed.append(lambda _: told.set())
        async with asyncio.timeout(20):
            while not told.is_set():
                await two.become(viewer(f"S{clock.now}"))
                await asyncio.sleep(0.1)


async def test_actions_of_very_many_requests_share_a_transaction_each_with_numbers_in_a_row(
    url: str, clock: HandClock
) -> None:
    many = tuple([f"N{n:03}" for n in range(FEW + 8)])
    wide = replace(
        WEB, code="WIDE", services=tuple([Service(code=n, provider_service_id=n) for n in many])
    )
    add = AddServices(
        tuple([Selection(provider="WIDE", distributor="APP", service=n) for n in many])
    )
    async with processes(url, clock) as (one, _, _):
        await one.add_provider(wide)
        for n in range(3):
            await one.become(replace(viewer(f"S{n}"), items=(), provider="WIDE", services=()))
        commits: list[int] = []
        one.store.listeners.committed.append(lambda notice: commits.append(notice.tally.commands))
        done = await one.store.do_all([performing(add, f"S{n}") for n in range(3)])

    for each in done:
        numbers = [request.number for request in each.outcome().requests]
        assert numbers == list(range(numbers[0], numbers[0] + len(many)))
    assert max(commits) == 3  # commits that only send notices have 0 commands


async def test_a_reset_run_of_a_process_that_is_gone_is_taken_over(
    url: str, clock: HandClock
) -> None:
    async with processes(url, clock) as (one, two, _):
        runs = Runs(one)
        await runs.outage(*[f"S{n:03d}" for n in range(130)])
        run = await runs.submit(await runs.define())
        taken = await one.store.do(Take(run_number=run.id, server=one.store.server))
        assert taken is not None
        sent = await one.store.do(Send(before=taken, numbers=("S000", "S001")))
        assert sent is not None

        others = Runs(two)
        await others.work()
        assert (await others.get(run)).requests_created == 2  # the other process works on this run
        assert one.store.sign_of_life is not None
        await asyncio.to_thread(one.store.sign_of_life.stop)
        await others.work()
        done = await others.get(run)
        assert (done.state, done.requests_created) == (RunState.COMPLETED, 130)
        assert await others.settled(run) == Settled(pending=130)
        late = Send(before=sent, numbers=("S002",))
        assert await one.store.do(late) is None


async def test_a_reset_run_goes_on_after_the_session_that_reserves_numbers_was_lost(
    url: str, clock: HandClock, postgres: Databases
) -> None:
    async with processes(url, clock) as (one, *_):
        runs = Runs(one)
        await runs.outage("S1", "S2")
        run = await runs.submit(await runs.define())
        postgres.sql(END_RESERVING, database=urlsplit(url).path[1:])
        while (found := await runs.get(run)).open:
            await runs.work()
        assert (found.state, found.failed) == (RunState.COMPLETED, 0)


async def test_a_reader_that_is_late_changes_no_provider_of_a_running_transaction(
    url: str, clock: HandClock
) -> None:
    async with processes(url, clock) as (one, two, _):
        memory = one.store._memory  # noqa: SLF001 - a reader replaces its providers late
        stale = memory.providers
        named = replace(SATELLITE, display_name="Satellite")
        await two.store.do(UpdateProvider(provider=named, etag=None))

        def replace_providers() -> int:
            memory.providers = stale
            return clock()

        memory.clock = replace_providers
        await one.stop_provider("SAT")
        memory.clock = clock
        await two.store.refresh()

        provider = two.store.providers["SAT"].provider
        assert (provider.display_name, provider.state) == (
            "Satellite",
            ProviderState.NOT_EFFECTIVE,
        )


async def test_a_preview_knows_a_service_that_another_process_has_just_added(
    url: str, clock: HandClock
) -> None:
    async with processes(url, clock) as (one, two, three):
        fresh = Service(code="FRESH", provider_service_id="0x99")
        larger = replace(SATELLITE, services=(*SATELLITE.services, fresh))
        await one.store.do(UpdateProvider(provider=larger, etag=None))
        await one.become(viewer("S1", "FRESH"))
        await one.accept_all("SAT")

        full = ResetDefinition(name="full", provider="SAT", full=True)
        assert (await totals_of(two.store, full)).subscriptions == 1
        fields = api.ResetRunDefinition(name="f", provider="SAT", full=True, services=["FRESH"])
        preview = api.PreviewResetRunRequest(definition_fields=fields, without_totals=True)
        calls = ResetRuns(three.store, Runs(three).resetting())
        page = await calls.PreviewResetRun(preview, Mock())
        assert [entry.subscription for entry in page.entries] == ["S1"]


@dataclass(frozen=True, slots=True)
class Stop:
    """Stops a group between its commands, until `go_on` is set."""

    stopped: threading.Event
    go_on: threading.Event

    def needs(self) -> Needs:
        return Needs(searches=True, for_adapter=True)

    def run(self, _: Transaction) -> None:
        self.stopped.set()
        self.go_on.wait(20)


async def test_a_claim_leaves_out_what_another_process_created_while_its_group_ran(
    url: str, clock: HandClock
) -> None:
    async with processes(url, clock) as (one, two, _):
        await one.become(viewer("S1"))
        stop = Stop(threading.Event(), threading.Event())
        group: list[asyncio.Task[Any]] = [one.ask(performing(ADD_SPORT, "S2")), one.ask(stop)]
        claiming = asyncio.create_task(one.claim("SAT"))
        await asyncio.to_thread(stop.stopped.wait)
        await two.become(viewer("S2"))
        stop.go_on.set()
        refused, _ = await asyncio.gather(*group, return_exceptions=True)

        assert [handed.lane.subscription for handed in await claiming] == ["S1"]
        assert isinstance(refused, Refused)
        assert [handed.lane.subscription for handed in await one.claim("SAT")] == ["S2"]
