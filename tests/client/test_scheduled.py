"""Tests what a CRM does with scheduled actions, on a server with the real clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from generic_provider import (
    ActionNotScheduled,
    ActionState,
    ErrorReason,
    ProvisioningError,
    SubscriptionAction,
    SubscriptionNotFound,
    actions,
)
from support.shop import Shop
from support.shop import shop as open_shop

ALMOST_NOW = timedelta(seconds=0.5)
TOMORROW = timedelta(days=1)
WAIT = timedelta(seconds=20)
SPORT = [("MAIN", "SPORT")]


def soon(later: timedelta = ALMOST_NOW) -> datetime:
    return datetime.now(UTC) + later


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as opened:
        await opened.subscribe(["S1", "S2"])
        yield opened


async def states(shop: Shop, **wanted: Any) -> list[tuple[str, str]]:
    found = [each async for each in shop.crm.list_actions(**wanted)]
    return [(each.id, ActionState.name_of(each.state)) for each in found]


async def test_an_action_is_performed_soon_after_its_time(shop: Shop) -> None:
    time = soon()
    done = await shop.crm.perform(actions.Deactivate(), subscription="S1", schedule_time=time)
    made = done.action
    assert made.state == ActionState.SCHEDULED
    assert made.performed.schedule_time.ToDatetime(UTC) == time
    assert made.performed.priority == 0
    assert (len(done.requests), done.subscription.number) == (0, "S1")
    assert await states(shop, state="SCHEDULED") == [(made.id, "SCHEDULED")]

    while (made := await shop.crm.get_action(made.id)).state == ActionState.SCHEDULED:
        pass
    late = made.execute_time.ToDatetime(UTC) - time
    assert timedelta(0) <= late
    assert made.performed.schedule_time.ToDatetime(UTC) == time
    assert len(made.requests) == 1
    assert await states(shop, state="SCHEDULED") == []


async def test_who_waits_for_a_scheduled_action_hears_that_it_was_rejected(shop: Shop) -> None:
    done = await shop.crm.perform(
        actions.EndResting(), subscription="S1", schedule_time=soon(), reference="order-1"
    )
    rejected = await shop.crm.get_action(done.action.id, wait=WAIT)
    assert rejected.state == ActionState.REJECTED
    assert rejected.error.reason == ErrorReason.ACTION_NOT_ALLOWED
    assert "EFFECTIVE" in rejected.error.error_description
    assert not rejected.HasField("execute_time")
    assert await states(shop, reference="order-1") == [(rejected.id, "REJECTED")]


async def test_a_batch_may_schedule_some_of_its_actions(shop: Shop) -> None:
    east = timezone(timedelta(hours=3))
    orders = [
        actions.request(actions.Deactivate(), subscription="S1"),
        actions.request(
            actions.Activate(),
            subscription="S1",
            schedule_time=soon(TOMORROW).astimezone(east),
            priority="LIVE",
        ),
        actions.request(actions.Activate(), subscription="S9", schedule_time=soon(TOMORROW)),
    ]
    now, later, refused = await shop.crm.batch_perform(orders)
    assert isinstance(now, SubscriptionAction)
    assert isinstance(later, SubscriptionAction)
    assert [now.state, later.state] == [ActionState.EXECUTED, ActionState.SCHEDULED]
    assert isinstance(refused, SubscriptionNotFound)
    again = await shop.crm.batch_perform(orders[:2])
    assert again.repeated == [True, True]


async def test_a_scheduled_action_is_cancelled_once_and_for_all(shop: Shop) -> None:
    done = await shop.crm.perform(
        actions.Terminate(), subscription="S1", schedule_time=soon(TOMORROW)
    )
    cancelled = await shop.crm.cancel_scheduled_action(done.action.id, performed_by="Mari")
    assert cancelled.state == ActionState.CANCELLED
    assert cancelled.error.reason == ErrorReason.CANCELLED_BY_OPERATOR
    assert cancelled.error.error_description.startswith("Mari at ")
    assert await shop.crm.cancel_scheduled_action(done.action.id) == cancelled
    other = await shop.crm.perform(actions.Deactivate(), subscription="S1")
    with pytest.raises(ActionNotScheduled) as refused:
        await shop.crm.cancel_scheduled_action(other.action.id)
    assert refused.value.metadata == {"action": other.action.id, "state": "EXECUTED"}


async def test_a_new_subscription_gets_its_number_when_it_is_scheduled(shop: Shop) -> None:
    become = actions.BecomeSubscriber(type="DTH", provider="P", services=SPORT)
    done = await shop.crm.perform(become, schedule_time=soon())
    assert not done.HasField("subscription")
    number = done.action.subscription
    await shop.crm.perform(actions.Deactivate(), subscription=number, schedule_time=soon())
    while (await states(shop, subscription=number, state="SCHEDULED")) != []:
        pass
    assert [state for _, state in await states(shop, subscription=number)] == ["EXECUTED"] * 2


async def test_a_time_without_a_zone_is_no_time(shop: Shop) -> None:
    with pytest.raises((ValueError, ProvisioningError), match="schedule_time must be a datetime"):
        await shop.crm.perform(
            actions.Terminate(),
            subscription="S1",
            schedule_time=datetime(2030, 1, 1),  # noqa: DTZ001 - this is what is wrong
        )
