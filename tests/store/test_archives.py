from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from generic_provider_server.commands.archive import DeleteArchive
from generic_provider_server.commands.operate import CancelRequest
from generic_provider_server.commands.reset_definitions import Submit
from generic_provider_server.domain.actions import ChangeSubscriber
from generic_provider_server.domain.archive import ArchiveRecord, ArchiveState
from generic_provider_server.domain.lease import ResponseCode, ResponseStatus
from generic_provider_server.domain.refusals import InvalidField, Reason, Refused
from generic_provider_server.domain.resets.records import RunState
from generic_provider_server.domain.values import Account, RequestState
from generic_provider_server.services import archiving
from generic_provider_server.store.archives.file import DamagedArchive
from generic_provider_server.store.read import archivable, archivable_runs
from generic_provider_server.store.read.filters import ActionFilter
from support.archives import DAY, Archivist, contents_of, runs_inside
from support.bench import Bench
from support.examples import ADD_NEWS, ADD_SPORT, ADD_STREAM, REMOVE_SPORT, viewer
from support.resets import Runs

RENAMED = ChangeSubscriber(holder=Account(number="H-S1", name="Mari Mets"))


@pytest.fixture
def archivist(bench: Bench, tmp_path: Path) -> Archivist:
    return Archivist(bench, tmp_path / "archives")


async def actions(bench: Bench) -> list[int]:
    found = await bench.store.read(lambda r: r.actions(ActionFilter(), before=0, limit=100))
    return sorted(each.id for each in found)


async def numbers(bench: Bench) -> list[int]:
    return [each.number for each in await bench.requests()]


async def test_what_is_old_and_settled_leaves_the_tables_for_a_file(
    bench: Bench, archivist: Archivist
) -> None:
    old = await bench.become(viewer("S1"))
    more = await bench.perform(ADD_SPORT, "S1")
    await bench.drain("SAT")
    bench.clock.advance(10 * DAY)
    young = await bench.perform(REMOVE_SPORT, "S1")
    await bench.drain("SAT")
    bench.clock.advance(3 * DAY)

    archive = await archivist.make(days=5)

    assert archive.state is ArchiveState.COMPLETED
    requests = [*old.action.requests, *more.action.requests]
    assert archive.requests_archived == archive.requests_total == len(requests)
    assert archivist.contents(archive) == (requests, [old.action.id, more.action.id])
    assert await numbers(bench) == list(young.action.requests)
    assert await actions(bench) == [young.action.id]
    assert archive.size == (archivist.path / archive.file).stat().st_size
    assert [file.name for file in archivist.path.iterdir()] == [archive.file]


async def test_what_is_pending_unsettled_or_young_stays(bench: Bench, archivist: Archivist) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(ADD_STREAM, "S1")
    await bench.drain("SAT")
    await bench.drain("WEB")
    half = await bench.perform(RENAMED, "S1")
    await bench.drain("SAT")
    bench.clock.advance(3 * DAY)
    young = await bench.become(viewer("S2"))
    await bench.drain("SAT")
    bench.clock.advance(DAY)

    await archivist.make()

    assert await numbers(bench) == [*half.action.requests, *young.action.requests]
    assert len(half.action.requests) == 2


async def test_the_last_error_of_a_link_stays_until_there_is_a_later_one(
    bench: Bench, archivist: Archivist
) -> None:
    await bench.become(viewer("S1"))
    await bench.drain("SAT")
    (first,) = await _rejected(bench)
    bench.clock.advance(3 * DAY)
    await archivist.make()
    assert await numbers(bench) == [first]

    (second,) = await _rejected(bench)
    bench.clock.advance(3 * DAY)
    archive = await archivist.make()
    assert archivist.contents(archive).requests == [first]
    assert await numbers(bench) == [second]


async def _rejected(bench: Bench) -> tuple[int, ...]:
    done = await bench.perform(ADD_NEWS, "S1")
    (lease,) = await bench.claim("SAT")
    await bench.answer(lease, status=ResponseStatus.REJECTED, error_code="E1")
    return done.action.requests


async def test_an_action_is_archived_with_the_last_of_its_requests(
    bench: Bench, archivist: Archivist
) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(ADD_STREAM, "S1")
    for provider in ("SAT", "WEB"):
        await bench.drain(provider)
    both = await bench.perform(RENAMED, "S1", request_id="order-1")
    for provider in ("SAT", "WEB"):
        await bench.drain(provider)
    bench.clock.advance(3 * DAY)

    satellite = await archivist.make(provider="SAT")
    assert both.action.id not in archivist.contents(satellite).actions
    assert both.action.id in await actions(bench)
    web = await archivist.make(provider="WEB")
    assert both.action.id in archivist.contents(web).actions
    assert await actions(bench) == await numbers(bench) == []
    assert await bench.store.read(lambda queries: queries.action_of_call("order-1")) == 0


async def test_actions_without_requests_are_archived_with_those_of_all_providers(
    bench: Bench, archivist: Archivist
) -> None:
    await bench.stop_provider("SAT")
    drifted = await bench.become(viewer("S1"))
    assert drifted.action.requests == ()
    bench.clock.advance(3 * DAY)

    assert archivist.contents(await archivist.make(provider="SAT")) == ([], [])
    assert archivist.contents(await archivist.make()) == ([], [drifted.action.id])
    assert await actions(bench) == []


async def test_an_archived_request_is_known_for_ever(bench: Bench, archivist: Archivist) -> None:
    done = await bench.become(viewer("S1"))
    (lease,) = await bench.claim("SAT")
    await bench.answer(lease)
    await bench.become(viewer("S2"))
    (other,) = await bench.claim("SAT")
    bench.clock.advance(3 * DAY)
    archive = await archivist.make()
    (number,) = done.action.requests

    assert await archivist.holding(number) == archive
    assert (await bench.answer(lease)).code is ResponseCode.DUPLICATE
    conflict = await bench.answer(lease, status=ResponseStatus.REJECTED)
    assert (conflict.code, conflict.state) == (ResponseCode.CONFLICT, RequestState.COMPLETED)
    with pytest.raises(Refused) as refusal:
        await bench.store.do(CancelRequest(request=number, reason="x"))
    assert refusal.value.metadata["archive"] == archive.id
    assert (await bench.become(viewer("S3"))).action.requests > (number + 1,)
    assert other.requests[0].number == number + 1


async def test_an_answer_for_an_archived_request_needs_its_lease_token(
    bench: Bench, archivist: Archivist
) -> None:
    await bench.become(viewer("S1"))
    (lease,) = await bench.claim("SAT")
    await bench.answer(lease)
    await bench.become(viewer("S2"))
    (other,) = await bench.claim("SAT")
    bench.clock.advance(3 * DAY)
    await archivist.make()

    wrong = other.__class__(other.lane, "", 1, lease.requests, None)
    assert (await bench.answer(wrong)).code is ResponseCode.INVALID


async def test_a_reset_run_is_archived_with_the_last_of_its_requests(
    bench: Bench, archivist: Archivist
) -> None:
    runs = Runs(bench)
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    await bench.drain("SAT")
    run = await runs.run(full=True)
    first, second = await bench.claim("SAT")
    await bench.accept(first)
    await bench.pass_time(3 * DAY)
    assert archivist.runs_inside(await archivist.make()) == ([], [])
    assert len(await runs.entries(run)) == 2
    assert (await runs.settled(run)).completed == len(first.requests)

    await bench.drain("SAT")
    bench.clock.advance(3 * DAY)
    whole = await archivist.make()
    assert archivist.contents(whole).requests == [each.number for each in second.requests]
    assert archivist.runs_inside(whole) == ([run.id], [(run.id, "S1"), (run.id, "S2")])
    assert await stored_runs(bench) == await numbers(bench) == []
    assert await runs.entries(run) == []


async def test_a_reset_run_is_kept_with_the_last_error_of_a_link(
    bench: Bench, archivist: Archivist
) -> None:
    runs = Runs(bench)
    await runs.outage("S1")
    run = await runs.run()
    (lease,) = await bench.claim("SAT")
    await bench.answer(lease, status=ResponseStatus.REJECTED, error_code="E1")
    bench.clock.advance(3 * DAY)
    await archivist.make()
    assert await stored_runs(bench) == [run.id]

    await _rejected(bench)
    bench.clock.advance(3 * DAY)
    assert archivist.runs_inside(await archivist.make()).runs == [run.id]


async def test_only_runs_of_its_provider_that_ended_long_ago_are_in_an_archive(
    bench: Bench, archivist: Archivist
) -> None:
    runs = Runs(bench)
    await runs.outage("S1")
    await bench.drain("SAT")
    old, other = await runs.run(), await runs.run(provider="WEB")
    await bench.drain("SAT")
    bench.clock.advance(3 * DAY)
    held, young = await runs.run(hold=True), await runs.run()

    assert archivist.runs_inside(await archivist.make(provider="SAT")).runs == [old.id]
    assert archivist.runs_inside(await archivist.make()).runs == [other.id]
    assert await stored_runs(bench) == [held.id, young.id]


async def test_the_request_id_of_a_run_is_forgotten_with_the_run(
    bench: Bench, archivist: Archivist
) -> None:
    runs = Runs(bench)
    definition = await runs.define()
    submit = Submit(id=definition.id, digest=b"", request_id="night-1")
    (_, first), (_, again) = await bench.store.do(submit), await bench.store.do(submit)
    assert first is not None
    assert again == first
    await runs.work()
    bench.clock.advance(3 * DAY)
    await archivist.make()

    _, second = await bench.store.do(submit)
    assert second is not None
    assert second.id > first.id


async def stored_runs(bench: Bench) -> list[int]:
    found = await bench.store.read(
        lambda r: r.reset_runs(definition=0, provider="", states=(), before=0, limit=100)
    )
    return sorted(each.id for each in found)


async def test_a_reset_run_does_not_go_back_to_a_time_whose_requests_are_archived(
    bench: Bench, archivist: Archivist
) -> None:
    runs = Runs(bench)
    await bench.become(viewer("S1"))
    before = bench.clock.now
    await bench.drain("SAT")
    bench.clock.advance(3 * DAY)
    await archivist.make(provider="WEB")
    await runs.run(platform_restored_to=before)

    planned = await runs.run(platform_restored_to=before, hold=True)

    archive = await archivist.make(provider="SAT")
    with pytest.raises(InvalidField, match=archive.id):
        await runs.run(platform_restored_to=before)
    await runs.run(platform_restored_to=bench.clock.now)
    failed = await runs.approve(planned)
    assert failed.state is RunState.FAILED
    assert failed.message.endswith(f"are in archive {archive.id}")
    assert failed.requests_created == 0


async def test_archives_that_hold_a_subscription_are_named_until_they_are_deleted(
    bench: Bench, archivist: Archivist
) -> None:
    await bench.become(viewer("S1"))
    await bench.drain("SAT")
    bench.clock.advance(3 * DAY)
    one = await archivist.make()
    await bench.perform(ADD_SPORT, "S1")
    await bench.drain("SAT")
    bench.clock.advance(3 * DAY)
    two = await archivist.make()

    assert await bench.store.read(lambda queries: queries.archives_with("S1")) == [two.id, one.id]
    assert await bench.store.read(lambda queries: queries.archives_with("S2")) == []
    deleted = await bench.store.do(DeleteArchive(archive=one.number, checksum=one.checksum))
    assert await bench.store.read(lambda queries: queries.archives_with("S1")) == [two.id]
    assert await bench.store.read(lambda queries: queries.archive(one.number)) == deleted
    assert deleted.state is ArchiveState.DELETED


async def test_only_a_completed_archive_is_deleted_by_who_names_its_checksum(
    bench: Bench, archivist: Archivist
) -> None:
    archive = await archivist.make()
    asked = await archivist.ask()
    for record, checksum in ((archive, "0" * 64), (asked, asked.checksum)):
        with pytest.raises(Refused) as refusal:
            await bench.store.do(DeleteArchive(archive=record.number, checksum=checksum))
        assert refusal.value.reason is Reason.CHECKSUM_MISMATCH
    for _ in range(2):
        delete = DeleteArchive(archive=archive.number, checksum=archive.checksum)
        assert (await bench.store.do(delete)).state is ArchiveState.DELETED


async def test_a_repeat_of_the_call_makes_no_second_archive(archivist: Archivist) -> None:
    first = await archivist.ask(request_id="night-1")
    assert await archivist.ask(request_id="night-1") == first
    with pytest.raises(Refused) as refusal:
        await archivist.ask(request_id="night-1", days=7)
    assert refusal.value.reason is Reason.REQUEST_ID_REUSED


async def test_a_call_with_an_archived_request_id_is_a_new_one(
    bench: Bench, archivist: Archivist
) -> None:
    await bench.become(viewer("S1"))
    first = await bench.perform(ADD_SPORT, "S1", request_id="order-1")
    await bench.perform(REMOVE_SPORT, "S1")
    await bench.drain("SAT")
    bench.clock.advance(3 * DAY)
    await archivist.make()

    second = await bench.perform(ADD_SPORT, "S1", request_id="order-1")
    assert not second.repeated
    assert second.action.id > first.action.id


async def test_whoever_dies_at_whatever_step_a_request_is_live_or_in_one_complete_archive(
    bench: Bench, archivist: Archivist, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (archivable, archivable_runs):
        monkeypatch.setattr(module, "MOST_ROWS", 3)
    monkeypatch.setattr(archiving, "MOST_MOVED", 2)
    made: set[int] = set()
    runs, known = Runs(bench), Counter[int]()
    await bench.become(viewer("S1"))
    died, step = True, 0
    while died:
        step += 1
        for action in (ADD_SPORT, REMOVE_SPORT):
            await bench.perform(action, "S1")
        await bench.drain("SAT")
        run = await runs.run(full=True)
        await bench.drain("SAT")
        known[run.id] = len(await runs.entries(run))
        bench.clock.advance(3 * DAY)
        made |= set(await numbers(bench))
        archive = await archivist.ask()
        died = await archivist.work_until(step)
        await _check(bench, archivist, made)
        if run.id in await stored_runs(bench):
            assert len(await runs.entries(run)) == known[run.id]
        await archivist.work()
        assert (await archivist.now(archive)).state is ArchiveState.COMPLETED
        await _check(bench, archivist, made)
        assert await numbers(bench) == await stored_runs(bench) == []
        assert await runs.entries(run) == []
    assert step > 15
    files = [runs_inside(file) for file in archivist.path.glob("Z*")]
    assert Counter(run for file in files for run, _ in file.entries) == known
    assert Counter(run for file in files for run in file.runs) == Counter(set(known))


async def _check(bench: Bench, archivist: Archivist, made: set[int]) -> None:
    live = set(await numbers(bench))
    files = {
        file.name.split("-")[0]: contents_of(file).requests for file in archivist.path.glob("Z*")
    }
    for number in made:
        archive = await archivist.holding(number)
        assert (number in live) == (archive is None)
        holding = [archive for archive, requests in files.items() if number in requests]
        if archive:
            assert holding == [archive.id]


async def test_an_archive_that_cannot_be_written_fails_and_takes_nothing(
    bench: Bench, archivist: Archivist
) -> None:
    done = await bench.become(viewer("S1"))
    await bench.drain("SAT")
    bench.clock.advance(3 * DAY)
    asked = await archivist.ask()
    part = archivist.path / f".{asked.id}-{bench.store.server}.part"
    part.symlink_to(archivist.path / "nowhere" / "else")
    await archivist.work()

    failed = await archivist.now(asked)
    assert failed.state is ArchiveState.FAILED
    assert failed.message == "its file cannot be written: No such file or directory"
    assert await numbers(bench) == list(done.action.requests)
    assert (await archivist.make()).requests_archived == 1


async def test_a_file_altered_before_anything_was_taken_out_is_given_up(
    bench: Bench, archivist: Archivist
) -> None:
    done = await bench.become(viewer("S1"))
    await bench.drain("SAT")
    bench.clock.advance(3 * DAY)
    archive = await _written(archivist)
    _alter(archivist, archive)
    with pytest.raises(DamagedArchive):
        await archivist.work()

    failed = await archivist.now(archive)
    assert failed.state is ArchiveState.FAILED
    assert "is damaged" in failed.message
    assert await numbers(bench) == list(done.action.requests)
    assert list(archivist.path.iterdir()) == []


async def test_a_file_altered_later_holds_up_its_archive_until_it_is_as_it_was(
    bench: Bench, archivist: Archivist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "MOST_MOVED", 1)
    await bench.become(viewer("S1"))
    await bench.become(viewer("S2"))
    await bench.drain("SAT")
    bench.clock.advance(3 * DAY)
    archive = await _written(archivist, moved=2)
    whole = _alter(archivist, archive)
    for _ in range(2):
        with pytest.raises(DamagedArchive):
            await archivist.work()

    held_up = await archivist.now(archive)
    assert held_up.state is ArchiveState.CREATING
    assert "is damaged" in held_up.message
    assert len(await numbers(bench)) == 1
    (archivist.path / archive.file).write_bytes(whole)
    await archivist.work()
    assert (await archivist.now(archive)).state is ArchiveState.COMPLETED
    assert (await archivist.now(archive)).message == ""
    assert await numbers(bench) == []


async def _written(archivist: Archivist, *, moved: int = 0) -> ArchiveRecord:
    """One whose file has its name, and that many lines of it are taken out of the tables."""
    now, step = await archivist.ask(), 0
    while not now.checksum:
        step += 1
        await archivist.work_until(step)
        now = await archivist.now(now)
    published = 4 if archivist.bench.store.shared else 3
    await archivist.work_until(published + (1 + moved if moved else 0))
    now = await archivist.now(now)
    assert now.moved == moved
    return now


def _alter(archivist: Archivist, archive: ArchiveRecord) -> bytes:
    """Changes a byte; gives what was there."""
    file = archivist.path / archive.file
    whole = file.read_bytes()
    file.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    return whole
