from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from generic_provider_server.domain.actions import AddServices, RemoveServices, Rest, Selection
from generic_provider_server.domain.refusals import InvalidField, Reason, Refused
from generic_provider_server.domain.subscription.records import ActionState, SubscriptionRecord
from generic_provider_server.domain.subscription.request_records import WaitingFor
from generic_provider_server.domain.values import (
    Distributor,
    GoodsMapping,
    Provider,
    RequestType,
    Service,
    State,
    SyncState,
)
from generic_provider_server.store.read.filters import ActionFilter
from generic_provider_server.store.write.transaction import Transaction
from support.bench import Bench
from support.examples import ADD_NEWS, ADD_SPORT, ADD_STREAM, SPORT, card, viewer


async def test_an_action_is_kept_with_its_requests_and_the_new_state(bench: Bench) -> None:
    done = await bench.become(viewer("S1"))

    assert [r.type for r in done.requests] == [RequestType.BECOME_SUBSCRIBER]
    assert done.subscription
    assert done.subscription.aggregate.desired.state is State.EFFECTIVE
    assert done.subscription.revision == 1
    assert await bench.action(done.action.id) == done.action
    assert [await bench.request(n) for n in done.action.requests] == list(done.requests)
    assert await bench.subscription("S1") == done.subscription


async def test_an_action_is_kept_with_every_provider_named(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    done = await bench.perform(AddServices((replace(SPORT, provider=""),)), "S1")

    assert (await bench.action(done.action.id)).action == ADD_SPORT


async def test_services_that_no_message_could_carry_together_are_refused(bench: Bench) -> None:
    """A reset or End Resting may send all these services in one request, each service with its
    items.
    """
    goods = [f"GOODS{n}" for n in range(4)]
    codes = [f"S{n}" for n in range(90)]
    provider = Provider(
        code="P",
        distributors=(Distributor(code="MAIN", required_goods_types=tuple(goods)),),
        services=tuple([Service(code=code, provider_service_id=code) for code in codes]),
        goods=tuple([GoodsMapping(each, each) for each in goods]),
    )
    places = [Selection(provider="P", distributor="MAIN", service=code) for code in codes]
    item = replace(card("1"), provider="P", parameters={"chip": "x" * 4_000})
    items = [replace(item, goods_type=each, serial_number=each) for each in goods]
    await bench.add_provider(provider)
    await bench.become(replace(viewer("S1"), items=tuple(items), services=tuple(places[:30])))
    await bench.perform(AddServices(tuple(places[30:60])), "S1")

    with pytest.raises(InvalidField, match="with their items"):
        await bench.perform(AddServices(tuple(places[60:])), "S1")

    await bench.perform(RemoveServices(tuple(places[:30])), "S1")
    await bench.perform(AddServices(tuple(places[60:])), "S1")


async def test_services_do_not_count_items_that_their_viewing_point_does_not_require(
    bench: Bench,
) -> None:
    codes = [f"S{n}" for n in range(300)]
    provider = Provider(
        code="P",
        distributors=(Distributor(code="MAIN"),),
        services=tuple([Service(code=code, provider_service_id=code) for code in codes]),
        goods=(GoodsMapping("SMARTCARD", "SMARTCARD"),),
    )
    places = [Selection(provider="P", distributor="MAIN", service=code) for code in codes]
    item = replace(card("1"), provider="P", parameters={"chip": "x" * 4_000})
    await bench.add_provider(provider)

    await bench.become(replace(viewer("S1"), items=(item,), services=tuple(places)))


async def test_an_action_on_two_providers_makes_requests_for_each(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    done = await bench.perform(ADD_STREAM, "S1")

    assert [(r.provider, r.type) for r in done.requests] == [("WEB", RequestType.BECOME_SUBSCRIBER)]
    assert await bench.sync_state("S1", "SAT") is SyncState.PENDING
    assert await bench.sync_state("S1", "WEB") is SyncState.PENDING


async def test_the_first_request_waits_for_an_adapter_and_later_ones_for_it(bench: Bench) -> None:
    first = await bench.become(viewer("S1"))
    second = await bench.perform(ADD_SPORT, "S1")

    assert first.requests[0].waiting_for is WaitingFor.ADAPTER
    assert second.requests[0].waiting_for is WaitingFor.EARLIER_REQUEST


async def test_the_server_numbers_a_subscription_without_a_number(bench: Bench) -> None:
    await bench.become(viewer("S0000000001"))
    done = await bench.perform(viewer(""))

    assert done.action.subscription == "S0000000002"


async def test_many_numbers_that_the_crm_has_chosen_are_skipped_together(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.become_all([viewer(f"S{n:010}") for n in range(1, 201)])
    looked_for, record = list[str](), Transaction.record

    def look_for(transaction: Transaction, number: str) -> SubscriptionRecord | None:
        looked_for.append(number)
        return record(transaction, number)

    monkeypatch.setattr(Transaction, "record", look_for)
    done = await bench.perform(viewer(""))
    after = await bench.perform(viewer("", serial="another"))

    assert [each.action.subscription for each in (done, after)] == ["S0000000201", "S0000000202"]
    assert len(looked_for) < 30


async def test_a_number_that_is_taken_is_refused(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    with pytest.raises(Refused) as refused:
        await bench.become(viewer("S1", serial="another"))

    assert refused.value.reason is Reason.SUBSCRIPTION_EXISTS


async def test_an_unknown_subscription_is_refused(bench: Bench) -> None:
    with pytest.raises(Refused) as refused:
        await bench.perform(ADD_SPORT, "S1")

    assert refused.value.reason is Reason.SUBSCRIPTION_NOT_FOUND


async def test_a_repeated_request_id_answers_with_the_same_action_as_it_is_now(
    bench: Bench,
) -> None:
    first = await bench.perform(viewer("S1"), "S1", request_id="order-1")
    await bench.accept_all("SAT")
    again = await bench.perform(viewer("S1"), "S1", request_id="order-1")

    assert again.action.id == first.action.id
    assert again.action.state is ActionState.SETTLED
    assert again.action.requests == first.action.requests
    assert len(await _actions(bench)) == 1


async def test_a_request_id_with_other_contents_is_refused(bench: Bench) -> None:
    await bench.perform(viewer("S1"), "S1", request_id="order-1")
    with pytest.raises(Refused) as refused:
        await bench.perform(viewer("S2"), "S2", request_id="order-1")

    assert refused.value.reason is Reason.REQUEST_ID_REUSED


async def test_calls_with_one_request_id_at_the_same_time_make_one_action(bench: Bench) -> None:
    calls = [bench.perform(viewer("S1"), "S1", request_id="order-1") for _ in range(10)]
    answers = await asyncio.gather(*calls)

    assert {answer.action.id for answer in answers} == {1}
    assert len(await _actions(bench)) == 1


async def test_a_refused_call_is_not_remembered(bench: Bench) -> None:
    with pytest.raises(Refused):
        await bench.perform(ADD_SPORT, "S1", request_id="order-1")
    done = await bench.perform(viewer("S1"), "S1", request_id="order-1")

    assert done.action.id == 1


async def test_a_refused_call_changes_nothing(bench: Bench) -> None:
    before = await bench.become(viewer("S1", draft=True))
    with pytest.raises(Refused):
        await bench.perform(Rest(bench.clock.now), "S1")

    assert await bench.subscription("S1") == before.subscription
    assert len(await _actions(bench)) == 1


async def test_a_preview_shows_what_would_be_and_changes_nothing(bench: Bench) -> None:
    before = await bench.become(viewer("S1"))
    preview = await bench.perform(ADD_SPORT, "S1", request_id="order-1", validate_only=True)

    assert (preview.action.id, preview.action.subscription) == (0, "S1")
    assert [(r.number, r.type) for r in preview.requests] == [(0, RequestType.ACTIVATE_SERVICE)]
    assert preview.subscription
    assert preview.subscription.revision == 2
    assert await bench.subscription("S1") == before.subscription
    assert len(await _actions(bench)) == 1
    assert len(await bench.requests()) == 1
    done = await bench.perform(ADD_NEWS, "S1", request_id="order-1")
    assert done.action.id == 2


async def test_a_preview_is_refused_for_the_same_reasons(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    with pytest.raises(Refused) as refused:
        await bench.perform(viewer("S2", serial="card of S1"), "S2", validate_only=True)

    assert refused.value.reason is Reason.ITEM_IN_USE


async def test_an_expected_revision_must_be_the_present_one(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(ADD_SPORT, "S1", expected_revision=1)
    with pytest.raises(Refused) as refused:
        await bench.perform(ADD_NEWS, "S1", expected_revision=1)

    assert refused.value.reason is Reason.REVISION_MISMATCH
    assert refused.value.metadata["revision"] == "2"


async def test_an_action_for_a_provider_that_is_not_effective_drifts(bench: Bench) -> None:
    await bench.stop_provider("SAT")
    done = await bench.become(viewer("S1"))

    assert done.requests == ()
    assert done.action.state is ActionState.SETTLED
    assert await bench.sync_state("S1", "SAT") is SyncState.OUT_OF_SYNC


async def test_actions_settle_when_all_their_requests_are_final_and_in_order(
    bench: Bench,
) -> None:
    first = await bench.become(viewer("S1"))
    second = await bench.perform(ADD_STREAM, "S1")
    await bench.accept_all("WEB")
    assert (await bench.action(second.action.id)).state is ActionState.EXECUTED
    await bench.accept_all("SAT")

    for done in (first, second):
        assert (await bench.action(done.action.id)).state is ActionState.SETTLED
    assert await bench.sync_state("S1", "SAT") is SyncState.IN_SYNC
    assert (await bench.subscription("S1")).aggregate.performed == ()


async def _actions(bench: Bench) -> list[int]:
    found = await bench.store.read(
        lambda queries: queries.actions(ActionFilter(), before=0, limit=1_000)
    )
    return [action.id for action in found]
