"""Checks the files of TLS, and passes their contents to gRPC again when the files have changed.
gRPC itself reports a wrong file late, and without the name of the file.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import structlog

from generic_provider.certificates import expiry_of

from .regular_file import check_regular

SOON = timedelta(days=30)

log = structlog.get_logger()


class Certificates:
    """The certificate and the key of the server, and the CAs of its clients."""

    def __init__(self, *, certificate: Path, key: Path, ca: Path | None) -> None:
        self._certificate = certificate
        self._key = key
        self._ca = ca
        self._read: grpc.ServerCertificateConfiguration

    @property
    def files(self) -> list[Path]:
        return [file for file in (self._certificate, self._key, self._ca) if file]

    def read(self) -> None:
        """Reads the files.

        Raises OSError with a sentence that names the wrong file. Only the first call accepts an
        expired certificate: a server may start with such a certificate, because some of the
        server's work needs no clients.
        """
        before = [file.read_bytes() if file.is_file() else b"" for file in self.files]
        check_pem(certificate=self._certificate, key=self._key, ca=self._ca)
        if hasattr(self, "_read"):
            check_in_time(certificate=self._certificate, key=self._key)
        certificate, key, *clients = read = [file.read_bytes() for file in self.files]
        if read != before:  # the key that was read may not belong to the certificate
            raise OSError("the files of TLS changed while they were read")
        self._read = grpc.ssl_server_certificate_configuration(
            [(key, certificate)], root_certificates=clients[0] if clients else None
        )
        self._warn(datetime.fromtimestamp(expiry_of(certificate), UTC))

    def _warn(self, expiry: datetime) -> None:
        now = datetime.now(UTC)
        if expiry < now + SOON:
            event = "certificate_expired" if expiry < now else "certificate_expires_soon"
            log.warning(event, file=str(self._certificate), time=f"{expiry:%Y-%m-%d %H:%M:%SZ}")

    def credentials(self, *, of_clients: bool) -> grpc.ServerCredentials:
        """Returns new credentials for one address of one gRPC server. If `of_clients` is True,
        clients need certificates on this address.

        Every new connection gets the last certificate that was read. Existing connections keep
        their certificate.
        """
        given = self._read

        def fresh() -> Any:
            # a thread of gRPC calls this function; if the result is None, gRPC keeps its current
            # certificate
            nonlocal given
            if self._read is given:
                return None
            given = self._read
            return given

        return grpc.dynamic_ssl_server_credentials(
            given, fresh, require_client_authentication=of_clients
        )


def check_pem(*, certificate: Path, key: Path, ca: Path | None) -> None:
    """Raises OSError if a file is wrong. The error names the option of this file."""
    for option, file in (
        ("--tls-certificate", certificate),
        ("--tls-key", key),
        ("--tls-client-ca", ca),
    ):
        try:
            if file:
                check_regular(file)
                file.read_bytes()
        except OSError as error:
            raise OSError(f"{option}: {file}: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "EE_KEY_TOO_SMALL":
            raise OSError(f"--tls-key {key}: the key is too short, use 2048 bits") from None
        raise OSError(
            f"--tls-certificate {certificate} and --tls-key {key} are no pair of PEM files"
        ) from None
    try:
        expiry_of(certificate.read_bytes())
    # the module ssl also accepts BEGIN TRUSTED CERTIFICATE, a format that gRPC refuses
    except ValueError:
        begin = "-----BEGIN CERTIFICATE-----"
        raise OSError(f"--tls-certificate {certificate} has no line {begin}") from None
    try:
        if ca:
            context.load_verify_locations(ca)
    except ssl.SSLError:
        raise OSError(f"--tls-client-ca {ca} contains no certificate (PEM)") from None


def check_in_time(*, certificate: Path, key: Path) -> None:
    """Raises OSError if the certificate has expired, or is not valid yet.

    The module ssl checks the time only in a handshake. So the function makes a handshake in memory
    between a server and a client that trusts only the file `certificate`.
    """
    serving, asking = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    serving.load_cert_chain(certificate, key)
    asking.load_verify_locations(certificate)
    asking.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    asking.check_hostname = False
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server, client = serving.wrap_bio(up, down, server_side=True), asking.wrap_bio(down, up)
    for side in client, server, client:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            raise OSError(f"--tls-certificate {certificate}: {error.verify_message}") from None


def _no_password() -> str:
    raise OSError("--tls-key: the key is encrypted, and the server cannot ask for a password")
