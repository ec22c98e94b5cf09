"""Tests the command line with servers that use TLS. The keys in `certificates` are for tests."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from generic_provider import Client, ServerUnavailable, TlsFiles
from support.certificates import Authority
from support.command_line import run, run_process
from support.processes import Server, simulated_adapter, wait_until
from support.scraping import free_port

CERTIFICATES = Path(__file__).parent / "certificates"
CA = f"--ca={CERTIFICATES / 'ca.pem'}"
CLIENT = f"--cert={CERTIFICATES / 'crm.pem'}", f"--key={CERTIFICATES / 'crm.key'}"
PAIR = {"cert": "pem", "key": "key"}
SERVING = (
    f"--tls-certificate={CERTIFICATES / 'server.pem'}",
    f"--tls-key={CERTIFICATES / 'server.key'}",
)


@pytest.fixture(scope="module")
def own_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Returns two options: `--cert` for a client certificate that the server's CA has not signed,
    and `--key` for the key of this certificate.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    folder = tmp_path_factory.mktemp("own")
    key, certificate = folder / "own.key", folder / "own.pem"
    command = f"{openssl} req -x509 -newkey rsa:2048 -nodes -subj /CN=own -days 9".split()
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    return f"--cert={certificate}", f"--key={key}"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("plain")) as running:
        yield running


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("secure"), *SERVING) as running:
        yield running


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = (*SERVING, f"--tls-client-ca={CERTIFICATES / 'ca.pem'}", "--log-format=json")
    with Server(tmp_path_factory.mktemp("mutual"), *options) as running:
        yield running


def test_certificates_are_given_by_options_or_by_the_environment(
    mutual: Server, secure: Server
) -> None:
    assert run("provider", "list", CA, *CLIENT, server=mutual).exit_code == 0
    assert run("backlog", "NONE", CA, server=secure).exit_code == 1
    variables = {
        "GENERIC_PROVIDER_CA": str(CERTIFICATES / "ca.pem"),
        "GENERIC_PROVIDER_CERT": str(CERTIFICATES / "crm.pem"),
        "GENERIC_PROVIDER_KEY": str(CERTIFICATES / "crm.key"),
    }
    assert run("provider", "list", server=mutual, **variables).exit_code == 0


def test_every_command_that_connects_takes_certificates() -> None:
    commands = [
        ("provider", "apply"),
        ("subscription", "explain"),
        ("action", "batch"),
        ("action", "terminate"),
        ("request", "tail"),
        ("reset", "run", "watch"),
        ("platform", "report"),
        ("archive", "create"),
        ("adapter", "simulate"),
        ("adapter", "compare"),
        ("backlog",),
        ("adapters",),
        ("health",),
        ("demo",),
    ]
    options = ("--ca", "--cert", "--key", "--token", "--profile")
    for command in commands:
        words = run(*command, "--help").stdout
        assert [each for each in options if each not in words] == [], command


@pytest.mark.parametrize(
    ("which", "options", "sentence"),
    [
        ("secure", (), "the server uses TLS: give its CA with --ca"),
        ("mutual", (), "the server uses TLS: give its CA with --ca"),
        ("mutual", (CA,), "the server wants a client certificate: give --cert and --key"),
        ("mutual", (CA, "own"), "the server does not accept the client certificate: check --cert"),
        (
            "secure",
            ("own",),
            "the server's certificate is not accepted (unable to get local issuer",
        ),
        ("plain", (CA,), "the server does not use TLS: leave out --ca"),
    ],
)
def test_a_mismatch_is_one_sentence(
    which: str,
    options: tuple[str, ...],
    sentence: str,
    own_key: tuple[str, str],
    request: pytest.FixtureRequest,
) -> None:
    server: Server = request.getfixturevalue(which)
    given = [each for name in options for each in (own_key if name == "own" else (name,))]

    listing = "provider", "list", "--timeout=300", *given
    done = run_process(*listing, server=server, timeout=60)  # the command tries only once

    assert done.returncode == 3
    assert done.stderr.startswith(f"Error: {server.address} was not reached: {sentence}")
    assert len(done.stderr.splitlines()) == 1


def test_an_expired_client_certificate_is_named(
    mutual: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key, certificate = Authority(tmp_path / "ca").pair("crm", days=-1)
    sentence = f"the client certificate {certificate} expired on 20"

    done = run("provider", "list", CA, f"--cert={certificate}", f"--key={key}", server=mutual)
    TlsFiles(cert=certificate, key=key).credentials()

    assert f"was not reached: {sentence}" in done.stderr
    (warned,) = caplog.messages  # the command itself logs no warning
    assert sentence in warned


def test_another_name_than_those_of_the_certificate_is_one_sentence(tmp_path: Path) -> None:
    place = f"127.0.0.2:{free_port()}"
    with Server(tmp_path, *SERVING, f"--listen={place}"):
        refused = run("health", CA, f"--server={place}")
        tls = TlsFiles(ca=CERTIFICATES / "ca.pem")
        client = Client(place, tls=tls, timeout=timedelta(seconds=0.5))
        with client, pytest.raises(ServerUnavailable) as error:
            next(client.list_providers())

    names = "the server's certificate is not for 127.0.0.2, but for localhost or 127.0.0.1"
    assert names + ": use such a name in --server\n" in refused.stderr
    assert refused.exit_code == 3
    assert "use a name of the certificate; `generic-provider health" in str(error.value)


def test_an_unknown_host_is_one_sentence() -> None:
    refused = run("provider", "list", "--timeout=5", "--server=nowhere.invalid:50051")

    assert refused.exit_code == 3
    sentence = "nowhere.invalid:50051 was not reached: no address is found for the host"
    assert refused.stderr.startswith(f"Error: {sentence}")
    assert len(refused.stderr.splitlines()) == 1


def test_a_profile_says_how_to_connect(
    mutual: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".config").mkdir()
    lines = ["[production]", f'server = "{mutual.address}"', f'ca = "{CERTIFICATES / "ca.pem"}"']
    lines += [f'{name} = "{CERTIFICATES / f"crm.{end}"}"' for name, end in PAIR.items()]
    (tmp_path / ".config" / "generic-provider.toml").write_text("\n".join(lines))
    monkeypatch.setenv("HOME", str(tmp_path))

    chosen = run("provider", "list", "--profile=production", GENERIC_PROVIDER_SERVER="")
    assert chosen.exit_code == 0, chosen.output
    monkeypatch.setenv("GENERIC_PROVIDER_PROFILE", "production")
    assert run("health", GENERIC_PROVIDER_SERVER="").stdout == f"{mutual.address} SERVING\n"


def test_a_probe_learns_from_the_exit_code_whether_a_server_serves(
    plain: Server, mutual: Server
) -> None:
    served = run("health", server=plain)
    assert (served.exit_code, served.stdout) == (0, f"{plain.address} SERVING\n")
    assert run("health", CA, *CLIENT, server=mutual).exit_code == 0
    unknown = run("health", "--service=x", server=plain)
    assert (unknown.exit_code, "no such service" in unknown.stderr) == (1, True)
    unreached = run("health")
    assert (unreached.exit_code, unreached.stderr.count("\n")) == (3, 1)
    with draining() as address:
        gone = run("health", f"--server={address}")
    assert (gone.exit_code, gone.stdout) == (1, f"{address} NOT_SERVING\n")


@contextmanager
def draining() -> Iterator[str]:
    """Runs a server whose health is NOT_SERVING, and yields its address."""
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = HealthServicer()
    servicer.set("", HealthCheckResponse.NOT_SERVING)
    add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--ca=/none.pem",), "does not exist"),
        ((f"--ca={__file__}",), "--ca is not a PEM file that can be used"),
        (CLIENT[:1], "--cert and --key go together"),
        ((CLIENT[0], f"--key={CERTIFICATES / 'server.key'}"), "does not belong to --cert"),
        ((CA, "--insecure"), "--insecure does not go together with --ca"),
    ],
)
def test_wrong_files_are_refused_with_a_sentence(options: tuple[str, ...], said: str) -> None:
    refused = run("provider", "list", *options)

    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.stderr


def test_a_simulated_platform_serves_a_server_with_tls(mutual: Server, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('code = "P"\ndistributors = [{ code = "M" }]\nservices = [{ code = "S", ')
    with file.open("a") as more:
        more.write('provider_service_id = "1" }]\n')
    options = (CA, *CLIENT)
    applied = run("provider", "apply", str(file), "--effective", *options, server=mutual)
    assert applied.exit_code == 0, applied.output
    with simulated_adapter("simulator", *options, server=mutual, provider="P"):
        wait_until(
            lambda: "simulator" in run("adapters", *options, server=mutual).stdout,
            what="the adapter is connected",
        )


def test_the_log_stays_json_whatever_grpc_meets(mutual: Server) -> None:
    for options in (), (CA,):
        run("provider", "list", "--timeout=0.5", *options, server=mutual)

    lines = mutual.log.read_text().splitlines()
    assert [line for line in lines if not isinstance(json.loads(line), dict)] == []
