"""Tests that actions are performed at the time for which they are scheduled."""

from __future__ import annotations

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from generic_provider_server.commands.due import PerformDue
from generic_provider_server.commands.providers import UpdateProvider
from generic_provider_server.commands.scheduled import MOST_SCHEDULED, CancelScheduled
from generic_provider_server.domain.actions import (
    Activate,
    AddItems,
    AddServices,
    AddUsage,
    AnyAction,
    ChangeLocation,
    ChangeTerms,
    Deactivate,
    EndResting,
    Existing,
    RemoveItems,
    Replace,
    Rest,
    Selection,
    SwapItem,
    Terminate,
)
from generic_provider_server.domain.refusals import InvalidField, Reason, Refused
from generic_provider_server.domain.subscription.events import EventKind
from generic_provider_server.domain.subscription.perform import MOST_UNSETTLED
from generic_provider_server.domain.subscription.records import ActionOrigin, ActionState, Who
from generic_provider_server.domain.values import (
    SECOND,
    Account,
    Address,
    Instant,
    RequestType,
    State,
)
from generic_provider_server.store.read.duties import MOST_DUE
from generic_provider_server.store.read.filters import ActionFilter
from support.bench import START, Bench
from support.examples import ADD_NEWS, ADD_SPORT, NEWS, SATELLITE, SPORT, card, viewer
from support.told import Told

TALLINN = ZoneInfo("Europe/Tallinn")
BASIC = Selection(provider="SAT", distributor="MAIN", service="BASIC")
SCHEDULED = ActionFilter(states=(ActionState.SCHEDULED,))
LATER = Instant(START + 86_400 * SECOND)
RESTING = Replace(
    state=State.IN_RESTING, until=LATER, type="DTH", holder=Account(), address=Address()
)
FILM = AddUsage(
    provider="SAT",
    service="FILM",
    quantity=1,
    start_time=Instant(START),
    end_time=LATER,
    reference="film",
)


def city(name: str) -> ChangeLocation:
    return ChangeLocation(Address(city=name))


async def state(bench: Bench, number: str = "S1") -> State:
    return (await bench.subscription(number)).aggregate.desired.state


async def kinds(bench: Bench) -> list[str]:
    """Returns the kinds of the unsettled actions on S1 after its creation, in their order."""
    performed = (await bench.subscription("S1")).aggregate.performed
    return [each.action.kind.name for each in performed if each.action.kind.value > 1]


async def test_an_action_is_performed_when_it_is_due_and_not_before(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    done = await bench.schedule(ADD_SPORT, "S1", 60, reference="order-1")
    assert (done.action.state, done.action.execute_time) == (ActionState.SCHEDULED, None)
    assert done.subscription == await bench.subscription("S1")
    assert done.requests == ()

    await bench.pass_time(59)
    assert (await bench.action(done.action.id)).state is ActionState.SCHEDULED
    assert not await bench.claim("SAT")
    await bench.pass_time(1)
    (handed,) = await bench.claim("SAT")
    await bench.accept(handed)
    action = await bench.action(done.action.id)

    assert action.state is ActionState.SETTLED
    assert action.origin is ActionOrigin.CALLER
    assert [each.action for each in handed.requests] == [action.id]
    assert action.execute_time is not None
    assert action.execute_time > action.create_time + 60 * SECOND
    assert action.performed == done.action.performed


async def test_a_time_that_has_come_means_now(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    done = await bench.schedule(Deactivate(), "S1", 0, bulk=True)
    assert done.action.state is ActionState.EXECUTED
    assert not (await bench.subscription("S1")).aggregate.queue("SAT")[-1].bulk


async def test_what_was_due_during_a_downtime_is_done_in_the_order_in_which_it_was_due(
    bench: Bench,
) -> None:
    await bench.become(viewer("S1"))
    until = Instant(bench.clock.now + 40 * SECOND)
    await bench.schedule(Terminate(), "S1", 60)
    await bench.schedule(Deactivate(), "S1", 50)
    await bench.schedule(ADD_SPORT, "S1", 30)
    await bench.schedule(ADD_NEWS, "S1", 20)
    await bench.perform(Rest(until), "S1")
    await bench.pass_time(3_600)
    done = "REST ADD_SERVICES ADD_SERVICES END_RESTING DEACTIVATE TERMINATE"
    assert await kinds(bench) == done.split()
    added = [each.service for each in (await bench.subscription("S1")).aggregate.desired.services]
    assert added == ["BASIC", "NEWS", "SPORT"]


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize(("later", "state"), [(1, "PENDING"), (-1, "EXPIRED")])
async def test_requests_that_were_overdue_expire_before_what_was_due_later(
    bench: Bench, later: int, state: str, *, end: bool
) -> None:
    """The request of the later action also expires, but only if the action was due before the
    expiry.
    """
    window = SATELLITE.delivery_settings.pending_window // SECOND
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    if end:
        term = Instant(bench.clock.now + (window + 10 + later) * SECOND)
        await bench.perform(ChangeTerms((replace(BASIC, term_end=term),)), "S1")
    else:
        await bench.schedule(Deactivate(), "S1", window + 10 + later)
    bench.clock.advance(10)
    await bench.perform(ADD_SPORT, "S1")
    bench.clock.advance(window + 3_600)

    due = PerformDue(subscription="S1", duty="ends", due_time=bench.clock.now)
    await bench.store.do(due)
    await bench.pass_time(0)

    made = [r for r in await bench.requests() if r.type is RequestType.DEACTIVATE_SERVICE]
    assert {request.state.name for request in made} == {state}


async def test_an_end_comes_before_a_scheduled_action_of_the_same_time(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    until = Instant(bench.clock.now + 60 * SECOND)
    await bench.perform(Rest(until), "S1")
    seconds = (until - bench.clock.now) / SECOND
    await bench.schedule(Deactivate(), "S1", seconds)
    await bench.pass_time(60)
    assert await kinds(bench) == ["REST", "END_RESTING", "DEACTIVATE"]


async def test_what_is_not_allowed_any_more_is_rejected_with_the_reason(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    resting = await bench.schedule(EndResting(), "S1", 10)
    off = await bench.schedule(Deactivate(), "S1", 20)
    told = await Told.from_now(bench.store)
    await bench.pass_time(30)
    await told.read()
    rejected = await bench.action(resting.action.id)

    assert rejected.state is ActionState.REJECTED
    assert rejected.execute_time is None
    assert rejected.settle_time is not None
    assert rejected.error is not None
    assert rejected.error.reason is Reason.ACTION_NOT_ALLOWED
    assert "is EFFECTIVE" in rejected.error.error_description
    assert (await bench.action(off.action.id)).state is ActionState.EXECUTED
    events = [(each.kind, each.number) for each in told.events[:2]]
    assert events == [
        (EventKind.ACTION_SETTLED, resting.action.id),
        (EventKind.ACTION_EXECUTED, off.action.id),
    ]


async def test_what_was_scheduled_stays_when_its_subscription_ends(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    done = await bench.schedule(ADD_SPORT, "S1", 10)
    await bench.perform(Terminate(), "S1")
    assert (await bench.action(done.action.id)).state is ActionState.SCHEDULED
    await bench.pass_time(10)
    assert (await bench.action(done.action.id)).state is ActionState.REJECTED


async def test_the_revision_is_compared_when_the_action_is_due(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    first = await bench.schedule(Deactivate(), "S1", 10, expected_revision=2)
    later = [
        await bench.schedule(city("Tartu"), "S1", 20, expected_revision=revision)
        for revision in (2, 2**64 - 1)
    ]
    await bench.perform(city("Narva"), "S1")
    await bench.pass_time(10)
    assert (await bench.action(first.action.id)).state is ActionState.EXECUTED
    await bench.pass_time(10)
    for each in later:
        rejected = await bench.action(each.action.id)
        assert rejected.error is not None
        assert rejected.error.reason is Reason.REVISION_MISMATCH


async def test_a_repeat_answers_with_the_action_as_it_is(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    time = Instant(bench.clock.now + 10 * SECOND)

    async def again() -> ActionState:
        done = await bench.schedule(
            Deactivate(), "S1", (time - bench.clock.now) / SECOND, request_id="order-1"
        )
        assert done.action.id == first.action.id
        assert done.repeated
        return done.action.state

    first = await bench.schedule(Deactivate(), "S1", 10, request_id="order-1")
    assert await again() is ActionState.SCHEDULED
    bench.clock.advance(10)
    assert await again() is ActionState.SCHEDULED
    await bench.pass_time(1)
    assert await again() is ActionState.EXECUTED
    with pytest.raises(Refused) as refused:
        await bench.schedule(Activate(), "S1", 10, request_id="order-1")
    assert refused.value.reason is Reason.REQUEST_ID_REUSED
    assert await kinds(bench) == ["DEACTIVATE"]


async def test_a_preview_says_what_the_action_would_do_now(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    preview = await bench.schedule(ADD_SPORT, "S1", 60, validate_only=True)
    assert (preview.action.id, len(preview.requests)) == (0, 1)
    with pytest.raises(Refused) as refused:
        await bench.schedule(EndResting(), "S1", 60, validate_only=True)
    assert refused.value.reason is Reason.ACTION_NOT_ALLOWED
    assert not await bench.store.read(lambda q: q.actions(SCHEDULED, before=0, limit=10))


async def test_a_cancelled_action_is_not_performed(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    off, sport = [await bench.schedule(a, "S1", 10) for a in (Deactivate(), ADD_SPORT)]
    cancel = CancelScheduled(
        action=off.action.id, subscription="S1", who=Who(performed_by="Mari", caller="crm")
    )
    cancelled = await bench.store.do(cancel)
    assert cancelled == await bench.store.do(cancel) == await bench.action(off.action.id)
    assert cancelled.state is ActionState.CANCELLED
    assert cancelled.settle_time is not None
    assert cancelled.error is not None
    assert cancelled.error.error_description == "Mari at crm"
    await bench.pass_time(10)

    assert await kinds(bench) == ["ADD_SERVICES"]
    with pytest.raises(Refused) as refused:
        await bench.store.do(CancelScheduled(action=sport.action.id, subscription="S1"))
    assert refused.value.reason is Reason.ACTION_NOT_SCHEDULED
    assert refused.value.metadata["state"] == "EXECUTED"


async def test_scheduling_cancelling_and_performing_in_one_group(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    kept = await bench.schedule(ADD_SPORT, "S1", 10)
    first, _, *_, gone = await asyncio.gather(
        bench.schedule(Deactivate(), "S1", 20),
        bench.perform(city("Tartu"), "S1"),
        bench.store.do(CancelScheduled(action=kept.action.id, subscription="S1")),
        bench.pass_time(20),
        bench.store.do(CancelScheduled(action=kept.action.id, subscription="S1")),
    )
    assert gone.state is ActionState.CANCELLED
    await bench.pass_time(0)
    assert (await bench.action(first.action.id)).state is ActionState.EXECUTED


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (AddServices((replace(SPORT, provider="NONE"),)), Reason.PROVIDER_NOT_FOUND),
        (AddServices((replace(SPORT, distributor="NONE"),)), Reason.DISTRIBUTOR_NOT_FOUND),
        (AddServices((replace(SPORT, service="NONE"),)), Reason.SERVICE_NOT_FOUND),
        (AddItems((replace(card("1"), goods_type="NONE"),)), Reason.GOODS_TYPE_NOT_MAPPED),
        (
            SwapItem(
                old_serial_number="1",
                new_serial_number="2",
                new_goods_type="SMARTCARD",
                provider="NONE",
            ),
            Reason.PROVIDER_NOT_FOUND,
        ),
        (replace(viewer("S2"), provider="NONE"), Reason.PROVIDER_NOT_FOUND),
    ],
)
async def test_what_no_provider_has_is_refused_at_once(
    bench: Bench, action: AnyAction, reason: Reason
) -> None:
    await bench.become(viewer("S1"))
    with pytest.raises(Refused) as refused:
        await bench.schedule(action, "S1", 60)
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("action", "field"),
    [
        (replace(RESTING, until=None), "replace.until"),
        (replace(RESTING, state=State.EFFECTIVE), "replace.until"),
        (replace(RESTING, state=State.CANCELLED), "replace.state"),
        (replace(FILM, end_time=FILM.start_time), "add_usage.end_time"),
        (
            replace(
                viewer("S2"), draft=True, existing=(Existing(provider="SAT", account_number="7"),)
            ),
            "become_subscriber.existing",
        ),
    ],
)
async def test_what_contradicts_itself_is_refused_at_once(
    bench: Bench, action: AnyAction, field: str
) -> None:
    await bench.become(viewer("S1"))
    with pytest.raises(InvalidField) as refused:
        await bench.schedule(action, "S1", 60)
    assert [name for name, _ in refused.value.violations] == [field]


async def test_a_scheduled_action_reserves_nothing(bench: Bench) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    box = replace(card("box"), goods_type="DECODER")
    done = await bench.schedule(AddItems((box,)), "S1", 10)
    await bench.perform(AddItems((box,)), "S2")
    late = await bench.schedule(RemoveItems(("box",)), "S2", 20)
    await bench.pass_time(30)

    rejected = await bench.action(done.action.id)
    assert rejected.error is not None
    assert rejected.error.reason is Reason.ITEM_IN_USE
    assert (await bench.action(late.action.id)).state is ActionState.EXECUTED


async def test_a_subscription_may_begin_later_and_go_on_later_still(bench: Bench) -> None:
    with pytest.raises(Refused) as refused:
        await bench.schedule(ADD_SPORT, "S1", 20)
    assert refused.value.reason is Reason.SUBSCRIPTION_NOT_FOUND
    done = await bench.schedule(viewer("S1"), "S1", 10)
    assert done.subscription is None
    await bench.schedule(ADD_SPORT, "S1", 20)
    numbered = await bench.schedule(viewer(""), "", 10)
    assert numbered.action.subscription.startswith("S000")
    await bench.pass_time(20)

    services = (await bench.subscription("S1")).aggregate.desired.services
    assert [each.service for each in services] == ["BASIC", "SPORT"]
    later = await bench.subscription(numbered.action.subscription)
    assert later.aggregate.desired.number == numbered.action.subscription


async def test_a_number_that_is_taken_meanwhile_rejects_the_new_subscription(bench: Bench) -> None:
    done = await bench.schedule(viewer("S1", serial="other"), "S1", 10, request_id="order-1")
    await bench.become(viewer("S1"))
    await bench.pass_time(10)
    rejected = await bench.action(done.action.id)
    assert rejected.error is not None
    assert rejected.error.reason is Reason.SUBSCRIPTION_EXISTS


async def test_a_subscription_has_a_limited_number_of_scheduled_actions(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    times = range(1, MOST_SCHEDULED + 1)
    await asyncio.gather(*[bench.schedule(city(f"{n}"), "S1", n) for n in times])
    with pytest.raises(Refused) as refused:
        await bench.schedule(city("one more"), "S1", 1_000)
    assert refused.value.reason is Reason.TOO_MANY_UNSETTLED
    await bench.pass_time(1)
    await bench.schedule(city("one more"), "S1", 1_000)


@pytest.mark.slow
async def test_what_the_clock_performs_does_not_count_as_unsettled(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    cities = [city(f"{n}") for n in range(MOST_UNSETTLED - 1)]
    await asyncio.gather(*[bench.perform(each, "S1") for each in cities])
    done = await bench.schedule(ADD_SPORT, "S1", 10)
    await bench.pass_time(10)
    assert (await bench.action(done.action.id)).state is ActionState.EXECUTED
    with pytest.raises(Refused) as refused:
        await bench.perform(ADD_NEWS, "S1")
    assert refused.value.reason is Reason.TOO_MANY_UNSETTLED
    assert refused.value.metadata["unsettled"] == str(MOST_UNSETTLED)


async def test_a_scheduled_action_gives_way_to_live_ones_unless_it_is_live(bench: Bench) -> None:
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    await bench.accept_all("SAT")
    await bench.schedule(ADD_SPORT, "S1", 10)
    await bench.schedule(ADD_SPORT, "S2", 11, bulk=False)
    await bench.pass_time(12)
    await bench.perform(ADD_SPORT, "S3")
    handed = await bench.claim("SAT")
    assert [each.lane.subscription for each in handed] == ["S2", "S3", "S1"]


async def test_an_automatic_end_gives_way_to_live_actions(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(Rest(Instant(bench.clock.now + 10 * SECOND)), "S1")
    await bench.accept_all("SAT")
    await bench.pass_time(10)
    assert [each.bulk for each in (await bench.subscription("S1")).aggregate.queue("SAT")] == [True]


async def test_a_provider_keeps_what_a_scheduled_action_names(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    without = replace(
        SATELLITE, services=tuple([s for s in SATELLITE.services if s.code != "NEWS"])
    )
    update = UpdateProvider(provider=without, etag=None)
    scheduled, refused = await asyncio.gather(
        bench.schedule(AddServices((NEWS,)), "S1", 60),
        bench.store.do(update),
        return_exceptions=True,
    )
    assert not isinstance(scheduled, BaseException)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.PROVIDER_IN_USE
    with pytest.raises(Refused):
        await bench.store.do(update)
    await bench.store.do(CancelScheduled(action=scheduled.action.id, subscription="S1"))
    await bench.store.do(update)


async def test_a_live_action_does_not_wait_for_all_that_is_due(bench: Bench) -> None:
    numbers = [f"S{n}" for n in range(MOST_DUE)]
    await asyncio.gather(*[bench.become(viewer(number)) for number in numbers])
    await asyncio.gather(*[bench.schedule(Deactivate(), number, 10) for number in numbers])
    begun = asyncio.Event()
    bench.store.listeners.committed.append(lambda _: begun.set())
    working = asyncio.create_task(bench.pass_time(10))
    await begun.wait()
    await bench.perform(ADD_SPORT, "S1")
    left = await bench.store.read(lambda q: q.actions(SCHEDULED, before=0, limit=MOST_DUE))
    await working

    assert left
    assert not await bench.store.read(lambda q: q.actions(SCHEDULED, before=0, limit=1))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2027, 2, 1, tzinfo=TALLINN),
        datetime(2028, 2, 29, 23, 59, 59, tzinfo=TALLINN),
        datetime(2027, 3, 28, 2, 59, 59, tzinfo=TALLINN),
        datetime(2027, 3, 28, 3, 30, tzinfo=TALLINN),
        datetime(2027, 3, 28, 4, tzinfo=TALLINN),
        datetime(2027, 10, 31, 3, 30, tzinfo=TALLINN),
        datetime(2027, 10, 31, 3, 30, tzinfo=TALLINN, fold=1),
        datetime(2027, 12, 31, 23, 59, 59, tzinfo=TALLINN),
    ],
    ids=str,
)
async def test_it_is_performed_at_that_instant_at_month_ends_and_when_clocks_change(
    bench: Bench, moment: datetime
) -> None:
    due = int(moment.timestamp()) * SECOND
    rest = Rest(Instant(due))
    sport = Selection(provider="SAT", distributor="MAIN", service="SPORT", term_end=Instant(due))
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    await bench.perform(rest, "S2")
    await bench.perform(AddServices((sport,)), "S3")
    await bench.schedule(Deactivate(), "S1", (due - bench.clock.now) / SECOND)
    await bench.pass_time((due - bench.clock.now) / SECOND - 1)
    assert [await state(bench), await state(bench, "S2")] == [State.EFFECTIVE, State.IN_RESTING]
    assert (await bench.subscription("S3")).aggregate.desired.services[1].on
    await bench.pass_time(1)

    assert [await state(bench), await state(bench, "S2")] == [State.NOT_EFFECTIVE, State.EFFECTIVE]
    assert not (await bench.subscription("S3")).aggregate.desired.services[1].on


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(50, ActionState.EXECUTED), (150, ActionState.REJECTED)]
)
async def test_after_a_pause_the_end_of_a_usage_record_has_its_place_in_the_order(
    bench: Bench, seconds: float, outcome: ActionState
) -> None:
    """The usage record ends after 100 s. Its end changes the revision."""
    await bench.become(viewer("S1"))
    end_time = Instant(bench.clock.now + 100 * SECOND)
    film = AddUsage(
        provider="SAT",
        service="FILM",
        quantity=1,
        start_time=bench.clock.now,
        end_time=end_time,
        reference="film 1",
    )
    await bench.perform(film, "S1")
    await bench.accept_all("SAT")
    revision = (await bench.subscription("S1")).revision
    scheduled = await bench.schedule(ADD_NEWS, "S1", seconds, expected_revision=revision)
    await bench.pass_time(200)

    number = scheduled.action.id
    action = await bench.store.read(lambda queries: queries.action(number))
    assert action is not None
    assert action.state is outcome
    assert not (await bench.subscription("S1")).aggregate.desired.usages
