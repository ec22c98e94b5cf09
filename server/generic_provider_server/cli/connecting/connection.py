"""Defines the settings of a connection to a server."""

from __future__ import annotations

import dataclasses
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from generic_provider import Client, TlsFiles

PREFIX = "GENERIC_PROVIDER_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    server: str = ""
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    token: str = field(default="", repr=False)
    insecure: bool = False

    @property
    def files(self) -> dict[str, Path]:
        named = {"ca": self.ca, "cert": self.cert, "key": self.key}
        return {name: file for name, file in named.items() if file}

    @property
    def secure(self) -> bool:
        return Client(self.server, tls=self.tls()).uses_tls

    def tls(self, *, warns: bool = False) -> TlsFiles | bool | None:
        """Returns the argument `tls` for the constructor of a client. `warns`: true if each new
        connection logs a warning when the client certificate has expired.
        """
        if self.files:
            return (TlsFiles if warns else _SilentTlsFiles)(**self.files)
        return False if self.insecure else None

    def expired(self) -> str:
        """Returns a sentence if the client certificate has expired, otherwise an empty text."""
        return TlsFiles(**self.files).expired() if self.files else ""

    def context(self) -> ssl.SSLContext:
        """Returns an SSLContext with the CA, the certificate and the key of this connection.

        Raises SSLError or ValueError if a file is wrong.
        """
        context = ssl.create_default_context(cafile=self.ca)
        # since Python 3.13 the default is strict, but gRPC is not: for example, gRPC accepts a CA
        # certificate without the extension `keyUsage`
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.set_alpn_protocols(["h2"])
        if self.cert and self.key:
            context.load_cert_chain(self.cert, self.key, password=_no_password)
        return context

    def filled_from(self, profile: Connection) -> Connection:
        """Returns a copy of this connection whose empty fields are filled from a profile."""
        filled = {
            each.name: getattr(self, each.name) or getattr(profile, each.name)
            for each in dataclasses.fields(self)
        }
        if self.cert or self.key:
            filled |= {"cert": self.cert, "key": self.key}
        if self.insecure:
            filled |= {"ca": None, "cert": None, "key": None}
        if self.files:
            filled |= {"insecure": False}
        return Connection(**filled)

    def environment(self) -> dict[str, str]:
        """Returns the environment variables for another process that uses the same connection."""
        given = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {f"{PREFIX}{name.upper()}": str(value) for name, value in given.items() if value}


class _SilentTlsFiles(TlsFiles):
    """Logs no warning about an expired certificate, because the error text of a command says that
    the certificate has expired.
    """

    def expired(self) -> str:
        return ""


def _no_password() -> str:
    raise ValueError("the key is encrypted")
