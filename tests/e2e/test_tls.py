"""The keys in `certificates` are for these tests and worth nothing elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from generic_provider import AsyncClient, Provider, ServerUnavailable
from generic_provider_server.app import running
from generic_provider_server.config import Settings

CERTIFICATES = Path(__file__).parent / "certificates"
CA = (CERTIFICATES / "ca.pem").read_bytes()
CRM = ((CERTIFICATES / "crm.key").read_bytes(), (CERTIFICATES / "crm.pem").read_bytes())


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    settings = Settings(
        listen="127.0.0.1:0",
        database=f"sqlite:///{tmp_path / 'x.db'}",
        tls_certificate=CERTIFICATES / "server.pem",
        tls_key=CERTIFICATES / "server.key",
        tls_client_ca=CERTIFICATES / "ca.pem",
    )
    async with running(settings) as served:
        yield served


async def test_the_name_in_a_clients_certificate_is_kept_as_the_caller(address: str) -> None:
    credentials = grpc.ssl_channel_credentials(CA, *CRM)
    async with AsyncClient(address, tls=credentials, performed_by="Ann") as client:
        made = await client.create_provider(Provider(code="P"))

    assert (made.performed_by, made.caller) == ("Ann", "crm")


async def test_a_client_without_a_certificate_is_not_let_in(address: str) -> None:
    credentials = grpc.ssl_channel_credentials(CA)
    async with AsyncClient(address, tls=credentials, timeout=timedelta(seconds=1)) as client:
        with pytest.raises(ServerUnavailable):
            await client.get_provider("P")


async def test_a_client_without_tls_is_not_let_in(address: str) -> None:
    async with AsyncClient(address, tls=False, timeout=timedelta(seconds=1)) as client:
        with pytest.raises(ServerUnavailable):
            await client.get_provider("P")
