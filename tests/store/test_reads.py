from __future__ import annotations

import pytest

from generic_provider_server.commands.perform import Perform
from generic_provider_server.domain.actions import ActionKind, Deactivate
from generic_provider_server.domain.subscription.records import ActionState, Who
from generic_provider_server.domain.values import (
    RequestOrigin,
    RequestState,
    RequestType,
    State,
    SyncState,
)
from generic_provider_server.domain.verdicts import ResponseStatus
from generic_provider_server.store.read.filters import (
    ActionFilter,
    RequestFilter,
    SubscriptionFilter,
)
from support.bench import Bench
from support.examples import ADD_NEWS, ADD_SPORT, ADD_STREAM, REMOVE_SPORT, viewer


@pytest.fixture
async def house(bench: Bench) -> Bench:
    """Creates four subscriptions, one a minute: S1 is in sync at SAT and has an account number, S2
    is a draft, S3 is pending at SAT and WEB, and S4 is off at SAT, which has rejected a request.
    """
    await bench.become(viewer("S1"))
    (lease,) = await bench.claim("SAT")
    await bench.answer(lease, account_number="A-1")
    bench.clock.advance(60)
    await bench.become(viewer("S2", draft=True))
    bench.clock.advance(60)
    await bench.become(viewer("S4"))
    await bench.accept_all("SAT")
    await bench.perform(Deactivate(), "S4", reference="order-4")
    (lease,) = await bench.claim("SAT")
    await bench.answer(lease, status=ResponseStatus.REJECTED, error_code="E4")
    bench.clock.advance(60)
    await bench.become(viewer("S3"))
    await bench.perform(ADD_STREAM, "S3", reference="order-3")
    return bench


async def subscriptions(bench: Bench, wanted: SubscriptionFilter) -> list[str]:
    found = await bench.store.read(
        lambda queries: queries.subscriptions(wanted, after="", limit=100)
    )
    return [record.aggregate.desired.number for record in found]


async def page_of_subscriptions(bench: Bench, after: str) -> list[str]:
    everything = SubscriptionFilter()
    page = await bench.store.read(lambda r: r.subscriptions(everything, after=after, limit=3))
    return [record.aggregate.desired.number for record in page]


async def page_of_requests(bench: Bench, wanted: RequestFilter, after: int) -> list[int]:
    page = await bench.store.read(lambda r: r.requests(wanted, after=after, limit=2))
    return [request.number for request in page]


async def actions(bench: Bench, wanted: ActionFilter) -> list[tuple[str, ActionKind]]:
    found = await bench.store.read(lambda queries: queries.actions(wanted, before=0, limit=100))
    return [(action.subscription, action.kind) for action in found]


async def requests(bench: Bench, **wanted: object) -> list[tuple[str, RequestType]]:
    found = await bench.requests(RequestFilter(**wanted))  # type: ignore[arg-type]
    return [(request.subscription, request.type) for request in found]


async def test_an_account_number_is_that_of_the_platform_of_the_request(house: Bench) -> None:
    await house.perform(ADD_STREAM, "S1")
    found = await house.requests(RequestFilter(account_number="A-1"))
    assert [(each.provider, each.account_number) for each in found] == [("SAT", "A-1")]


async def test_the_last_adapter_of_a_request_in_work_is_the_one_that_has_it(bench: Bench) -> None:
    await bench.become(viewer("S1"))

    async def last_of() -> list[int]:
        found = [await requests(bench, last_adapter=f"adapter of {each}") for each in "ab"]
        return [len(each) for each in found]

    assert await bench.claim("SAT", stream="a")
    assert await last_of() == [1, 0]
    await bench.break_stream("SAT", "a")
    assert await last_of() == [1, 0]
    (second,) = await bench.claim("SAT", stream="b")
    assert await last_of() == [0, 1]
    await bench.accept(second)
    assert await last_of() == [0, 1]


async def test_what_is_unknown_is_not_found(house: Bench) -> None:
    assert await house.store.read(lambda queries: queries.subscription("S9")) is None
    assert await house.store.read(lambda queries: queries.action(99)) is None
    assert await house.store.read(lambda queries: queries.request(99)) is None
    assert await house.store.read(lambda queries: queries.action_of_call("nobody")) == 0


async def test_subscriptions_are_found_by_every_filter(house: Bench) -> None:
    created = [(await house.subscription(f"S{n}")).create_time for n in (1, 2, 3, 4)]
    for wanted, found in (
        (SubscriptionFilter(), ["S1", "S2", "S3", "S4"]),
        (SubscriptionFilter(provider="SAT"), ["S1", "S3", "S4"]),
        (SubscriptionFilter(provider="WEB"), ["S3"]),
        (SubscriptionFilter(type="HOUSEHOLD"), ["S1", "S2", "S3", "S4"]),
        (SubscriptionFilter(type="HOTEL"), []),
        (SubscriptionFilter(states=(State.DRAFT,)), ["S2"]),
        (SubscriptionFilter(states=(State.DRAFT, State.EFFECTIVE)), ["S1", "S2", "S3", "S4"]),
        (SubscriptionFilter(sync_states=(SyncState.PENDING,)), ["S3"]),
        (SubscriptionFilter(provider="SAT", sync_states=(SyncState.IN_SYNC,)), ["S1", "S4"]),
        (SubscriptionFilter(item_serial="card of S2"), ["S2"]),
        (SubscriptionFilter(account_number="A-1"), ["S1"]),
        (SubscriptionFilter(holder_number="H-S3"), ["S3"]),
        (SubscriptionFilter(created_from=created[3]), ["S3", "S4"]),
        (SubscriptionFilter(created_to=created[1]), ["S1"]),
        (SubscriptionFilter(created_from=created[1], created_to=created[3]), ["S2"]),
    ):
        assert await subscriptions(house, wanted) == found, wanted


async def test_subscriptions_are_paged_in_the_order_of_their_numbers(house: Bench) -> None:
    seen: list[str] = []
    while page := await page_of_subscriptions(house, seen[-1] if seen else ""):
        seen += page

    assert seen == ["S1", "S2", "S3", "S4"]


async def test_actions_are_found_by_every_filter_newest_first(house: Bench) -> None:
    await house.store.do(Perform(action=ADD_SPORT, subscription="S1", who=Who(performed_by="Olev")))
    became = ActionKind.BECOME_SUBSCRIBER
    add = ActionKind.ADD_SERVICES
    everything = [
        ("S1", add),
        ("S3", add),
        ("S3", became),
        ("S4", ActionKind.DEACTIVATE),
        ("S4", became),
        ("S2", became),
        ("S1", became),
    ]
    created = (await house.subscription("S2")).create_time
    for wanted, found in (
        (ActionFilter(), everything),
        (ActionFilter(subscription="S3"), everything[1:3]),
        (ActionFilter(reference="order-3"), everything[1:2]),
        (ActionFilter(kinds=(ActionKind.DEACTIVATE,)), everything[3:4]),
        (ActionFilter(states=(ActionState.REJECTED,)), everything[3:4]),
        (
            ActionFilter(states=(ActionState.REJECTED, ActionState.SETTLED)),
            everything[3:],
        ),
        (ActionFilter(performed_by="Olev"), everything[:1]),
        (ActionFilter(created_from=created), everything[:6]),
        (ActionFilter(created_to=created), everything[6:]),
    ):
        assert await actions(house, wanted) == found, wanted


async def test_actions_are_paged_by_their_ids(house: Bench) -> None:
    first = await house.store.read(lambda r: r.actions(ActionFilter(), before=0, limit=2))
    rest = await house.store.read(
        lambda r: r.actions(ActionFilter(), before=first[-1].id, limit=100)
    )

    ids = [action.id for action in (*first, *rest)]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 6


async def test_requests_are_found_by_every_filter(house: Bench) -> None:
    became = RequestType.BECOME_SUBSCRIBER
    one, four = ("S1", became), ("S4", became)
    off = ("S4", RequestType.DEACTIVATE_SERVICE)
    pending = [("S3", became), ("S3", became)]
    everything = [one, four, off, *pending]
    stored = await house.requests()
    for wanted, found in (
        ({}, everything),
        ({"provider": "WEB"}, pending[:1]),
        ({"subscription": "S4"}, [four, off]),
        ({"account_number": "A-1"}, [one]),
        ({"types": (RequestType.DEACTIVATE_SERVICE,)}, [off]),
        ({"states": (RequestState.PENDING,)}, pending),
        ({"states": (RequestState.COMPLETED, RequestState.REJECTED)}, [one, four, off]),
        ({"origins": (RequestOrigin.ACTION,)}, everything),
        ({"origins": (RequestOrigin.RESET,)}, []),
        ({"action": stored[2].action}, [off]),
        ({"reference": "order-4"}, [off]),
        ({"last_adapter": "adapter of stream"}, [one, off]),
        ({"error_code": "E4"}, [off]),
        ({"item_serial": "card of S1"}, [one]),
        ({"item_serial": "card of %"}, []),
        ({"item_serial": "card_of_S1"}, []),
        ({"item_serial": "CARD of s1"}, []),
        ({"created_from": stored[2].create_time}, [off, *pending]),
        ({"created_to": stored[2].create_time}, [one, four]),
        ({"settled_from": stored[1].settle_time}, [four, off]),
        ({"settled_to": stored[1].settle_time}, [one]),
    ):
        assert await requests(house, oldest_first=True, **wanted) == found, wanted


async def test_requests_are_paged_newest_or_oldest_first(house: Bench) -> None:
    numbers = [r.number for r in await house.requests()]
    for oldest_first in (True, False):
        seen: list[int] = []
        wanted = RequestFilter(oldest_first=oldest_first)
        while page := await page_of_requests(house, wanted, seen[-1] if seen else 0):
            seen += page
        assert seen == (numbers if oldest_first else numbers[::-1])


async def test_the_backlog_counts_what_is_pending(bench: Bench) -> None:
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    await bench.accept_all("SAT")
    bench.clock.advance(1_000)
    first = await bench.perform(ADD_SPORT, "S1")
    await bench.perform(REMOVE_SPORT, "S1")
    await bench.perform(ADD_SPORT, "S2")
    bench.clock.advance(100)
    await bench.perform(ADD_NEWS, "S3")
    one, two, _ = await bench.claim("SAT")
    await bench.answer(two, status=ResponseStatus.RETRY_LATER, retry_delay=10_000_000)
    backlog = await bench.store.read(lambda queries: queries.backlog("SAT"))
    pending, oldest_age = await bench.store.read(lambda queries: queries.backlog_size("SAT"))

    assert one.lane.subscription == "S1"
    assert (backlog.pending, backlog.leased, backlog.waiting_for_retry) == (4, 2, 1)
    assert backlog.oldest is not None
    assert backlog.oldest.number == first.action.requests[0]
    assert (pending, oldest_age // 1_000_000) == (4, 100)
    assert dict(backlog.by_type) == {
        RequestType.ACTIVATE_SERVICE: 3,
        RequestType.DEACTIVATE_SERVICE: 1,
    }
    assert [count for _, count in backlog.by_age] == [1, 3, 0, 0, 0]
    size, age = await bench.store.read(lambda queries: queries.backlog_size("SAT"))
    assert (size, age // 1_000_000) == (4, 100)
    assert (await bench.store.read(lambda queries: queries.backlog("WEB"))).pending == 0


async def test_the_backlog_counts_what_is_out_of_sync(bench: Bench) -> None:
    await bench.stop_provider("SAT")
    await bench.become(viewer("S1"))

    assert (await bench.store.read(lambda r: r.backlog("SAT"))).out_of_sync_subscriptions == 1
