"""Tests that each request is in the database or in one complete archive, although a server is
killed while it makes archives.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from generic_provider import Archive, ArchiveState, Client
from generic_provider.v1.request_service_pb2 import DownloadArchiveRequest
from generic_provider.v1.request_service_pb2_grpc import RequestServiceStub
from generic_provider_server.domain.archive import archive_id
from support.archives import contents_of, make_old
from support.copying import copying
from support.filling import fill
from support.fresh import dice
from support.processes import Server, wait_until
from support.soak import forms

SUBSCRIPTIONS = 500
REQUESTS = 1_500
"""The number of settled requests for each round."""

LONGEST = 0.5
"""The server is killed at most this many seconds after it began to work. The work of a round takes
longer than this time.
"""


@pytest.mark.timeout(600)
@forms("rounds", suite=1, soak=10)
def test_killed_at_random_an_archive_is_made_in_the_end(
    url: str, tmp_path: Path, rounds: int
) -> None:
    chance, requests = dice("killed archives"), REQUESTS * rounds
    folder = tmp_path / "archives"
    folder.mkdir()
    with Server(tmp_path, f"--archive-folder={folder}", database=url) as server:
        server.stop(signal.SIGTERM)
        fill(url, subscriptions=SUBSCRIPTIONS, settled=requests, blocked=0)
        make_old(url, days=100)
        everything = live(url)
        assert len(everything) == requests
        server.start()
        with Client(server.address) as client:
            asked = client.create_archive(created_before=datetime.now(UTC))
            for _ in range(rounds):
                wait_for_work(client, asked, folder, writing=chance.random() < 0.5)
                time.sleep(chance.uniform(0, LONGEST))
                server.stop(signal.SIGKILL)
                check(url, folder, everything)
                server.start()
            wait_until(lambda: is_made(client, asked), what="the archive is made")
            made = client.get_archive(asked.id)
        assert made.state == ArchiveState.COMPLETED, made.message
        assert made.requests_archived == made.requests_total == requests
    assert live(url) == set()
    check(url, folder, everything)


def test_a_server_stops_although_a_file_cannot_be_read_for_a_long_time(tmp_path: Path) -> None:
    folder, url = tmp_path / "archives", f"sqlite:///{tmp_path / 'generic-provider.db'}"
    with Server(tmp_path, f"--archive-folder={folder}") as server:
        server.stop(signal.SIGTERM)
        fill(url, subscriptions=2, settled=2, blocked=0)
        make_old(url, days=100)
        server.start()
        with Client(server.address) as client:
            asked = client.create_archive(created_before=datetime.now(UTC))
            wait_until(lambda: is_made(client, asked), what="the archive is made")
            file = folder / client.get_archive(asked.id).file
            file.unlink()
            os.mkfifo(file)
            download = RequestServiceStub(client.channel).DownloadArchive
            with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
                list(download(DownloadArchiveRequest(archive=asked.id), timeout=0.5))
        assert server.stop(signal.SIGTERM) == 0


def wait_for_work(client: Client, archive: Archive, folder: Path, *, writing: bool) -> None:
    """Waits until a server has continued the archive, or the archive is completed. A server has
    continued the archive when the server has removed requests from the database or, if `writing`,
    has begun a file.
    """

    def progress() -> tuple[int, int]:
        parts = len([*folder.glob(".Z*.part")]) if writing else 0
        return parts, client.get_archive(archive.id).requests_archived

    before = progress()
    wait_until(lambda: progress() != before or is_made(client, archive), what="the archive grows")


def is_made(client: Client, archive: Archive) -> bool:
    return client.get_archive(archive.id).state != ArchiveState.CREATING


def live(url: str) -> set[int]:
    with closing(copying(url)) as database:
        return {number for (number,) in database.run("SELECT number FROM request").fetchall()}


def check(url: str, folder: Path, everything: set[int]) -> None:
    """Checks that each request is in the database or in a file, and in both only while its archive
    is not completed.
    """
    with closing(copying(url)) as database:
        archived = dict(database.run("SELECT number, archive FROM archived").fetchall())
        creating = {
            archive_id(number)
            for (number,) in database.run("SELECT number FROM archive WHERE state = 1").fetchall()
        }
    still = live(url)
    assert still | archived.keys() == everything
    assert not still & archived.keys()
    holding = Counter[int]()
    for file in folder.glob("Z*"):
        requests, archive = contents_of(file).requests, file.name.split("-")[0]
        assert len(requests) == len(set(requests))
        assert archive in creating or not still & set(requests)
        assert {n for n in requests if n not in still} == {
            n for n, number in archived.items() if archive_id(number) == archive
        }
        holding.update(requests)
    assert all(holding[number] == 1 for number in archived)
