"""Tests clients, adapters and servers with TLS. The keys in `certificates` are for tests only."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from generic_provider import (
    ActionState,
    Adapter,
    AsyncClient,
    Client,
    Distributor,
    Provider,
    ServerUnavailable,
    Service,
    TlsFiles,
    actions,
)
from generic_provider_server.app import running
from generic_provider_server.config import Settings
from generic_provider_server.pem import check_pem
from support.command_line import run

CERTIFICATES = Path(__file__).parent / "certificates"
CA = (CERTIFICATES / "ca.pem").read_bytes()
CRM = ((CERTIFICATES / "crm.key").read_bytes(), (CERTIFICATES / "crm.pem").read_bytes())


PROVIDER = Provider(
    code="P",
    distributors=[Distributor(code="M")],
    services=[Service(code="S", provider_service_id="1")],
)


class Pair(NamedTuple):
    certificate: Path
    key: Path


SERVER = Pair(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    async with running(_settings(tmp_path, "127.0.0.1:0", SERVER)) as served:
        yield served


async def test_the_name_in_a_clients_certificate_is_kept_as_the_caller(address: str) -> None:
    credentials = grpc.ssl_channel_credentials(CA, *CRM)
    async with AsyncClient(address, tls=credentials, performed_by="Ann") as client:
        made = await client.create_provider(Provider(code="P"))

    assert (made.performed_by, made.caller) == ("Ann", "crm")


async def test_a_client_without_a_certificate_is_not_let_in(address: str) -> None:
    credentials = grpc.ssl_channel_credentials(CA)
    async with AsyncClient(address, tls=credentials, timeout=timedelta(seconds=1)) as client:
        with pytest.raises(ServerUnavailable, match="a certificate of its own if the server wants"):
            await client.get_provider("P")


async def test_a_client_without_tls_is_not_let_in(address: str) -> None:
    async with AsyncClient(address, tls=False, timeout=timedelta(seconds=1)) as client:
        with pytest.raises(ServerUnavailable, match="both sides must use it, or neither"):
            await client.get_provider("P")


async def test_a_client_with_tls_is_told_if_the_server_has_none(tmp_path: Path) -> None:
    tls = TlsFiles(ca=CERTIFICATES / "ca.pem")
    settings = Settings(listen="127.0.0.1:0", database=f"sqlite:///{tmp_path / 'x.db'}")
    async with (
        running(settings) as place,
        AsyncClient(place, tls=tls, timeout=timedelta(seconds=1)) as client,
    ):
        with pytest.raises(ServerUnavailable, match="or neither; the client needs the CA"):
            await client.get_provider("P")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Returns copies of the files of a client. The test replaces the file of the CA."""
    named = {name: tmp_path / name for name in ("ca", "cert", "key")}
    for name, source in ("ca", "ca.pem"), ("cert", "crm.pem"), ("key", "crm.key"):
        shutil.copy(CERTIFICATES / source, named[name])
    return named


async def test_clients_and_adapters_read_replaced_certificates_when_they_connect_anew(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    """The second server uses a self-signed certificate, so a client must read the new CA file to
    connect to this server.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    tls, own = TlsFiles(**files), _own_pair(tmp_path)
    async with AsyncClient(place, tls=tls) as crm, _serving(place, tls):
        with Client(place, tls=tls) as other:
            async with running(_settings(tmp_path, place, SERVER)):
                await crm.create_provider(PROVIDER)
                await crm.set_provider_state("P", state="EFFECTIVE")
                assert await _settled(crm) == "S0000000001"
                await asyncio.to_thread(other.get_provider, "P")
            files["ca"].write_bytes(own.certificate.read_bytes())
            async with running(_settings(tmp_path, place, own)):
                assert await _settled(crm) == "S0000000002"
                assert (await asyncio.to_thread(other.get_provider, "P")).code == "P"


async def test_clients_that_only_report_read_replaced_certificates_too(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    own = _own_pair(tmp_path)
    async with AsyncClient(place, tls=TlsFiles(**files)) as asynchronous:
        with Client(place, tls=TlsFiles(**files)) as plain:

            async def report() -> list[int]:
                now = datetime.now(UTC)
                told = await asyncio.to_thread(
                    plain.report_platform_state, "P", [], observed_time=now
                )
                also = await asynchronous.report_platform_state("P", [], observed_time=now)
                return [told.received, also.received]

            async with running(_settings(tmp_path, place, SERVER)):
                async with AsyncClient(place, tls=TlsFiles(**files)) as operator:
                    await operator.create_provider(PROVIDER)
                assert await report() == [0, 0]
            files["ca"].write_bytes(own.certificate.read_bytes())
            async with running(_settings(tmp_path, place, own)):
                assert await report() == [0, 0]


@asynccontextmanager
async def _serving(place: str, tls: TlsFiles) -> AsyncIterator[None]:
    adapter = Adapter(place, provider="P", name="a", tls=tls)
    adapter.otherwise(lambda _: None)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(adapter.serve())
        yield
        adapter.stop()


async def _settled(crm: AsyncClient) -> str:
    """Returns the number of a new subscription whose request the adapter has accepted."""
    become = actions.BecomeSubscriber(type="DTH", provider="P", services=[("M", "S")])
    done = await crm.perform(become)
    settled = await crm.get_action(done.action.id, wait=timedelta(seconds=30))
    assert settled.state == ActionState.SETTLED
    return settled.subscription


def _settings(folder: Path, place: str, pair: Pair) -> Settings:
    return Settings(
        listen=place,
        database=f"sqlite:///{folder / 'x.db'}",
        tls_certificate=pair.certificate,
        tls_key=pair.key,
        tls_client_ca=CERTIFICATES / "ca.pem",
    )


def _own_pair(folder: Path, *, kind: str = "rsa:2048") -> Pair:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    pair = Pair(folder / "own.pem", folder / "own.key")
    command = f"{openssl} req -x509 -newkey {kind} -nodes -subj /CN=own -days 9".split()
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(pair.key), "-out", str(pair.certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return pair


def test_a_file_that_cannot_be_read_again_leaves_the_former_in_force(
    files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    tls = TlsFiles(**files)
    first = tls.credentials()
    assert tls.credentials() is first

    files["key"].unlink()

    assert tls.credentials() is first
    assert "the former certificates stay in force" in caplog.text
    with pytest.raises(FileNotFoundError):
        TlsFiles(**files)


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("ca", "crm.key", "ca: there is no certificate (PEM) in "),
        ("cert", "crm.key", "cert: there is no certificate (PEM) in "),
        ("key", "crm.pem", "key: there is no private key (PEM) in "),
        ("key", "server.key", " does not belong to the certificate "),
    ],
)
def test_a_wrong_file_is_named_and_leaves_the_former_in_force(
    name: str,
    source: str,
    said: str,
    files: dict[str, Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    tls = TlsFiles(**files)
    first = tls.credentials()

    shutil.copy(CERTIFICATES / source, files[name])

    assert tls.credentials() is first
    assert f"the former certificates stay in force: {name}: " in caplog.text
    with pytest.raises(ValueError, match=re.escape(said)):
        TlsFiles(**files)


def test_a_key_with_a_password_is_named(files: dict[str, Path]) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    command = [openssl, *["pkey", "-aes256", "-passout", "pass:secret", "-in"]]
    command += [str(CERTIFICATES / "crm.key"), "-out", str(files["key"])]
    subprocess.run(command, check=True, capture_output=True)

    with pytest.raises(ValueError, match="key: the file is encrypted"):
        TlsFiles(**files)


def test_a_certificate_that_only_openssl_accepts_is_named(tmp_path: Path) -> None:
    pair = _own_pair(tmp_path)
    text = pair.certificate.read_text().replace(" CERTIFICATE-----", " TRUSTED CERTIFICATE-----")
    pair.certificate.write_text(text)

    said = f"--tls-certificate {pair.certificate} has no line -----BEGIN CERTIFICATE-----"
    with pytest.raises(OSError, match=re.escape(said)):
        check_pem(certificate=pair.certificate, key=pair.key, ca=None)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("ec -pkeyopt ec_paramgen_curve:secp256k1", "does gRPC not support the key of --tls-cert"),
        ("rsa:512", "own.key: the key is too short"),
    ],
)
def test_a_key_that_cannot_be_used_is_named(kind: str, said: str, tmp_path: Path) -> None:
    pair = _own_pair(tmp_path, kind=kind)
    options = f"--tls-certificate={pair.certificate}", f"--tls-key={pair.key}"
    database = f"--database=sqlite:///{tmp_path / 'x.db'}"

    refused = run("serve", "--listen=127.0.0.1:0", database, *options)

    assert refused.exit_code == 1
    assert said in refused.stderr
