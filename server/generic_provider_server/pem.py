"""Checks the files of TLS. gRPC reports wrong ones late, and does not say which."""

from __future__ import annotations

import ssl
from pathlib import Path


def check_pem(*, certificate: Path, key: Path, ca: Path | None) -> None:
    """Raises OSError with a sentence that names the option at fault."""
    for option, file in (
        ("--tls-certificate", certificate),
        ("--tls-key", key),
        ("--tls-client-ca", ca),
    ):
        try:
            if file:
                file.read_bytes()
        except OSError as error:
            raise OSError(f"{option}: {file}: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError:
        raise OSError(
            f"--tls-certificate {certificate} and --tls-key {key} are no pair of PEM files"
        ) from None
    try:
        if ca:
            context.load_verify_locations(ca)
    except ssl.SSLError:
        raise OSError(f"--tls-client-ca {ca} contains no certificate (PEM)") from None


def _no_password() -> str:
    raise OSError("--tls-key: the key is encrypted, and nobody is there to give the password")
