from __future__ import annotations

import asyncio
from threading import Event

import pytest

from generic_provider_server.commands.archive import DeleteArchive
from generic_provider_server.commands.cancel_or_resolve import CancelRequest
from generic_provider_server.domain.actions import ChangeSubscriber
from generic_provider_server.domain.archive import ArchiveState
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.values import Account, RequestState
from generic_provider_server.domain.verdicts import ResponseCode, ResponseStatus
from generic_provider_server.store.archives.file import ArchiveWriter
from support.archives import DAY, Archivist, actions, numbers, rejected
from support.bench import Bench
from support.documents import with_document
from support.examples import ADD_SPORT, ADD_STREAM, REMOVE_SPORT, viewer

RENAMED = ChangeSubscriber(holder=Account(number="H-S1", name="Mari Mets"))


async def test_what_is_old_and_settled_leaves_the_tables_for_a_file(
    bench: Bench, archivist: Archivist
) -> None:
    old = await bench.become(viewer("S1"))
    more = await bench.perform(ADD_SPORT, "S1")
    await bench.accept_all("SAT")
    bench.clock.advance(10 * DAY)
    young = await bench.perform(REMOVE_SPORT, "S1")
    await bench.accept_all("SAT")
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
    await bench.accept_all("SAT")
    await bench.accept_all("WEB")
    half = await bench.perform(RENAMED, "S1")
    await bench.accept_all("SAT")
    bench.clock.advance(3 * DAY)
    young = await bench.become(viewer("S2"))
    await bench.accept_all("SAT")
    bench.clock.advance(DAY)

    await archivist.make()

    assert await numbers(bench) == [*half.action.requests, *young.action.requests]
    assert len(half.action.requests) == 2


async def test_the_last_error_of_a_link_stays_until_there_is_a_later_one(
    bench: Bench, archivist: Archivist
) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    (first,) = await rejected(bench)
    bench.clock.advance(3 * DAY)
    await archivist.make()
    assert await numbers(bench) == [first]

    (second,) = await rejected(bench)
    bench.clock.advance(3 * DAY)
    archive = await archivist.make()
    assert archivist.contents(archive).requests == [first]
    assert await numbers(bench) == [second]


async def test_the_refused_requests_of_a_subscription_that_cannot_be_read_stay(
    bench: Bench, archivist: Archivist, url: str
) -> None:
    """The subscription cannot be read, so nobody knows whether a link names one of the refused
    requests in its last error.
    """
    for number in ("S1", "S2"):
        await bench.become(viewer(number))
    await bench.accept_all("SAT")
    (kept,) = await rejected(bench)
    document = await with_document(bench, url, "S1", b"{}")
    bench.clock.advance(3 * DAY)
    archive = await archivist.make()

    assert archive.state is ArchiveState.COMPLETED
    assert await numbers(bench) == [kept]
    await with_document(bench, url, "S1", document)
    await bench.store.close()


async def test_an_action_is_archived_with_the_last_of_its_requests(
    bench: Bench, archivist: Archivist
) -> None:
    await bench.become(viewer("S1"))
    await bench.perform(ADD_STREAM, "S1")
    for provider in ("SAT", "WEB"):
        await bench.accept_all(provider)
    both = await bench.perform(RENAMED, "S1", request_id="order-1")
    for provider in ("SAT", "WEB"):
        await bench.accept_all(provider)
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

    assert await archivist.holding([number]) == {number: archive}
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


async def test_archives_that_hold_a_subscription_are_named_until_they_are_deleted(
    bench: Bench, archivist: Archivist
) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    bench.clock.advance(3 * DAY)
    one = await archivist.make()
    await bench.perform(ADD_SPORT, "S1")
    await bench.accept_all("SAT")
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
    await bench.accept_all("SAT")
    bench.clock.advance(3 * DAY)
    await archivist.make()

    second = await bench.perform(ADD_SPORT, "S1", request_id="order-1")
    assert not second.repeated
    assert second.action.id > first.action.id


async def test_a_folder_that_hangs_while_a_file_is_written_does_not_delay_the_stop(
    bench: Bench, archivist: Archivist, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.become(viewer("S1"))
    await bench.accept_all("SAT")
    bench.clock.advance(3 * DAY)
    await archivist.ask()
    began, goes_on, closed = Event(), Event(), Event()
    close = ArchiveWriter.close

    def hang(*_: object) -> None:
        began.set()
        goes_on.wait()

    def close_after_write(writer: ArchiveWriter) -> None:
        goes_on.wait()
        close(writer)
        closed.set()

    monkeypatch.setattr(ArchiveWriter, "add", hang)
    monkeypatch.setattr(ArchiveWriter, "close", close_after_write)
    working = asyncio.create_task(archivist.work())
    assert await asyncio.to_thread(began.wait, 20)
    working.cancel()
    await asyncio.wait([working])
    assert not closed.is_set()

    goes_on.set()
    assert await asyncio.to_thread(closed.wait, 20)
