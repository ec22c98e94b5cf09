"""Tests that adapters and the CRM share the writer: the commands of adapters do not wait for all
commands of the CRM, nor the commands of the CRM for all commands of adapters.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from generic_provider_server.commands.claim import Claim
from generic_provider_server.commands.live_leases import Release
from generic_provider_server.commands.perform import Perform
from generic_provider_server.domain.actions import AddServices, Selection
from generic_provider_server.domain.lease import Lease
from generic_provider_server.store.notices.notice import Notice
from generic_provider_server.store.write.command import Command
from generic_provider_server.store.write.loaded import Needs
from generic_provider_server.store.write.next_group import MOST_IN_GROUP, CommandQueue
from generic_provider_server.store.write.transaction import Transaction
from support.bench import Bench, performing
from support.examples import viewer
from support.queued import queued

CLAIM = Claim(provider="SAT", server="server", demands=())
RELEASE = Release(leases=(Lease("SAT", "S1", 1, 1, 0, 0, "stream"),) * 3)


@cache
def actions() -> list[Perform]:
    return [performing(viewer(f"S{n}", serial=f"{n:010}"), f"S{n}") for n in range(2_000)]


@dataclass(slots=True)
class Held:
    """Keeps the writer busy until `go_on` is set."""

    started: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def needs(self) -> Needs:
        return Needs()

    def run(self, _: Transaction) -> None:
        self.started.set()
        self.go_on.wait()


async def test_a_claim_does_not_wait_for_the_actions_that_were_asked_for_before_it(
    bench: Bench,
) -> None:
    assert await _done_before(bench, actions(), CLAIM) == 0


async def test_answers_and_extensions_do_not_wait_either(bench: Bench) -> None:
    assert await _done_before(bench, actions(), RELEASE) == 0


async def test_an_action_does_not_wait_for_all_adapters_that_asked_before_it(bench: Bench) -> None:
    done = await _done_before(bench, [RELEASE] * 3_000, actions()[0])

    assert done <= MOST_IN_GROUP // 2


def test_while_others_wait_adapters_take_at_most_half_of_a_group() -> None:
    queue = CommandQueue()
    for _ in range(1_000):
        queue.add(queued(Needs(for_adapter=True, subscriptions=frozenset({"S1", "S2"}))))
        queue.add(queued(Needs(subscriptions=frozenset({"S3"}))))

    while group := queue.next_group():
        adapters = sum(len(each.needs.subscriptions) for each in group if each.needs.for_adapter)
        others = sum(not each.needs.for_adapter for each in group)
        assert others == 0 or 0 < adapters <= others


def test_a_large_answer_leaves_as_much_room_for_actions() -> None:
    queue = CommandQueue()
    answered = frozenset({f"S{n}" for n in range(1_000)})
    queue.add(queued(Needs(for_adapter=True, subscriptions=answered)))
    for _ in range(3_000):
        queue.add(queued(Needs()))

    assert len(queue.next_group()) == 1_001


def test_many_adapters_that_poll_leave_the_crm_its_share() -> None:
    queue = CommandQueue()
    for _ in range(1_000):
        queue.add(queued(CLAIM.needs()))
        queue.add(queued(Needs()))
    group = queue.next_group()
    claims = sum(each.needs.searches for each in group)

    assert (claims, len(group) - claims) == (10, MOST_IN_GROUP // 2)


def test_actions_with_hundreds_of_services_share_a_group_with_few_others() -> None:
    services = tuple(
        [Selection(provider="SAT", distributor="MAIN", service=f"S{n}") for n in range(500)]
    )
    large = Perform(subscription="S1", action=AddServices(services))
    queue = CommandQueue()
    for _ in range(100):
        queue.add(queued(large.needs()))

    assert len(queue.next_group()) == MOST_IN_GROUP // 51


def test_without_adapters_the_crm_has_the_whole_group() -> None:
    queue = CommandQueue()
    for _ in range(3_000):
        queue.add(queued(Needs()))

    assert len(queue.next_group()) == MOST_IN_GROUP


@dataclass(frozen=True, slots=True)
class Recorded:
    """Runs a command, and adds it to `ran`."""

    command: Command[Any]
    ran: list[Command[Any]]

    def needs(self) -> Needs:
        return self.command.needs()

    def run(self, transaction: Transaction) -> Any:
        self.ran.append(self.command)
        return self.command.run(transaction)


async def _done_before(bench: Bench, first: Sequence[Command[Any]], late: Command[Any]) -> int:
    """Returns how many commands of `first` run in an earlier group than `late`."""
    done = 0
    ran: list[Command[Any]] = []
    held = Held()
    holding = bench.ask(held)
    await asyncio.to_thread(held.started.wait)
    asked = [bench.ask(Recorded(command, ran)) for command in (*first, late)]
    await asyncio.sleep(0)

    def count(_: Notice) -> None:
        nonlocal done
        done = done if late in ran else len(ran)

    bench.store.listeners.at_once.append(count)
    held.go_on.set()
    await asyncio.gather(holding, *asked)
    return done
