"""Tests callers with certificates, and certificates that are replaced while the server runs."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from generic_provider import (
    AsyncClient,
    PermissionDenied,
    Provider,
    ServerUnavailable,
    Unauthenticated,
)
from generic_provider.certificates import expiry_of
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.pem import Certificates
from generic_provider_server.rpc import access
from generic_provider_server.services import rereading
from support.callers import allow, forbid
from support.certificates import Authority

SHORT = timedelta(seconds=1)


@dataclass
class House:
    address: str
    for_tokens: str
    authority: Authority
    callers: Path
    key: Path
    certificate: Path

    def client(self, credentials: grpc.ChannelCredentials, token: str = "") -> AsyncClient:
        return AsyncClient(self.address, tls=credentials, token=token, timeout=SHORT)


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(rereading, "CHECK_SECONDS", 0.05)
    authority = Authority(tmp_path / "ca")
    key, certificate = authority.pair("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        for_tokens = f"127.0.0.1:{free.getsockname()[1]}"
    callers = tmp_path / "callers.toml"
    allow(callers, "gateway", "operator", certificate="conax-gateway")
    settings = Settings(
        listen="127.0.0.1:0",
        database=f"sqlite:///{tmp_path / 'x.db'}",
        listen_tokens=for_tokens,
        callers=callers,
        tls_certificate=certificate,
        tls_key=key,
        tls_client_ca=authority.ca,
    )
    async with running(settings) as address:
        yield House(address, for_tokens, authority, callers, key, certificate)


async def test_a_certificate_proves_a_caller_and_a_token_takes_precedence(house: House) -> None:
    credentials = house.authority.credentials("conax-gateway")
    async with house.client(credentials) as client:
        assert (await client.create_provider(Provider(code="P"))).caller == "gateway"
    async with house.client(credentials, allow(house.callers, "crm", "crm")) as client:
        with pytest.raises(PermissionDenied) as denied:
            await until_known(client)
        assert denied.value.metadata["caller"] == "crm"


async def test_the_second_address_asks_for_a_token_and_for_no_certificate(house: House) -> None:
    credentials, token = house.authority.credentials(), allow(house.callers, "ann", "crm")
    for given, expected in (("", Unauthenticated), (token, PermissionDenied)):
        async with AsyncClient(house.for_tokens, tls=credentials, token=given) as client:
            with pytest.raises(expected):
                await (until_known(client) if given else client.get_provider("P"))


async def test_wrong_expired_and_removed_certificates_are_not_let_in(house: House) -> None:
    async with house.client(house.authority.credentials("somebody")) as client:
        with pytest.raises(Unauthenticated, match="the client certificate belongs to no known"):
            await client.get_provider("P")
    expired = house.authority.credentials("conax-gateway", days=-1)
    for credentials in expired, house.authority.credentials():
        async with house.client(credentials) as client:
            with pytest.raises(ServerUnavailable):
                await client.get_provider("P")
    async with house.client(house.authority.credentials("conax-gateway")) as client:
        watching = asyncio.ensure_future(anext(aiter(client.watch_events())))
        await client.create_provider(Provider(code="P"))
        forbid(house.callers, "gateway")
        with pytest.raises(Unauthenticated):
            await watching


async def test_an_existing_connection_does_not_outlive_its_certificate(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = house.authority.credentials("conax-gateway")
    pem = (house.authority.folder / "conax-gateway.pem").read_bytes()
    assert 8 < (expiry_of(pem) - time.time()) / 86_400 < 10
    async with house.client(credentials) as client:
        await anext(client.list_providers(), None)
        monkeypatch.setattr(access, "expiry_of", lambda _: time.time() - 1)
        with pytest.raises(Unauthenticated, match="the client certificate has expired"):
            await anext(client.list_providers(), None)


async def until_known(client: AsyncClient) -> None:
    """Repeats a call until the server knows the caller, because it has read the file of callers
    again.
    """
    while True:
        try:
            await client.get_provider("P")
        except Unauthenticated:
            await asyncio.sleep(0.02)


async def logged(logs: list[Any], text: str) -> None:
    while not any(text in str(each) for each in logs):
        await asyncio.sleep(0.01)


async def test_certificates_are_replaced_under_load_and_no_call_fails(house: House) -> None:
    """The clients accept the old and the new CA. They make calls on connections from before and
    from after the replacement.
    """
    newer = Authority(house.authority.folder.parent / "newer")
    own = [file.read_bytes() for file in house.authority.pair("conax-gateway")]
    both = house.authority.ca.read_bytes() + newer.ca.read_bytes()
    credentials = grpc.ssl_channel_credentials(both, *own)
    only_newer = grpc.ssl_channel_credentials(newer.ca.read_bytes(), *own)
    stopped = asyncio.Event()

    async def stay_connected() -> int:
        calls = 0
        async with house.client(credentials) as client:
            while not stopped.is_set():
                await anext(client.list_providers(), None)
                calls += 1
        return calls

    async def connect_again_and_again() -> int:
        calls = 0
        while not stopped.is_set():
            async with house.client(credentials) as client:
                await anext(client.list_providers(), None)
                calls += 1
        return calls

    load = [asyncio.create_task(stay_connected()) for _ in range(2)]
    load.append(asyncio.create_task(connect_again_and_again()))
    with capture_logs() as logs:
        good, old = newer.pair("server"), newer.pair("expired", days=-1)
        good[0].replace(house.key)
        await logged(logs, "are no pair of PEM files")
        good[1].replace(house.certificate)
        await logged(logs, "'read_again'")
        old[0].replace(house.key)
        old[1].replace(house.certificate)
        await logged(logs, "certificate has expired")
    async with house.client(only_newer) as client:
        await anext(client.list_providers(), None)
    stopped.set()
    assert min(await asyncio.gather(*load)) > 0


@pytest.mark.parametrize(
    ("days", "event"), [(90, ""), (9, "certificate_expires_soon"), (-1, "certificate_expired")]
)
def test_a_certificate_that_expires_soon_is_logged(tmp_path: Path, days: int, event: str) -> None:
    key, certificate = Authority(tmp_path / "ca").pair("server", days=days)
    with capture_logs() as logs:
        Certificates(certificate=certificate, key=key, ca=None).read()
    assert [each["event"] for each in logs] == [event] * bool(event)
