"""Commands that wait at the same time are committed together. Each command has the same result as
if it were committed alone.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from generic_provider_server.commands.answers import Response, respond
from generic_provider_server.commands.audit import RefuseItem
from generic_provider_server.commands.cancel_or_resolve import ResolveRequest
from generic_provider_server.commands.claim import Claim, Demand, Handed
from generic_provider_server.commands.live_leases import Release
from generic_provider_server.commands.perform import Done
from generic_provider_server.domain.actions import Terminate
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.subscription.records import ActionState
from generic_provider_server.domain.values import SECOND, RequestState, SyncState
from generic_provider_server.domain.verdicts import ResponseCode, ResponseStatus
from generic_provider_server.store.database import statements as sql
from generic_provider_server.store.database.engine import Locked
from generic_provider_server.store.notices.notice import Notice
from generic_provider_server.store.write.command import Asked, Command
from generic_provider_server.store.write.loaded import SEARCHES, Needs
from generic_provider_server.store.write.transaction import Transaction
from support.bench import Bench, performing
from support.examples import ADD_DECODER, ADD_NEWS, ADD_SPORT, ADD_STREAM, REMOVE_SPORT, viewer


@dataclass(frozen=True, slots=True)
class HoldUp:
    """Keeps the writer busy until `go_on` is set."""

    started: threading.Event
    go_on: threading.Event

    def needs(self) -> Needs:
        return Needs()

    def run(self, transaction: Transaction) -> bool:
        """Returns whether other commands wait when the command ends."""
        self.started.set()
        self.go_on.wait()
        return transaction.others_wait()


@dataclass(frozen=True, slots=True)
class Break:
    def needs(self) -> Needs:
        return Needs()

    def run(self, _: Transaction) -> None:
        raise ZeroDivisionError


async def in_one_group(bench: Bench, *commands: Command[Any]) -> list[Any]:
    started, go_on = threading.Event(), threading.Event()
    held = asyncio.create_task(bench.store.do(HoldUp(started, go_on)))
    await asyncio.to_thread(started.wait)
    asked = [asyncio.create_task(bench.store.do(command)) for command in commands]
    await asyncio.sleep(0)
    go_on.set()
    await held
    return await asyncio.gather(*asked, return_exceptions=True)


@pytest.mark.parametrize("others", [0, 1])
async def test_a_command_knows_whether_other_commands_wait(bench: Bench, others: int) -> None:
    started, go_on = threading.Event(), threading.Event()
    held = asyncio.create_task(bench.store.do(HoldUp(started, go_on)))
    await asyncio.to_thread(started.wait)
    asked = [asyncio.create_task(bench.become(viewer("S1"))) for _ in range(others)]
    await asyncio.sleep(0)
    go_on.set()

    assert await held == bool(others)
    await asyncio.gather(*asked)


def answer(bench: Bench, handed: Handed, status: ResponseStatus) -> Command[Any]:
    response = Response(
        request=handed.requests[0].number, lease_token=bench.token(handed), status=status
    )
    return respond(handed.lane.provider, (response,), key=bench.store.token_key)


def refuse(handed: Handed) -> Command[Any]:
    """Returns the command with which an operator rejects the request. Unlike an answer, the command
    runs after the actions that were queued before it.
    """
    return ResolveRequest(
        request=handed.requests[0].number, accepted=False, reason="the test", end_lease=True
    )


async def test_a_later_action_sees_what_an_earlier_one_of_its_group_did(bench: Bench) -> None:
    first, second = await in_one_group(
        bench, performing(viewer("S1"), "S1"), performing(ADD_SPORT, "S1")
    )

    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert second.subscription
    assert second.subscription.revision == 2
    assert len(await bench.requests()) == 2


async def test_a_late_acceptance_sees_what_was_answered_within_its_group(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    await bench.perform(ADD_SPORT, "S1")
    (late,) = await bench.claim("SAT")
    await bench.release(late.lane.lease)
    await bench.accept_all("SAT")
    await bench.perform(REMOVE_SPORT, "S1")
    (removal,) = await bench.claim("SAT")

    await in_one_group(
        bench,
        answer(bench, removal, ResponseStatus.ACCEPTED),
        answer(bench, late, ResponseStatus.ACCEPTED),
    )

    assert await bench.sync_state("S1", "SAT") is SyncState.OUT_OF_SYNC


async def test_a_repeat_within_a_group_gets_the_same_action(bench: Bench) -> None:
    call = performing(viewer("S1"), "S1", request_id="order-1")
    first, second = await in_one_group(bench, call, call)

    assert (first.action, first.subscription) == (second.action, second.subscription)
    assert second.repeated
    assert await bench.store.read(lambda queries: queries.action_of_call("order-1")) == 1


async def test_a_request_id_reused_within_a_group_is_refused(bench: Bench) -> None:
    first, second = await in_one_group(
        bench,
        performing(viewer("S1"), "S1", request_id="order-1"),
        performing(viewer("S2"), "S2", request_id="order-1"),
    )

    assert isinstance(first, Done)
    assert isinstance(second, Refused)
    assert second.reason is Reason.REQUEST_ID_REUSED


async def test_of_two_in_a_group_that_want_an_item_the_first_gets_it(bench: Bench) -> None:
    first, second = await in_one_group(
        bench,
        performing(viewer("S1", serial="shared"), "S1"),
        performing(viewer("S2", serial="shared"), "S2"),
    )

    assert isinstance(first, Done)
    assert isinstance(second, Refused)
    assert second.metadata["subscription"] == "S1"


async def test_a_refusal_leaves_the_rest_of_its_group_alone(bench: Bench) -> None:
    refused, done = await in_one_group(
        bench, performing(ADD_SPORT, "S1"), performing(viewer("S1"), "S1")
    )

    assert isinstance(refused, Refused)
    assert isinstance(done, Done)
    assert (await bench.subscription("S1")).revision == 1


async def test_a_command_that_breaks_leaves_the_rest_of_its_group_alone(bench: Bench) -> None:
    first, broken, second = await in_one_group(
        bench, performing(viewer("S1"), "S1"), Break(), performing(ADD_SPORT, "S1")
    )

    assert isinstance(first, Done)
    assert isinstance(broken, ZeroDivisionError)
    assert isinstance(second, Done)
    assert (await bench.subscription("S1")).revision == 2


async def test_a_listener_that_fails_keeps_neither_callers_nor_other_listeners_waiting(
    bench: Bench,
) -> None:
    ready: list[str] = []

    def fail(_: Notice) -> None:
        raise ZeroDivisionError

    bench.store.listeners.committed += [fail, lambda notice: ready.extend(notice.ready)]
    await bench.become(viewer("S1"))

    assert ready == ["SAT"]


async def test_a_database_that_cannot_be_written_is_unavailable(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    killing = f"{sql.ADD_ACTION.postgres} WHERE pg_terminate_backend(pg_backend_pid())"
    gone = replace(
        sql.ADD_ACTION, sqlite="INSERT INTO a_table_that_is_gone VALUES (?)", postgres=killing
    )
    monkeypatch.setattr(sql, "ADD_ACTION", gone)
    monkeypatch.setattr(sql, "WRITES", (*sql.WRITES, gone))
    with pytest.raises(Refused) as refused:
        await bench.become(viewer("S1"))

    assert refused.value.reason is Reason.STORE_UNAVAILABLE
    monkeypatch.undo()
    await bench.become(viewer("S1"))


async def test_a_request_made_and_ended_in_one_group_is_not_pending(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.become(viewer("S2"))
    first, second = await bench.claim("SAT")
    accepted, done, rejected = await in_one_group(
        bench,
        answer(bench, first, ResponseStatus.ACCEPTED),
        performing(ADD_NEWS, "S2"),
        refuse(second),
    )

    assert accepted[0].code is ResponseCode.APPLIED
    assert rejected.state is RequestState.REJECTED
    assert isinstance(done, Done)
    aggregate = (await bench.subscription("S2")).aggregate
    pending = {p.number for link in aggregate.links for p in link.queue}
    stored = {r.number for r in await bench.requests() if r.state is RequestState.PENDING}
    assert stored == pending
    assert len(await bench.requests()) > 2


async def test_an_action_performed_and_rejected_in_one_group_is_rejected(bench: Bench) -> None:
    await bench.become(viewer("S1"))
    await bench.become(viewer("S2"))
    await bench.accept_all("SAT")
    await bench.perform(ADD_SPORT, "S1")
    await bench.perform(ADD_STREAM, "S2")
    (first,) = await bench.claim("SAT")
    (second,) = await bench.claim("WEB")
    _, done, _ = await in_one_group(
        bench,
        answer(bench, first, ResponseStatus.ACCEPTED),
        performing(ADD_NEWS, "S2"),
        refuse(second),
    )
    await bench.accept_all("SAT")

    assert isinstance(done, Done)
    assert (await bench.action(done.action.id)).state is ActionState.SETTLED


async def test_nothing_is_taken_on_once_the_store_closes(bench: Bench) -> None:
    await bench.store.close()
    with pytest.raises(Refused) as refused:
        await bench.become(viewer("S1"))

    assert refused.value.reason is Reason.DRAINING


@pytest.mark.parametrize(
    "command",
    [
        lambda: RefuseItem(Refused(Reason.INVALID_FIELD, "no name")),
        lambda: performing(ADD_NEWS, "S9"),
    ],
    ids=["malformed", "refused"],
)
async def test_a_refused_command_leaves_nothing_in_memory(
    bench: Bench, command: Callable[[], Command[Any]]
) -> None:
    def alive() -> int:
        gc.collect()
        return sum(isinstance(each, Transaction) for each in gc.get_objects())

    before = alive()
    for _ in range(10):
        with pytest.raises(Refused):
            await bench.store.do(command())
    assert alive() < before + 5


async def test_commands_of_one_subscription_keep_their_order_if_the_first_is_blocked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.become(viewer("S1"))
    groups: Any = bench.store._writer._groups  # noqa: SLF001 - the first command gets no lock once
    commit, first, second = groups.commit, performing(ADD_SPORT, "S1"), performing(ADD_NEWS, "S1")
    locked, done = [first], list[Command[Any]]()

    def commit_unless_locked(group: Sequence[Asked[Any]], **options: Any) -> Notice:
        if [asked.command for asked in group] == locked:
            locked.clear()
            raise Locked
        notice: Notice = commit(group, **options)
        done.extend(asked.command for asked in group)
        return notice

    monkeypatch.setattr(groups, "commit", commit_unless_locked)
    await in_one_group(bench, first, second, Break())

    assert [each for each in done if each in (first, second)] == [first, second]


async def test_claims_of_a_failed_group_begin_again_where_they_began(bench: Bench) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    claims = [
        Claim(provider="SAT", server=bench.store.server, demands=(one_request(stream),))
        for stream in ("first", "second")
    ]
    *shares, _ = await in_one_group(bench, *claims, BreakAtTheEnd())

    handed = [each.lane.subscription for (share,) in shares for each in share]
    assert handed == ["S1", "S2"]


async def test_an_item_that_was_released_in_the_group_is_free_after_the_group_has_read(
    bench: Bench,
) -> None:
    await bench.become(viewer("S1", draft=True))
    await bench.become(viewer("S3"))
    await bench.perform(ADD_SPORT, "S3", request_id="known")
    end, again = performing(Terminate(), "S1"), performing(ADD_SPORT, "S3", request_id="known")
    become = performing(viewer("S2", serial="card of S1"), "S2")
    await in_one_group(bench, end, again, become)

    (item,) = (await bench.subscription("S2")).aggregate.desired.items
    assert item.serial_number == "card of S1"


async def test_a_late_answer_takes_no_item_from_another_action_of_its_group(bench: Bench) -> None:
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    await bench.accept_all("SAT")
    late = await bench.cancelled_in_hand(ADD_DECODER, "S1")
    await bench.accept_all("SAT")
    await bench.perform(ADD_DECODER, "S2")
    verdict, sport = await in_one_group(
        bench, answer(bench, late, ResponseStatus.ACCEPTED), performing(ADD_SPORT, "S2")
    )

    assert [each.code for each in verdict] == [ResponseCode.STALE]
    assert isinstance(sport, Done), sport


async def test_a_late_answer_about_an_item_of_another_does_not_make_its_group_fail(
    bench: Bench,
) -> None:
    """The third subscription is refused the item, and the group must not run again for that."""
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    await bench.accept_all("SAT")
    late = await bench.cancelled_in_hand(ADD_DECODER, "S1")
    await bench.accept_all("SAT")
    await bench.perform(ADD_DECODER, "S2")
    sizes = list[int]()
    bench.store.listeners.committed.append(lambda notice: sizes.append(notice.tally.commands))
    accepted = answer(bench, late, ResponseStatus.ACCEPTED)
    _, refused = await in_one_group(bench, accepted, performing(ADD_DECODER, "S3"))

    assert isinstance(refused, Refused)
    assert refused.metadata["subscription"] == "S2"
    assert sizes == [1, 2]


def one_request(stream: str) -> Demand:
    return Demand(stream=stream, adapter="adapter", credit=lambda _: 1, lease_duration=30 * SECOND)


@dataclass(frozen=True, slots=True)
class BreakAtTheEnd(Break):
    def needs(self) -> Needs:
        return SEARCHES


async def test_a_claim_finds_older_requests_that_its_own_group_made_ready(bench: Bench) -> None:
    leases = list[Handed]()
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    for _ in range(3):
        leases += await bench.claim("SAT", credit=1)
    demand = Demand(stream="s", adapter="a", credit=lambda _: 1, lease_duration=30 * SECOND)
    claim = Claim(provider="SAT", server=bench.store.server, demands=(demand,))
    _, (claimed,) = await in_one_group(bench, Release(leases=(leases[0].lane.lease,)), claim)

    assert [handed.lane.subscription for handed in claimed] == ["S1"]
