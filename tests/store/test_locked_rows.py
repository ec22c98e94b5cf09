"""Tests that only the calls that need a lock wait while another session of the database holds this
lock.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager

import psycopg
import pytest
from structlog.testing import capture_logs

from generic_provider_server.commands.answers import Response
from generic_provider_server.domain.actions import Rest
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.values import SECOND, Instant, State
from generic_provider_server.domain.verdicts import ResponseCode, ResponseStatus
from generic_provider_server.services.clock_duties import duties
from generic_provider_server.services.clock_runner import Clock
from generic_provider_server.store.opening import open_store
from generic_provider_server.store.waits import Waits
from support.bench import Bench, HandClock
from support.examples import ADD_NEWS, ADD_SPORT, SATELLITE, WEB, viewer


class Short(Waits):
    """The waiting times of these tests: a group waits briefly for a lock. Blocked commands are
    repeated for 3 s, which is enough on a slow machine.
    """

    @property
    def lock(self) -> float:
        return 0.1

    @property
    def blocked(self) -> float:
        return 3.0


SHORT = Short()


@pytest.fixture
async def bench(postgres_url: str) -> AsyncIterator[Bench]:
    clock = HandClock()
    bench = Bench(open_store(postgres_url, clock=clock, waits=SHORT), clock)
    await bench.add_provider(SATELLITE)
    await bench.add_provider(WEB)
    yield bench
    await bench.store.close()


@contextmanager
def stranger(url: str, statement: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Runs the statement on a connection of its own, and rolls it back at the end."""
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())
        yield connection
        connection.rollback()


LOCKS = {
    "a subscription": "SELECT 1 FROM subscription WHERE number = 'S1' FOR UPDATE",
    "a serial number": "INSERT INTO item (goods_type, serial_number, subscription) "
    "VALUES ('SMARTCARD', 'card of S9', 'X'), ('CARD', 'card of S9', 'X')",
    "a request id": "INSERT INTO request_id (id, created, digest) VALUES ('order-1', '1', '')",
    "a row of its requests": "SELECT 1 FROM request WHERE subscription = 'S1' FOR UPDATE",
    "a row that counts uses": "SELECT 1 FROM provider_use FOR UPDATE",
}


async def refused_after(calling: asyncio.Task[object], *, since: float) -> float:
    with pytest.raises(Refused) as refused:
        await asyncio.wait_for(calling, 30)
    assert refused.value.reason is Reason.STORE_UNAVAILABLE
    return time.monotonic() - since


async def test_a_locked_subscription_keeps_nobody_else_waiting(
    bench: Bench, postgres_url: str
) -> None:
    for n in range(20):
        await bench.become(viewer(f"S{n}"))
    with stranger(postgres_url, LOCKS["a subscription"]), capture_logs() as logs:
        began = time.monotonic()
        blocked = asyncio.ensure_future(bench.perform(ADD_NEWS, "S1"))
        others = [bench.perform(ADD_NEWS, f"S{n}") for n in range(20) if n != 1]
        assert len(await asyncio.gather(*others)) == 19
        assert not blocked.done()
        took = list[float]()
        while not blocked.done():
            start = time.monotonic()
            await bench.become(viewer(f"N{len(took)}"))
            took.append(time.monotonic() - start)
        assert await refused_after(blocked, since=began) >= SHORT.blocked
        assert len(took) > 1
        began = time.monotonic()
        again = asyncio.ensure_future(bench.perform(ADD_NEWS, "S1"))
        await bench.become(viewer("one more"))
        assert not again.done()
        await refused_after(again, since=began)
    await bench.perform(ADD_NEWS, "S1")
    given_up = [each for each in logs if each["event"] == "locks_not_given"]
    assert [(each["kinds"], each["subscriptions"]) for each in given_up] == 2 * [
        (["Perform"], ["S1"])
    ]


@pytest.mark.parametrize("what", ["a serial number", "a request id"])
async def test_what_a_stranger_is_just_writing_keeps_nobody_else_waiting(
    bench: Bench, postgres_url: str, what: str
) -> None:
    with stranger(postgres_url, LOCKS[what]):
        began = time.monotonic()
        blocked = asyncio.ensure_future(bench.perform(viewer("S9"), "S9", request_id="order-1"))
        await asyncio.gather(*[bench.become(viewer(f"S{n}")) for n in range(5)])
        assert not blocked.done()
        await refused_after(blocked, since=began)
    done = await bench.perform(viewer("S9"), "S9", request_id="order-1")
    assert not done.repeated


async def test_what_waited_for_a_lock_is_done_in_its_order(bench: Bench, postgres_url: str) -> None:
    await bench.become(viewer("S1"))
    await bench.become(viewer("S2"))
    with stranger(postgres_url, LOCKS["a subscription"]) as holder:
        first = asyncio.ensure_future(bench.perform(ADD_NEWS, "S1"))
        await bench.perform(ADD_NEWS, "S2")
        second = asyncio.ensure_future(bench.perform(ADD_SPORT, "S1"))
        await bench.perform(ADD_SPORT, "S2")
        assert not first.done()
        holder.rollback()
        one, two = await first, await second
    assert one.action.id < two.action.id
    assert (await bench.subscription("S1")).revision == 3


async def test_an_answer_of_an_adapter_waits_for_its_lock_only(
    bench: Bench, postgres_url: str
) -> None:
    await bench.become(viewer("S1"))
    await bench.become(viewer("S2"))
    one, two = await bench.claim("SAT")
    with stranger(postgres_url, LOCKS["a row of its requests"]) as holder:
        blocked = asyncio.ensure_future(bench.answer(one, status=ResponseStatus.REJECTED))
        await bench.accept(two)
        assert not blocked.done()
        holder.rollback()
        await blocked


async def test_an_action_does_not_wait_for_answers_that_also_name_a_locked_subscription(
    bench: Bench, postgres_url: str
) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    responses = [
        Response(
            request=handed.requests[0].number,
            lease_token=bench.token(handed),
            status=ResponseStatus.ACCEPTED,
        )
        for handed in await bench.claim("SAT")
    ]
    with stranger(postgres_url, LOCKS["a subscription"]) as holder:
        answering = asyncio.ensure_future(bench.respond("SAT", *responses))
        await asyncio.wait_for(bench.perform(ADD_NEWS, "S2"), 0.8 * SHORT.blocked)
        assert not answering.done()
        holder.rollback()
        assert [each.code for each in await answering] == 2 * [ResponseCode.APPLIED]


async def test_a_locked_subscription_delays_no_end_of_another(
    bench: Bench, postgres_url: str
) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
        await bench.perform(Rest(Instant(bench.clock.now + 60 * SECOND)), number)
    bench.clock.advance(61)
    clock = Clock(bench.store, duties(bench.store.server))
    with stranger(postgres_url, LOCKS["a subscription"]):
        with pytest.raises(Refused):
            await clock.do_everything()
        assert (await bench.subscription("S2")).aggregate.desired.state is State.EFFECTIVE
        assert (await bench.subscription("S1")).aggregate.desired.state is State.IN_RESTING
    await clock.do_everything()
    assert (await bench.subscription("S1")).aggregate.desired.state is State.EFFECTIVE


async def test_a_row_that_all_need_is_given_up_in_time_and_delays_no_repeated_call(
    bench: Bench, postgres_url: str
) -> None:
    await bench.become(viewer("S1"))
    many = [viewer(f"S{n}") for n in range(2, 400)]
    with stranger(postgres_url, LOCKS["a row that counts uses"]):
        began = time.monotonic()
        calls = [asyncio.ensure_future(bench.become(each)) for each in many]
        for call in calls:
            await refused_after(call, since=began)
    await asyncio.gather(*[bench.become(each) for each in many])


@contextmanager
def provider_always_shared(url: str) -> Iterator[None]:
    """Lets sessions lock the providers in turn, as groups of other processes do. At any time at
    least one session has the lock.
    """
    ended = threading.Event()

    def share() -> None:
        with psycopg.connect(url) as connection:
            while not ended.is_set():
                connection.execute("SELECT 1 FROM provider FOR SHARE")
                time.sleep(0.04)
                connection.rollback()

    threads = [threading.Thread(target=share) for _ in range(8)]
    try:
        for thread in threads:
            thread.start()
            time.sleep(0.005)
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


async def test_a_provider_can_be_changed_although_others_share_it_without_a_pause(
    bench: Bench, postgres_url: str
) -> None:
    with provider_always_shared(postgres_url):
        stopping = asyncio.ensure_future(bench.stop_provider("SAT"))
        await asyncio.wait([stopping], timeout=SHORT.blocked)
        done = stopping.done()
    await asyncio.wait([stopping])

    assert done
    assert stopping.exception() is None


SLOW_COMMIT = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN PERFORM pg_sleep(0.6); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION slow()"""


async def test_no_process_is_shut_out_while_commits_are_slow(
    bench: Bench, postgres_url: str
) -> None:
    """A process that has just started does not know yet how long the transactions of the other
    processes take. So a call of its first rounds may be refused, but no later call.
    """
    benches = [
        Bench(open_store(postgres_url, clock=bench.clock, waits=Waits()), bench.clock)
        for _ in range(2)
    ]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(SLOW_COMMIT.encode())

    async def work(n: int) -> None:
        for k in range(5):
            calls = [benches[n].become(viewer(f"S{n}-{k}-{m}")) for m in range(6)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            refused = [each for each in outcomes if isinstance(each, BaseException)]
            if k < 2:
                assert all(isinstance(each, Refused) for each in refused)
            else:
                assert not refused

    async with AsyncExitStack() as stack:
        for each in benches:
            stack.push_async_callback(each.store.close)
        await asyncio.gather(*[work(n) for n in range(2)])
