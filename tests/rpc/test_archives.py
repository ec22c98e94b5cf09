from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from generic_provider import (
    Archive,
    ArchiveFolderNotWritable,
    ArchiveNotFound,
    ArchiveState,
    AsyncClient,
    ChecksumMismatch,
    InvalidField,
    ProvisioningResponse,
    RequestNotFound,
    ResetRunDefinition,
    ResetRunNotFound,
    ResponseCode,
    ResponseStatus,
    actions,
)
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import reset_service_pb2 as resets
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from generic_provider.v1.provisioning_service_pb2 import SubscriptionRequests
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.domain.archive import ArchiveRecord
from generic_provider_server.store.archives.folder import ArchiveFolder
from support.archives import make_old
from support.calling import Caller

NOW = datetime.now(UTC)
MANY = 50
"""More downloads than the event loop has threads."""


@pytest.fixture
async def client(caller: Caller, address: str) -> AsyncIterator[AsyncClient]:
    del caller  # the fixture has set the provider up
    async with AsyncClient(address, performed_by="olev") as client:
        yield client


@pytest.fixture
async def answer(client: AsyncClient, url: str) -> ProvisioningResponse:
    """Returns the answer to the only request, which is a request of S1 and was settled 100 days
    ago.
    """
    items = [("MAIN", goods, "1") for goods in ("SMARTCARD", "DECODER")]
    become = actions.BecomeSubscriber(type="DTH", provider="P", items=items)
    await client.perform(become, subscription="S1")
    (lease,) = (await client.pull("P", adapter="a")).subscriptions
    (answer,) = _accepted(lease)
    await client.send_responses("P", responses=[answer])
    make_old(url, days=100)
    return answer


def _accepted(lease: SubscriptionRequests) -> list[ProvisioningResponse]:
    return [
        ProvisioningResponse(
            request=request.number,
            lease_token=lease.lease_token,
            status=ResponseStatus.ACCEPTED,
        )
        for request in lease.requests
    ]


@pytest.fixture
async def archive(client: AsyncClient, answer: ProvisioningResponse) -> Archive:
    assert answer.request
    return await _made(client)


async def _made(client: AsyncClient) -> Archive:
    archive = await client.create_archive(created_before=NOW)
    assert archive.state == ArchiveState.CREATING
    while archive.state == ArchiveState.CREATING:
        await asyncio.sleep(0.02)
        archive = await client.get_archive(archive.id)
    return archive


async def downloaded(client: AsyncClient, archive: Archive, *, offset: int = 0) -> bytes:
    pieces = client.download_archive(archive.id, offset=offset)
    return b"".join([piece async for piece in pieces])


async def test_an_archive_is_made_in_the_background(client: AsyncClient, archive: Archive) -> None:
    assert archive.state == ArchiveState.COMPLETED, archive.message
    assert archive.requests_archived == archive.requests_total == 1
    assert archive.performed_by == "olev"
    assert archive.first_create_time == archive.last_create_time
    assert [each async for each in client.list_archives()] == [archive]
    assert [each async for each in client.list_archives(subscription="S1")] == [archive]
    assert [each async for each in client.list_archives(subscription="S2")] == []
    assert [each async for each in client.list_archives(provider="P")] == []
    assert [each async for each in client.list_archives(state="FAILED")] == []
    assert [each async for each in client.list_actions()] == []


async def test_its_file_is_downloaded_from_any_offset(
    client: AsyncClient, archive: Archive
) -> None:
    whole = await downloaded(client, archive)
    assert len(whole) == archive.size_bytes
    assert hashlib.sha256(whole).hexdigest() == archive.checksum
    assert await downloaded(client, archive, offset=100) == whole[100:]
    assert await downloaded(client, archive, offset=len(whole)) == b""
    with pytest.raises(InvalidField):
        await downloaded(client, archive, offset=len(whole) + 1)


async def test_who_looks_for_what_was_archived_is_told_where_it_is(
    caller: Caller, client: AsyncClient, archive: Archive, answer: ProvisioningResponse
) -> None:
    with pytest.raises(RequestNotFound) as missing:
        await client.get_request(answer.request)
    assert missing.value.metadata == {"request": answer.request, "archive": archive.id}
    filtered = requests.ListRequestsRequest(subscription="S1")
    assert (await caller.call("ListRequests", filtered)).archives == [archive.id]
    assert not (await caller.call("ListRequests", requests.ListRequestsRequest())).archives
    of_actions = subscriptions.ListActionsRequest(subscription="S1")
    assert (await caller.call("ListActions", of_actions)).archives == [archive.id]
    (result,) = await client.send_responses("P", responses=[answer])
    assert result.code == ResponseCode.DUPLICATE


@pytest.mark.usefixtures("answer")
async def test_who_looks_for_an_archived_reset_run_is_told_where_its_requests_are(
    caller: Caller, client: AsyncClient, url: str
) -> None:
    definition = await client.create_reset_run_definition(
        ResetRunDefinition(name="night", provider="P", full=True)
    )
    run = (await client.submit_reset_run_definition(definition.id)).reset_run
    assert [each async for each in client.watch_reset_run(run.id)][-1].requests_pending
    (lease,) = (await client.pull("P", adapter="a")).subscriptions
    await client.send_responses("P", responses=_accepted(lease))
    make_old(url, days=100)
    archive = await _made(client)

    with pytest.raises(ResetRunNotFound) as missing:
        await client.get_reset_run(run.id)
    assert missing.value.metadata == {"reset_run": run.id, "archive": archive.id}
    assert str(missing.value).endswith(f"its last requests are in archive {archive.id}")
    restored = ResetRunDefinition(name="restored", provider="P")
    restored.platform_restored_to.FromDatetime(NOW - timedelta(days=1_000))
    preview = resets.PreviewResetRunRequest(definition_fields=restored)
    refusal = await caller.call("PreviewResetRun", preview)
    assert (refusal.reason, archive.id in refusal.message) == ("INVALID_FIELD", True)
    assert "a run with full sends all elements again" in refusal.message

    await client.delete_archive(archive.id, checksum=archive.checksum)
    with pytest.raises(ResetRunNotFound) as deleted:
        await client.get_reset_run(run.id)
    assert deleted.value.metadata == {**missing.value.metadata, "deleted": "true"}
    assert str(deleted.value).endswith(f"were in archive {archive.id}, which is deleted")
    refusal = await caller.call("PreviewResetRun", preview)
    assert f"were in archive {archive.id}, which is deleted" in refusal.message


async def test_a_repeat_of_a_reset_names_the_archive_of_its_requests(
    client: AsyncClient, answer: ProvisioningResponse, url: str
) -> None:
    assert answer.request
    (created,) = (await client.reset_subscription("S1", recreate=True, request_id="again")).requests
    (again,) = (await client.reset_subscription("S1", recreate=True, request_id="again")).requests
    assert again.number == created.number
    while leases := (await client.pull("P", adapter="a")).subscriptions:
        for lease in leases:
            await client.send_responses("P", responses=_accepted(lease))
    make_old(url, days=100)
    archive = await _made(client)
    with pytest.raises(RequestNotFound) as missing:
        await client.reset_subscription("S1", recreate=True, request_id="again")
    assert missing.value.metadata == {"request": created.number, "archive": archive.id}


async def test_a_deleted_archive_is_gone_for_good(
    client: AsyncClient, archive: Archive, answer: ProvisioningResponse, tmp_path: Path
) -> None:
    with pytest.raises(ChecksumMismatch):
        await client.delete_archive(archive.id, checksum="0" * 64)
    assert (tmp_path / archive.file).exists()
    for _ in range(2):
        deleted = await client.delete_archive(archive.id, checksum=archive.checksum)
        assert deleted.state == ArchiveState.DELETED
        assert deleted.message.startswith("deleted by olev, ")
    assert not (tmp_path / archive.file).exists()
    with pytest.raises(ArchiveNotFound) as missing:
        await downloaded(client, archive)
    assert missing.value.metadata == {"archive": archive.id, "state": "DELETED"}
    with pytest.raises(RequestNotFound) as request:
        await client.get_request(answer.request)
    assert request.value.metadata["deleted"] == "true"
    (result,) = await client.send_responses("P", responses=[answer])
    assert result.code == ResponseCode.DUPLICATE


async def test_an_archive_on_a_share_that_is_not_mounted_is_not_deleted(
    client: AsyncClient, archive: Archive, tmp_path: Path
) -> None:
    file = tmp_path / archive.file
    elsewhere = file.rename(tmp_path.with_name("share"))
    with pytest.raises(ArchiveNotFound, match="is the share mounted"):
        await client.delete_archive(archive.id, checksum=archive.checksum)
    (shown,) = [each async for each in client.list_archives()]
    assert shown.state == ArchiveState.COMPLETED
    elsewhere.rename(file)
    deleted = await client.delete_archive(archive.id, checksum=archive.checksum)
    assert deleted.state == ArchiveState.DELETED
    assert not file.exists()


async def test_a_deletion_that_was_interrupted_is_finished_by_a_repeat(
    client: AsyncClient, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot_be_removed(_: Path, *, missing_ok: bool) -> None:
        del missing_ok
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(ArchiveFolder, "check_removable", lambda *_: None)
        patched.setattr(Path, "unlink", cannot_be_removed)
        with pytest.raises(ArchiveFolderNotWritable):
            await client.delete_archive(archive.id, checksum=archive.checksum)
    assert (await client.get_archive(archive.id)).state == ArchiveState.DELETED
    await client.delete_archive(archive.id, checksum=archive.checksum)
    assert not (tmp_path / archive.file).exists()


async def test_a_deletion_succeeds_if_another_call_deletes_the_archive_meanwhile(
    client: AsyncClient, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, checks, deleted = ArchiveFolder.check_removable, list[object](), threading.Event()

    def check_later(folder: ArchiveFolder, record: ArchiveRecord) -> None:
        checks.append(record)
        if len(checks) == 1:
            assert deleted.wait(20)
        check(folder, record)

    monkeypatch.setattr(ArchiveFolder, "check_removable", check_later)
    first = asyncio.create_task(client.delete_archive(archive.id, checksum=archive.checksum))
    async with asyncio.timeout(20):
        while not checks:
            await asyncio.sleep(0.01)
    await client.delete_archive(archive.id, checksum=archive.checksum)
    deleted.set()
    assert (await first).state == ArchiveState.DELETED


async def test_a_file_that_is_altered_cut_short_or_gone_is_no_download(
    client: AsyncClient, archive: Archive, tmp_path: Path
) -> None:
    file = tmp_path / archive.file
    whole = file.read_bytes()
    for wrong in (whole[:-1], whole + b"\0", bytes([whole[0] ^ 1]) + whole[1:]):
        file.write_bytes(wrong)
        with pytest.raises(ChecksumMismatch, match=archive.file):
            await downloaded(client, archive)
    file.unlink()
    with pytest.raises(ArchiveNotFound, match=archive.file):
        await downloaded(client, archive)


async def test_a_server_that_cannot_write_archives_says_so_at_the_call(
    url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "a file"
    folder.touch()
    settings = Settings(listen="127.0.0.1:0", database=url, archive_folder=folder)
    async with running(settings) as address, AsyncClient(address) as client:
        with pytest.raises(ArchiveFolderNotWritable, match="a file"):
            await client.create_archive(created_before=NOW)
        assert [each async for each in client.list_archives()] == []


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_on_postgresql_a_folder_has_to_be_given(url: str) -> None:
    settings = Settings(listen="127.0.0.1:0", database=url)
    async with running(settings) as address, AsyncClient(address) as client:
        with pytest.raises(ArchiveFolderNotWritable, match="--archive-folder"):
            await client.create_archive(created_before=NOW)


async def test_files_that_cannot_be_read_for_a_long_time_delay_nothing_else(
    client: AsyncClient, archive: Archive, tmp_path: Path
) -> None:
    file = tmp_path / archive.file
    file.unlink()
    os.mkfifo(file)
    async with asyncio.TaskGroup() as tasks:
        hanging = [tasks.create_task(downloaded(client, archive)) for _ in range(MANY)]
        await asyncio.sleep(0.1)
        assert (await client.get_provider("P")).code == "P"
        for task in hanging:
            task.cancel()
    file.open("wb").close()  # ends the threads that wait for a writer of the pipe
