"""Reads the files of TLS again for each new connection, because certificates are renewed while
programs run.
"""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path

import grpc

from generic_provider.certificates import expiry_of

log = logging.getLogger("generic_provider")
_File = str | PathLike[str] | None


class TlsFiles:
    """The files of TLS (PEM): the CA of the server's certificate, and your certificate with its
    key. Without `ca`, certificates of well-known CAs are accepted.

    The files are read again when a new connection to the server is needed, so they can be replaced
    while the program runs. The constructor raises OSError if a file cannot be read, and ValueError
    if its contents are wrong or the key does not belong to the certificate. If the files cannot be
    read or become wrong later, the former contents stay in force, and a warning is logged.
    """

    def __init__(self, *, ca: _File = None, cert: _File = None, key: _File = None) -> None:
        if bool(cert) != bool(key):
            raise ValueError("cert and key go together: give both or neither")
        self._files = [Path(file) if file else None for file in (ca, key, cert)]
        self._contents = self._read()
        self._check()
        self._credentials = grpc.ssl_channel_credentials(*self._contents)

    def credentials(self) -> grpc.ChannelCredentials:
        """Returns credentials with the current contents of the files. If no file has changed,
        returns the same object as before.
        """
        try:
            contents = self._read()
            if contents != self._contents:
                self._check()
        except (OSError, ValueError) as error:
            log.warning("the former certificates stay in force: %s", error)
            return self._credentials
        if contents != self._contents:
            self._contents = contents
            self._credentials = grpc.ssl_channel_credentials(*contents)
        if expired := self.expired():
            log.warning(expired)
        return self._credentials

    def expired(self) -> str:
        """Returns a sentence if the client certificate has expired. Returns an empty text if the
        certificate is valid, or if there is none.
        """
        try:
            expiry = datetime.fromtimestamp(expiry_of(self._contents[2] or b""), UTC)
        except (ValueError, IndexError):
            return ""
        if expiry > datetime.now(UTC):
            return ""
        return f"the client certificate {self._files[2]} expired on {expiry:%Y-%m-%d %H:%M:%SZ}"

    def _check(self) -> None:
        """Raises ValueError if a file is surely wrong. gRPC would only say that it cannot connect.

        Does not judge what gRPC may accept, for example further contents of a file.
        """
        ca, key, cert = self._files
        for name, file in ("ca", ca), ("cert", cert):
            if file and b"CERTIFICATE-----" not in file.read_bytes():
                raise ValueError(f"{name}: there is no certificate (PEM) in {file}")
        if not cert or not key:
            return
        if b"PRIVATE KEY-----" not in key.read_bytes():
            raise ValueError(f"key: there is no private key (PEM) in {key}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers("ALL:@SECLEVEL=0")  # gRPC decides whether a key is long enough
        try:
            context.load_cert_chain(cert, key, password=_no_password)
        except ssl.SSLError as error:
            if "MISMATCH" in str(error.reason):
                why = f"{key} does not belong to the certificate {cert}"
                raise ValueError(f"key: {why}") from None

    def _read(self) -> list[bytes | None]:
        return [file.read_bytes() if file else None for file in self._files]


def _no_password() -> str:
    raise ValueError("key: the file is encrypted, and no password can be given")
