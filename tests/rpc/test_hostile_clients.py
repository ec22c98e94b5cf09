"""Tests what clients without credentials can do with bytes that no gRPC library sends."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import DEFAULT, Mock

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from msgspec.structs import replace

from generic_provider import AsyncClient
from generic_provider_server import listening
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.listening import Listening
from support.certificates import Authority
from support.processes import Server
from support.raw_calls import RawConnection


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(listen="127.0.0.1:0", database=f"sqlite:///{tmp_path / 'store.db'}")


def send(address: str, path: bytes, tls: ssl.SSLContext | None = None) -> None:
    with RawConnection(address, tls=tls) as raw:
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


async def test_a_path_that_is_no_text_ends_no_server_with_tls(
    settings: Settings, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca")
    key, certificate = authority.pair("server")
    protected = replace(settings, tls_certificate=certificate, tls_key=key)
    tls = ssl.create_default_context(cafile=authority.ca)
    tls.set_alpn_protocols(["h2"])
    failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
    async with running(protected, on_gone=failed.set_result) as address:
        for _ in range(2):
            await asyncio.to_thread(send, address, b"/\xff", tls)
            async with AsyncClient(address, tls=authority.credentials()) as client:
                listed = asyncio.ensure_future(anext(client.list_providers(), None))
                await asyncio.wait((listed, failed), return_when=asyncio.FIRST_COMPLETED)
                assert not failed.done()
                assert await listed is None


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
    bind = Mock(wraps=listening._bind)  # noqa: SLF001 - to let one call fail
    bind.side_effect = [DEFAULT, OSError("the port is taken"), DEFAULT]
    monkeypatch.setattr(listening, "_bind", bind)
    async with running(settings, on_gone=failed.append) as address, AsyncClient(address) as client:
        await asyncio.to_thread(send, address, b"/\xff")
        assert [each async for each in client.list_providers()] == []
    assert (failed, bind.call_count) == ([], 3)


async def test_a_watcher_of_the_health_that_receives_nothing_makes_nobody_wait(
    settings: Settings,
) -> None:
    with ExitStack() as after_the_server:
        async with asyncio.timeout(10), running(settings) as address:
            raw = after_the_server.enter_context(RawConnection(address, window=0))
            raw.call(b"/grpc.health.v1.Health/Watch")
            await asyncio.to_thread(raw.read_until, b"grpc-accept-encoding")
            async with grpc.aio.insecure_channel(address) as channel:
                health: Any = health_pb2_grpc.HealthStub(channel)
                said = await health.Watch(health_pb2.HealthCheckRequest()).read()
    assert said.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_server_whose_port_is_taken_stops_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[Exception] = []
    async with asyncio.timeout(10), running(settings, on_gone=failed.append) as address:
        bind = Mock(side_effect=OSError("the port is taken"))
        monkeypatch.setattr(listening, "_bind", bind)
        monkeypatch.setattr(listening, "BIND_SECONDS", 60)
        await asyncio.to_thread(send, address, b"/\xff")
        while not bind.called:
            await asyncio.sleep(0.01)
    assert failed == []


async def test_a_second_address_that_is_taken_for_a_moment_does_not_cost_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed: list[Exception] = []
    listen = [("127.0.0.1:0", None), ("127.0.0.1:0", None)]
    served = Listening(listen, lambda _: None, port_shared=False, on_failed=failed.append)
    address = await served.start()
    bind = Mock(wraps=listening._bind)  # noqa: SLF001 - to let one call fail
    bind.side_effect = [DEFAULT, OSError("the port is taken"), DEFAULT, DEFAULT]
    monkeypatch.setattr(listening, "_bind", bind)
    monkeypatch.setattr(listening, "BIND_SECONDS", 0.5)

    await asyncio.to_thread(send, address, b"/\xff")
    while bind.call_count < 4 and not failed:
        await asyncio.sleep(0.01)
    await served.stop()
    assert failed == []


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
