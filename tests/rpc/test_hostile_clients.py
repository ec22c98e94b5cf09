"""What clients can do that have no credentials and send what no gRPC library sends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest.mock import DEFAULT, Mock

import pytest

from generic_provider import AsyncClient
from generic_provider_server import listening
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from support.processes import Server
from support.raw_calls import RawConnection


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(listen="127.0.0.1:0", database=f"sqlite:///{tmp_path / 'store.db'}")


def send(address: str, path: bytes) -> None:
    with RawConnection(address) as raw:
        raw.call(path)
        raw.read_until(b"never sent")


async def test_a_path_that_is_no_text_cuts_connections_but_the_server_serves_on(
    settings: Settings,
) -> None:
    failed: list[Exception] = []
    async with running(settings, on_gone=failed.append) as address, AsyncClient(address) as client:
        for _ in range(3):
            await asyncio.to_thread(send, address, b"/\xff")
            assert [each async for each in client.list_providers()] == []
    assert failed == []


async def test_a_server_that_cannot_begin_again_on_its_address_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
    async with running(settings, on_gone=failed.set_result) as address:
        monkeypatch.setattr(listening, "_bind", Mock(side_effect=OSError("the port is taken")))
        monkeypatch.setattr(listening, "BIND_SECONDS", 0)
        await asyncio.to_thread(send, address, b"/\xff")
        assert str(await failed) == "the port is taken"


async def test_a_port_that_is_taken_for_a_moment_is_tried_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[Exception] = []
    bind = Mock(wraps=listening._bind)  # noqa: SLF001 - the real one succeeds in the end
    bind.side_effect = [DEFAULT, OSError("the port is taken"), DEFAULT]
    monkeypatch.setattr(listening, "_bind", bind)
    async with running(settings, on_gone=failed.append) as address, AsyncClient(address) as client:
        await asyncio.to_thread(send, address, b"/\xff")
        assert [each async for each in client.list_providers()] == []
    assert (failed, bind.call_count) == ([], 3)


def test_the_log_shows_no_token_that_is_no_text_and_no_flood(tmp_path: Path) -> None:
    check = b"/grpc.health.v1.Health/Check"
    with Server(tmp_path) as server:
        for _ in range(20):
            with RawConnection(server.address) as raw:
                raw.call(check, authorization=b"Bearer s3cret\xff")
                raw.read_until(b"grpc-status")
            with RawConnection(server.address) as raw:
                raw.call(check, message=b"\0\0\0\0\2\xff\xff")
                raw.read_until(b"grpc-status")
        log = server.log.read_text()

    assert "s3cret" not in log
    assert log.count("metadata of a call is not UTF-8") == 1
    assert log.count("DecodeError] raised by servicer method") == 1
