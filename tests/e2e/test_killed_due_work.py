"""Tests that due work is done once and in order, although servers are killed while they do the
work.
"""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from generic_provider import (
    ActionKind,
    ActionOrigin,
    ActionState,
    Address,
    AsyncClient,
    Distributor,
    PerformActionRequest,
    Provider,
    Service,
    SubscriptionAction,
    actions,
)
from support.figures import Figure
from support.fresh import dice
from support.processes import Server
from support.pulling import accept_everything
from support.soak import ROUNDS, forms

PROVIDER = Provider(
    code="P",
    distributors=[Distributor(code="MAIN")],
    services=[Service(code="SPORT", provider_service_id="1")],
)
NUMBERS = [f"K{n:03}" for n in range(60)]
KILLS = 2
AHEAD = timedelta(seconds=2)
STEP = timedelta(seconds=0.2)
DONE = ["CHANGE_LOCATION", "END_RESTING", "DEACTIVATE", "CHANGE_LOCATION", "ACTIVATE"]


@pytest.fixture
def servers(url: str, tmp_path: Path) -> Iterator[list[Server]]:
    count = 1 if url.startswith("sqlite") else 3
    with ExitStack() as stack:
        made = [Server(tmp_path, database=url, name=f"server-{n}") for n in range(count)]
        yield [stack.enter_context(server) for server in made]


@pytest.mark.timeout(300)
@forms("rounds", suite=1, soak=20 * ROUNDS)
async def test_killed_in_the_middle_everything_due_is_done_once_and_in_order(
    servers: list[Server], rounds: int, figure: Figure
) -> None:
    chance = dice("killed due work", len(servers), rounds)
    async with AsyncClient(servers[0].address, timeout=timedelta(minutes=2)) as crm:
        await crm.create_provider(PROVIDER)
        await crm.set_provider_state("P", state="EFFECTIVE")
        become = actions.BecomeSubscriber(type="DTH", provider="P", services=[("MAIN", "SPORT")])
        await crm.batch_perform([actions.request(become, subscription=each) for each in NUMBERS])
        for n in range(rounds):
            await accept_everything(crm, "P")
            start = datetime.now(UTC)
            due = start + AHEAD
            resting = [
                actions.request(actions.Rest(until=due + STEP), subscription=n) for n in NUMBERS
            ]
            scheduled = [each for number in NUMBERS for each in _scheduled(number, n, due)]
            chance.shuffle(scheduled)
            await crm.batch_perform([*resting, *scheduled])
            for _ in range(KILLS):
                await _sleep_until(due + chance.uniform(-0.2, 1.2) * timedelta(seconds=1))
                await asyncio.to_thread(_kill, chance.choice(servers))
            await _check(crm, start)
    figure(f"servers killed in due work, of {len(servers)}", rounds * KILLS)


def _scheduled(number: str, n: int, due: datetime) -> Iterator[PerformActionRequest]:
    """Yields scheduled actions. One of these actions is not allowed when it is due."""
    steps: list[actions.Action] = [
        actions.ChangeLocation(address=Address(city=f"first {n}")),
        actions.Deactivate(),
        actions.ChangeLocation(address=Address(city=f"second {n}")),
        actions.Activate(),
        actions.EndResting(),
    ]
    for place, action in enumerate(steps):
        yield actions.request(action, subscription=number, schedule_time=due + place * STEP)


async def _sleep_until(time: datetime) -> None:
    await asyncio.sleep(max(0, (time - datetime.now(UTC)).total_seconds()))


def _kill(server: Server) -> None:
    server.stop(signal.SIGKILL)
    server.start()


async def _check(crm: AsyncClient, start: datetime) -> None:
    """Checks that each action was performed once or rejected, and that the platform gets the
    requests in order.
    """
    while [each async for each in crm.list_actions(state="SCHEDULED")]:
        await asyncio.sleep(0.05)
    taken = await accept_everything(crm, "P")
    found = defaultdict[str, dict[str, SubscriptionAction]](dict)
    async for each in crm.list_actions(created_from=start):
        found[each.subscription][each.id] = each
    assert set(found) == set(NUMBERS)
    for number, made in found.items():
        kinds = [ActionKind.name_of(made[request.action].kind) for request in taken[number]]
        assert kinds == ["REST", *DONE], number
        ends = [each for each in made.values() if each.origin == ActionOrigin.AUTOMATIC_END]
        assert len(ends) == 1
        rejected = [each for each in made.values() if each.state == ActionState.REJECTED]
        assert [ActionKind.name_of(each.kind) for each in rejected] == ["END_RESTING"]
        assert len(made) == 7
