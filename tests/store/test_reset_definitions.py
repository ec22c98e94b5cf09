from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from generic_provider_server.commands.reset_definitions import (
    CreateDefinition,
    DeleteDefinition,
    SetDefinitionState,
    Submit,
    UpdateDefinition,
)
from generic_provider_server.commands.reset_run_times import next_time
from generic_provider_server.domain.refusals import InvalidField, Reason, Refused
from generic_provider_server.domain.resets.records import (
    DefinitionState,
    ResetDefinition,
    RunState,
)
from generic_provider_server.domain.subscription.records import Who
from generic_provider_server.domain.values import Instant
from support.bench import Bench
from support.resets import OLEV, Runs


@pytest.fixture
def runs(bench: Bench) -> Runs:
    return Runs(bench)


async def test_a_recurring_run_begins_when_it_is_due_and_never_twice_at_a_time(runs: Runs) -> None:
    """The clock of these tests begins at 2027-01-15 08:00."""
    await runs.outage("S1")
    definition = await runs.define(cron="0 * * * *", time_zone="Europe/Tallinn")
    submitted, run = await runs.bench.store.do(
        Submit(id=definition.id, digest=b"", hold=True, who=OLEV)
    )
    assert run is None
    assert submitted.next_run_time is not None
    await runs.work()
    assert await _runs_of(runs, definition.id) == 0

    runs.bench.clock.advance(3_600)
    await runs.work()
    assert await _runs_of(runs, definition.id) == 1
    runs.bench.clock.advance(3_600)
    await runs.work()
    assert await _runs_of(runs, definition.id) == 1  # the first run is still held
    with pytest.raises(Refused) as refused:
        await runs.submit(definition)
    assert refused.value.reason is Reason.RUN_IN_PROGRESS

    (held,) = await runs.bench.store.read(
        lambda queries: list(
            queries.reset_runs(definition=0, provider="", states=(), before=0, limit=9)
        )
    )
    await runs.cancel(held)
    runs.bench.clock.advance(3_600)
    await runs.work()
    assert await _runs_of(runs, definition.id) == 2


async def _runs_of(runs: Runs, definition: int) -> int:
    found = await runs.bench.store.read(
        lambda queries: list(
            queries.reset_runs(definition=definition, provider="", states=(), before=0, limit=9)
        )
    )
    return len(found)


async def test_a_run_at_a_time_runs_once(runs: Runs) -> None:
    await runs.outage("S1")
    at = runs.bench.clock.now + 60_000_000
    definition = await runs.define(run_at=at)
    await runs.bench.store.do(Submit(id=definition.id, digest=b"", who=OLEV))
    await runs.work()
    assert await _runs_of(runs, definition.id) == 0
    runs.bench.clock.advance(61)
    await runs.work()
    await runs.work()
    assert await _runs_of(runs, definition.id) == 1


async def test_a_definition_is_edited_by_etag_and_a_new_version_once_it_was_used(
    runs: Runs,
) -> None:
    definition = await runs.define()
    store = runs.bench.store
    named = UpdateDefinition(
        id=definition.id, definition=_renamed(definition.definition, "b"), etag=definition.etag
    )
    edited = await store.do(named)
    assert (edited.version, edited.definition.name) == (1, "b")
    with pytest.raises(Refused) as refused:
        await store.do(
            UpdateDefinition(
                id=definition.id,
                definition=_renamed(definition.definition, "c"),
                etag=definition.etag,
            )
        )
    assert refused.value.reason is Reason.ETAG_MISMATCH

    run = await runs.submit(definition)
    await runs.work()
    edited = await store.do(
        UpdateDefinition(
            id=definition.id, definition=_renamed(definition.definition, "d"), etag=None
        )
    )
    assert (edited.version, edited.submitted) == (2, False)
    kept = await runs.get(run)
    assert (kept.version, kept.definition.name) == (1, "b")


async def test_the_request_id_of_a_deleted_definition_is_unknown(runs: Runs) -> None:
    definition = ResetDefinition(name="a", provider="SAT")
    create = CreateDefinition(definition=definition, digest=b"", request_id="r", who=OLEV)
    store = runs.bench.store
    first = await store.do(create)
    assert await store.do(create) == first
    await store.do(UpdateDefinition(id=first.id, definition=_renamed(definition, "b"), etag=None))
    await store.do(DeleteDefinition(id=first.id))

    second = await store.do(create)
    drop = runs.bench.ask(DeleteDefinition(id=second.id))
    third, _ = await asyncio.gather(runs.bench.ask(create), drop)
    assert len({first.id, second.id, third.id}) == 3
    assert await store.do(create) == third


async def test_a_definition_is_deleted_only_while_it_was_never_executed(runs: Runs) -> None:
    store = runs.bench.store
    unused, used = await runs.define(), await runs.define()
    await store.do(DeleteDefinition(id=unused.id))
    assert await store.read(lambda queries: queries.reset_definition(unused.id)) is None

    await runs.submit(used)
    with pytest.raises(Refused) as refused:
        await store.do(DeleteDefinition(id=used.id))
    assert refused.value.reason is Reason.RUN_NOT_EDITABLE


async def test_a_due_run_is_that_of_its_submitter_whoever_changed_the_state(runs: Runs) -> None:
    definition = await runs.define(cron="0 * * * *")
    mari = Who(performed_by="Mari")
    await runs.bench.store.do(Submit(id=definition.id, digest=b"", hold=True, who=mari))
    off, on = (
        SetDefinitionState(id=definition.id, state=state, who=OLEV)
        for state in (DefinitionState.NOT_EFFECTIVE, DefinitionState.EFFECTIVE)
    )
    await runs.bench.store.do(off)
    changed = await runs.bench.store.do(on)

    runs.bench.clock.advance(3_600)
    await runs.work()

    run = await runs.bench.store.read(lambda queries: queries.reset_run(1))
    assert run is not None
    assert (run.who, changed.who) == (mari, OLEV)


async def test_a_definition_whose_next_run_cannot_be_computed_stops_no_other_run(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a time zone can disappear when the operating system is updated."""
    await runs.outage("S1")
    gone = await runs.define(cron="0 * * * *", time_zone="Europe/Kyiv")
    good = await runs.define(cron="0 * * * *", time_zone="Europe/Tallinn")
    for definition in (gone, good):
        await runs.bench.store.do(Submit(id=definition.id, digest=b"", who=OLEV))

    def computed(cron: str, time_zone: str, *, after: Instant) -> Instant:
        known = "" if time_zone == "Europe/Kyiv" else time_zone
        return next_time(cron, known, after=after)

    module = "generic_provider_server.commands.reset_definitions"
    monkeypatch.setattr(f"{module}.next_time", computed)
    now = await runs.submit(await runs.define())
    runs.bench.clock.advance(3_600)
    resetting = runs.resetting()
    for _ in range(2):
        with pytest.raises(InvalidField, match="time zone"):
            await resetting.step()
    await resetting.finished()

    assert (await runs.get(now)).state is RunState.COMPLETED
    assert [await _runs_of(runs, each.id) for each in (gone, good)] == [0, 1]


async def test_no_run_begins_of_a_definition_that_is_not_effective(runs: Runs) -> None:
    store = runs.bench.store
    definition = await runs.define(cron="0 * * * *")
    await store.do(Submit(id=definition.id, digest=b"", who=OLEV))
    await store.do(SetDefinitionState(id=definition.id, state=DefinitionState.NOT_EFFECTIVE))
    runs.bench.clock.advance(7_200)
    await runs.work()
    assert await _runs_of(runs, definition.id) == 0
    with pytest.raises(Refused) as refused:
        await runs.submit(definition)
    assert refused.value.reason is Reason.RUN_NOT_EFFECTIVE

    again = await store.do(SetDefinitionState(id=definition.id, state=DefinitionState.EFFECTIVE))
    assert again.next_run_time is not None


async def test_submitting_again_with_the_same_request_id_begins_nothing(runs: Runs) -> None:
    definition = await runs.define()
    submit = Submit(id=definition.id, digest=b"x", request_id="r1", who=OLEV)
    _, first = await runs.bench.store.do(submit)
    assert first is not None
    await runs.work()
    _, second = await runs.bench.store.do(submit)
    assert second is not None
    assert (second.id, second.state) == (first.id, RunState.COMPLETED)


def _renamed(definition: ResetDefinition, name: str) -> ResetDefinition:
    return replace(definition, name=name)
