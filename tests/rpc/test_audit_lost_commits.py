"""If the connection to the database is lost at a commit, the audit trail has an entry of the
refusal, and also the entry of the change if the database has made the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from generic_provider import ErrorReason
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from generic_provider_server.store.database.engine import StoreLost
from generic_provider_server.store.write.group import GroupCommit
from generic_provider_server.store.write.transaction import Transaction
from support.calling import Caller, Refusal
from support.losing import losing_commits

BECOME = subscriptions.PerformActionRequest(
    become_subscriber=subscriptions.BecomeSubscriber(type="DTH", provider="P")
)
BATCH = subscriptions.BatchPerformActionsRequest(actions=[BECOME, BECOME])


@contextmanager
def losing(monkeypatch: pytest.MonkeyPatch, *, made: bool) -> Iterator[None]:
    """Loses the database after each commit, or before it if `made` is False."""
    with ExitStack() as stack:
        if made:
            stack.enter_context(losing_commits(monkeypatch))
        else:
            patched = stack.enter_context(monkeypatch.context())
            patched.setattr(Transaction, "finish", lose)
        yield


def lose(*_: object, **__: object) -> None:
    raise StoreLost("the connection was lost")


async def entries_of(caller: Caller, method: str) -> list[tuple[str, str, int, int]]:
    """Returns the reason, the subscription and the counts of the entries of the last second."""
    await asyncio.sleep(1)
    wanted = requests.ListAuditEntriesRequest(methods=[method])
    while isinstance(answer := await caller.call("ListAuditEntries", wanted), Refusal):
        await asyncio.sleep(0.1)
    return sorted(
        (ErrorReason.name_of(e.reason) if e.reason else "", e.subscription, e.done, e.refused)
        for e in answer.entries
    )


@pytest.mark.parametrize("made", [True, False])
async def test_an_action_and_its_refusal_have_an_entry_each(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, *, made: bool
) -> None:
    with losing(monkeypatch, made=made):
        refusal = await caller.call("PerformAction", BECOME)

    assert refusal.reason == "STORE_UNAVAILABLE"

    changes = [("", "S0000000001", 1, 0)] if made else []
    assert await entries_of(caller, "PerformAction") == [
        *changes,
        ("STORE_UNAVAILABLE", "", 0, 1),
    ]


@pytest.mark.parametrize("made", [True, False])
async def test_the_actions_of_a_batch_whose_outcome_is_unknown_are_counted(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, *, made: bool
) -> None:
    with losing(monkeypatch, made=made):
        await caller.call("BatchPerformActions", BATCH)

    changes = [("", "", 2, 0)] if made else []
    assert await entries_of(caller, "BatchPerformActions") == [
        *changes,
        ("STORE_UNAVAILABLE", "", 0, 2),
    ]


async def test_a_batch_that_finds_no_database_has_only_the_entry_of_its_refusals(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(GroupCommit, "commit", lose)
        await caller.call("BatchPerformActions", BATCH)

    assert await entries_of(caller, "BatchPerformActions") == [("STORE_UNAVAILABLE", "", 0, 2)]
