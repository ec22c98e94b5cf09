from __future__ import annotations

import pytest
from msgspec.structs import replace

from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.verdicts import ResponseCode
from generic_provider_server.store.database.engine import StoreInUse, UnsupportedDatabase
from generic_provider_server.store.opening import open_store
from support.bench import Bench, HandClock
from support.examples import ADD_SPORT, viewer
from support.postgres import Databases


async def test_everything_is_there_when_the_store_is_opened_again(
    bench: Bench, url: str, clock: HandClock
) -> None:
    first = await bench.perform(viewer("S1"), "S1", request_id="order-1")
    await bench.accept_all("SAT")
    second = await bench.perform(ADD_SPORT, "S1")
    (lease,) = await bench.claim("SAT")
    providers = dict(bench.store.providers)
    subscription = await bench.subscription("S1")
    requests = await bench.requests()
    await bench.store.close()
    bench.store = open_store(url, clock=clock)

    assert bench.store.providers == providers
    assert await bench.subscription("S1") == subscription
    assert await bench.requests() == requests
    assert (await bench.action(second.action.id)) == second.action
    again = await bench.perform(viewer("S1"), "S1", request_id="order-1")
    assert again.action.id == first.action.id
    with pytest.raises(Refused) as refused:
        await bench.perform(viewer("S2", serial="card of S1"), "S2")
    assert refused.value.reason is Reason.ITEM_IN_USE
    assert (await bench.answer(lease)).code is ResponseCode.APPLIED
    await bench.store.close()


async def test_numbers_go_on_when_the_store_is_opened_again(
    bench: Bench, url: str, clock: HandClock
) -> None:
    first = await bench.perform(viewer(""))
    await bench.store.close()
    bench.store = open_store(url, clock=clock)
    second = await bench.perform(replace(viewer(""), items=()))

    assert second.action.id == first.action.id + 1
    assert second.requests[0].number == first.requests[0].number + 1
    assert (first.action.subscription, second.action.subscription) == (
        "S0000000001",
        "S0000000002",
    )
    await bench.store.close()


async def test_an_sqlite_database_is_open_once(bench: Bench, url: str, clock: HandClock) -> None:
    if bench.store.shared:
        other = open_store(url, clock=clock)
        assert other.providers == bench.store.providers
        await other.close()
    else:
        with pytest.raises(StoreInUse):
            open_store(url)

    await bench.become(viewer("S1"))


async def test_an_unknown_kind_of_database_is_not_opened() -> None:
    for url in ("mysql://localhost/x", "sqlite:///", "x.db"):
        with pytest.raises(UnsupportedDatabase):
            open_store(url)


async def test_notifications_of_another_database_are_refused(
    postgres: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.store.notices.listener.PATIENCE", 0.5)
    used, other = postgres.create_database(), postgres.create_database()

    with pytest.raises(UnsupportedDatabase, match="give a direct URL of the same database"):
        open_store(used, notifications=other)
